/** A device in a process of its own, to be killed: `node device.js URL MAJOR TRANSPORTS`. Says so when it is connected. */
import { LIBRARIES } from './devices.js';

const [, , url, major, transports] = process.argv;
const options = { query: { clientId: 'child' }, ...(JSON.parse(transports) && { transports: JSON.parse(transports) }) };
const socket = LIBRARIES[major](url, options);
socket.on('P2P_REGISTER', (_, ack) => ack(true));
socket.on('connect', () => console.log('connected'));
