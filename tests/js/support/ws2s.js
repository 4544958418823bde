/** A fake server that speaks ws2s with real TCP sockets, and TCP servers for it to connect to. */
import { once } from 'node:events';
import net from 'node:net';
import { atEnd } from './end.js';
import { fakeServer } from './fake.js';

/** Bytes that may wait for a client before the TCP socket is read no further. */
const HIGH = 1 << 20;

/** Starts one; ends with the test. The version is the query's: `?v=1`, `?v=2`, or neither. */
export async function ws2sServer(test, options) {
  const server = await fakeServer(test, options);
  server.speaks = {
    open(connection) {
      connection.version = /[?&]v=(\d)/.exec(connection.url)?.[1];
      connection.turn = Promise.resolve();
    },
    close: (connection) => connection.tcp?.destroy(),
    // Strictly in order: a command waits for the one before it.
    message(connection, text) {
      connection.turn = connection.turn.then(() => command(connection, text)).catch(() => {});
    },
  };
  return server;
}

/** Says a whole response. */
export function respond(connection, code, message, more = {}, taken = undefined) {
  connection.socket.send(JSON.stringify({ success: code <= 0, code, message, ...more }), taken);
}

async function command(connection, text) {
  let request;
  try {
    request = JSON.parse(text);
  } catch {
    return respond(connection, 1, "JSONDecodeError('Expecting value: line 1 column 1 (char 0)')");
  }
  const { command: name, host, port, data } = request;
  const done = () => respond(connection, 0, connection.version === '1' ? 'done' : `${name} done`);
  if (name === 'connect') {
    connection.tcp?.destroy();
    connection.tcp = undefined;
    if (host === 'forbidden') {
      const why = `ws2s refuse to connect target host: ${host}, cause that's a dangerous operation`;
      return respond(connection, 4, why);
    }
    const tcp = net.connect(port, host);
    try {
      await once(tcp, 'connect');
    } catch {
      return respond(connection, 2, 'connection refused');
    }
    connection.tcp = tcp;
    done();
    return carry(connection, tcp);
  }
  if (name === 'send' || name === 'sendb') {
    if (!connection.tcp) return respond(connection, 3, 'illegal socket status, please connect again. socketId: 1');
    const bytes = Buffer.from(data, name === 'sendb' ? 'base64' : 'utf8');
    // Held up by a peer that does not read, and so is everything after it.
    if (!connection.tcp.write(bytes)) {
      connection.socket.pause();
      await Promise.race([once(connection.tcp, 'drain'), once(connection.tcp, 'close')]);
      connection.socket.resume();
    }
  }
  if (name === 'close') {
    connection.tcp?.destroy();
    connection.tcp = undefined;
  }
  done();
}

/** Passes on what a TCP socket receives, as fast as the client takes it. */
function carry(connection, tcp) {
  let tail = Buffer.alloc(0);
  const isCurrent = () => connection.tcp === tcp;
  tcp.on('data', (chunk) => {
    if (!isCurrent()) return;
    const bytes = Buffer.concat([tail, chunk]);
    const whole = connection.version === '2' ? bytes.length : wholeCharacters(bytes);
    tail = bytes.subarray(whole);
    if (!whole) return;
    const data = encoded(bytes.subarray(0, whole), connection.version);
    respond(connection, -1, 'recv data', data, () => connection.socket.bufferedAmount < HIGH && tcp.resume());
    if (connection.socket.bufferedAmount >= HIGH) tcp.pause();
  });
  tcp.on('end', () => {
    if (!isCurrent()) return;
    if (tail.length) respond(connection, -1, 'recv data', encoded(tail, connection.version));
    connection.tcp = undefined;
    respond(connection, connection.version === '1' ? 3 : 5, 'connection closed by peer');
  });
  tcp.on('error', (error) => {
    if (!isCurrent()) return;
    connection.tcp = undefined;
    respond(connection, 1, `ConnectionResetError(104, '${error.code}')`);
  });
}

/** Text where the bytes are text, and the version does not ask for base64 always. */
function encoded(bytes, version) {
  if (version === '2') return { data: bytes.toString('base64') };
  const text = bytes.toString('utf8');
  if (Buffer.from(text).equals(bytes)) return { data: text };
  return { data: bytes.toString('base64'), encoding: 'base64' };
}

/** Bytes up to a character that is not complete yet. */
function wholeCharacters(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte > 0xf4 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** A TCP server that hands each connection to `accept`; ends with the test. */
export async function tcpServer(test, accept) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    accept(socket);
  });
  atEnd(test, () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, sockets };
}

/** Sends back what it gets. */
export const echo = (socket) => socket.pipe(socket);

/** Writes `chunk` without an end, as fast as it is taken; counts the bytes it could write in `source.written`. */
export function source(chunk) {
  const accept = (socket) => {
    const go = () => {
      while (!socket.destroyed && socket.write(chunk)) accept.written += chunk.length;
      accept.written += chunk.length;
    };
    socket.on('drain', go);
    go();
  };
  accept.written = 0;
  return accept;
}
