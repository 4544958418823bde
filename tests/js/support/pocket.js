/** A fake server that speaks pocketsocket's protocol as its first server did: receipts, verbatim broadcast, presence. */
import { fakeServer } from './fake.js';

/** Starts one; ends with the test. With `echo` a message comes back to its sender too. */
export async function pocketServer(test, { echo = false, ...options } = {}) {
  const server = await fakeServer(test, options);
  const push = (connection, socket) => {
    const text = JSON.stringify({ socket, port: 50_000, address: '127.0.0.1' });
    server.others(connection).forEach((other) => other.socket.send(text));
  };
  server.speaks = {
    open: (connection) => push(connection, 'connected'),
    close: (connection) => push(connection, 'disconnected'),
    message(connection, data) {
      connection.socket.send(receipt(data));
      [...server.others(connection), ...(echo ? [connection] : [])].forEach((other) => other.socket.send(data));
    },
  };
  return server;
}

/** What the server answers to a message of this text or these bytes. */
export function receipt(data) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    // Text that is not JSON is a string.
  }
  const isObject = typeof data === 'string' && value && typeof value === 'object' && !Array.isArray(value);
  const attr = typeof data !== 'string' ? 'binary' : isObject ? 'json' : 'string';
  const messageId = isObject ? (value.id ?? null) : Buffer.byteLength(data);
  return JSON.stringify({ time: '2013-05-07 12:34:56.123456', messageId, socket: 'sent', attr });
}
