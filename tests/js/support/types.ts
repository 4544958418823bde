/** Never run: compiled by `files.test.js`, where a line that says `@ts-expect-error` must not compile. */
import { WebShare as Imported, type WebShareError } from '../../../src/assets/client/webshare.mjs';
import { LocalWebSocket as Local, type NamedSocket } from '../../../src/assets/client/named.mjs';

const share: Imported = new WebShare('host', 9000, true);
new WebShare('host', 9000);
new WebShare('host', 9000, { path: '/webshare', reconnect: { max: 1000 }, queueLimit: 5, binary: true });
new WebShare('wss://host/webshare', { reconnect: false });
share.onrelay = (success, code, body) => console.log(success, code, body.hello);
share.onkey = (_success, _code, { key, previous }) => console.log(key, previous);
share.onlost = ({ retryMs }) => console.log(retryMs + 1);
share.addEventListener('relay', ({ detail }) => console.log(detail));
share.addEventListener('binary', ({ detail }) => console.log(detail.byteLength));
share.addEventListener('anything', () => {});
const partner: string = (await share.pair('key')).with;
await share.pair('key').catch((error: WebShareError) => error.code);
share.relay([1, partner], (success, code, body) => console.log(success, code, body));
await share.relayBinary(new Uint8Array(3));
// @ts-expect-error a key is text
share.pair(1);
// @ts-expect-error a URL takes no port
new WebShare('wss://host', 9000, 1);

const socket: NamedSocket = new Local('demo');
LocalWebSocket('demo', ['protocol'], { server: 'ws://host:1', echo: true });
BroadcastWebSocket.server = 'ws://host:1';
socket.onmessage = ({ data }) => console.log(data);
socket.addEventListener('drop', ({ data, code }) => console.log(data, code));
socket.onconnect = () => console.log(socket.peerCount + LocalWebSocket.OPEN);
socket.send(new Blob([]));
socket.close(3000, 'why');
// @ts-expect-error a name is needed
new Local();
// @ts-expect-error read-only
socket.readyState = 1;
