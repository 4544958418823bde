/** Devices: sockets of the real socket.io-client in its three major versions, and of our own client. */
import { createRequire } from 'node:module';
import WebSocket from 'ws';
import { connectP2p, p2pClientPlugin } from '../../../src/assets/client/p2p.mjs';
import { FAST } from './clients.js';
import { jackfield } from './jackfield.js';
import { until } from './wait.js';

const require = createRequire(import.meta.url);

/** `io` of each major version. */
export const LIBRARIES = Object.fromEntries(
  [2, 3, 4].map((major) => {
    const library = require(`socket.io-client-${major}`);
    return [major, library.io ?? library];
  }),
);

/** Polling that is upgraded, polling that is not, and no polling. */
export const TRANSPORTS = { default: undefined, polling: ['polling'], websocket: ['websocket'] };

/** The sockets of each test. */
const opened = new WeakMap();

/** The real server. Its sockets end before it does: a library that is cut off tries to come back first. */
export function serve(test, ...args) {
  const sockets = [];
  opened.set(test, sockets);
  test.after(() => sockets.forEach((socket) => socket.close()));
  return jackfield(test, { args });
}

function ends(test, socket) {
  opened.get(test).push(socket);
  return socket;
}

/** A socket of the real library that is closed with the test; `query` says who it is. */
export function socket(test, server, query, { major = 4, transports, path = '', ...options } = {}) {
  const settings = { forceNew: true, query, reconnectionDelay: FAST.min, reconnectionDelayMax: FAST.max, ...options };
  if (transports) settings.transports = transports;
  return ends(test, LIBRARIES[major](server.http + path, settings));
}

/** The next event of this name: its arguments. */
export const next = (device, name) => new Promise((resolve) => device.once(name, (...args) => resolve(args)));

/** All events of these names, as they come: `[name, ...args]`. */
export function heard(device, ...names) {
  const seen = [];
  names.forEach((name) => device.on(name, (...args) => seen.push([name, ...args])));
  return seen;
}

/** Waits until all of them are connected. */
export async function connected(...devices) {
  await until(() => devices.every((device) => device.connected), 'every device is connected');
  return devices;
}

/** Our plugin over the library, or over our own client for the major version `own`. */
export function device(test, server, id, { major = 4, plugin, query = { clientId: id }, ...options } = {}) {
  if (major !== 'own') return p2pClientPlugin(socket(test, server, query, { major, ...options }), id, plugin);
  const address = new URL(server.http);
  Object.entries(query).forEach(([name, value]) => address.searchParams.set(name, value));
  return ends(test, connectP2p(address, id, { WebSocket, reconnect: FAST, ...plugin, ...options }));
}

export { connectP2p, p2pClientPlugin };
