/** WS2S against a server that does what the test tells it, and TCP servers behind it. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import vm from 'node:vm';
import { FAST, WS2S, WebSocket, addresses } from './support/clients.js';
import { fakeServer } from './support/fake.js';
import { until } from './support/wait.js';
import { echo, respond, source, tcpServer, ws2sServer } from './support/ws2s.js';

/** A socket that is closed with the test; `log` gets what its callbacks are called with. */
function socketTo(t, server, { path = '/', ...options } = {}) {
  const socket = new WS2S(server.url + path, options).newSocket();
  const log = [];
  for (const name of ['onReady', 'onOpen', 'onClose', 'onError']) socket[name] = (...args) => log.push([name, ...args]);
  t.after(() => socket.close());
  return { socket, log, names: () => log.map(([name]) => name) };
}

/** The same, connected to a TCP server that hands its connections to `accept`. */
async function connected(t, accept, options) {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, accept);
  const made = socketTo(t, server, options);
  await made.socket.connect('127.0.0.1', target.port);
  return { server, target, ...made };
}

const text = (bytes) => Buffer.from(bytes).toString();

/** Reads until `done(everything)`. */
async function read(socket, done) {
  let all = Buffer.alloc(0);
  for await (const bytes of socket) {
    assert.ok(bytes instanceof Uint8Array && !Buffer.isBuffer(bytes));
    all = Buffer.concat([all, bytes]);
    if (done(all)) break;
  }
  return all;
}

test('the address is used as it is', () => {
  const { seen, WebSocket } = addresses();
  new WS2S('ws://pi:9009/ws2s', { WebSocket }).newSocket().close();
  new WS2S('wss://pi/ws2s?v=2', { WebSocket }).newSocket().close();
  new WS2S('ws://pi:3613', { WebSocket }).newRedisCient('h', 6379).close();
  assert.deepEqual(seen.map(String), ['ws://pi:9009/ws2s', 'wss://pi/ws2s?v=2', 'ws://pi:3613']);
  assert.equal(new WS2S('ws://pi:3613').ws2sServerAddress, 'ws://pi:3613');
});

test('the commands look on the wire as the original\'s', async (t) => {
  const server = await fakeServer(t);
  server.answer = () => {};
  const { socket } = socketTo(t, server);
  socket.connect('feling.net', 80);
  socket.connect('h', 22, 'sh', 2222, 'su', 'sp', 'key', 'kp');
  socket.send('GET / é😀\u0000\r\n');
  socket.sendb(new TextEncoder().encode('é'));
  await until(() => server.last?.received.length === 4);
  socket.close();
  await until(() => server.last.received.length === 5);
  assert.deepEqual(server.last.received, [
    '{"command":"connect","host":"feling.net","port":80}',
    '{"command":"connect","host":"h","port":22,"ssh_host":"sh","ssh_port":2222,"ssh_username":"su","ssh_password":"sp",' +
      '"ssh_private_key":"key","ssh_private_key_password":"kp"}',
    '{"command":"send","data":"GET / é😀\\u0000\\r\\n"}',
    '{"command":"sendb","data":"w6k="}',
    '{"command":"close"}',
  ]);
});

test('callbacks tell the life of a socket as the original did', async (t) => {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, echo);
  const { socket, log, names } = socketTo(t, server);
  const received = [];
  socket.onRecv = (bytes) => received.push(bytes);
  socket.onReady = () => {
    log.push(['onReady']);
    socket.connect('127.0.0.1', target.port);
  };
  socket.onOpen = () => {
    log.push(['onOpen']);
    socket.send('né');
    socket.sendb(Uint8Array.of(0, 255));
  };
  await until(() => received.reduce((sum, bytes) => sum + bytes.length, 0) === 5);
  assert.ok(received.every((bytes) => bytes instanceof Uint8Array));
  assert.deepEqual(Buffer.concat(received), Buffer.from([0x6e, 0xc3, 0xa9, 0, 255]));
  socket.close();
  await until(() => names().includes('onClose'));
  assert.deepEqual(names(), ['onReady', 'onOpen', 'onClose']);
});

test('calls are promises, and those before the connection is open wait for it', async (t) => {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, echo);
  const { socket, names } = socketTo(t, server);
  const order = [];
  const done = ['connect', 'send', 'sendb'].map((name) => {
    const args = { connect: ['127.0.0.1', target.port], send: ['a'], sendb: [Uint8Array.of(98)] }[name];
    return socket[name](...args).then((value) => order.push([name, value]));
  });
  await Promise.all(done);
  assert.deepEqual(order, [['connect', undefined], ['send', undefined], ['sendb', undefined]]);
  assert.equal(text(await read(socket, (all) => all.length === 2)), 'ab');
  assert.equal(await socket.close(), undefined);
  assert.equal(await socket.close(), undefined);
  assert.deepEqual(names(), ['onReady', 'onOpen', 'onClose']);
  await assert.rejects(socket.send('late'), { code: 'CLOSED' });
});

test('a refusal rejects and is told; the socket may try again', async (t) => {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, echo);
  const closed = await tcpServer(t, echo);
  const { socket, log, names } = socketTo(t, server);
  await assert.rejects(socket.connect('forbidden', 80), { code: 4, message: /ws2s refuse to connect target host: forbidden/ });
  const refused = { success: false, code: 2, message: 'connection refused' };
  await assert.rejects(socket.connect('127.0.0.1', 1), { code: 2, message: 'WS2S: connection refused', response: refused });
  await socket.connect('127.0.0.1', target.port);
  assert.deepEqual(names(), ['onReady', 'onError', 'onError', 'onOpen']);
  assert.deepEqual(log[2][1], refused);
  // Another connection replaces this one, silently.
  await socket.connect('127.0.0.1', closed.port);
  await socket.send('x');
  assert.equal(text(await read(socket, () => true)), 'x');
  assert.equal(names().filter((name) => name === 'onError').length, 2);
});

test('codes 5 and 3 end the socket without an error', async (t) => {
  const { socket, names } = await connected(t, (peer) => peer.end('bye'));
  const all = await read(socket, () => false);
  assert.equal(text(all), 'bye');
  assert.deepEqual(names(), ['onReady', 'onOpen', 'onClose']);

  const server = await ws2sServer(t);
  const idle = socketTo(t, server);
  await assert.rejects(idle.socket.send('nowhere'), { code: 3, message: /illegal socket status/ });
  await until(() => idle.names().includes('onClose'));
  assert.deepEqual(idle.names(), ['onReady', 'onClose']);
});

test('a connection that breaks is an error, for callbacks and for a reader', async (t) => {
  const { socket, log, target } = await connected(t, (peer) => peer.write('before'));
  await until(() => target.sockets.size === 1);
  const reading = read(socket, () => false);
  await socket.send('x');
  [...target.sockets][0].resetAndDestroy();
  await assert.rejects(reading, { code: 1, message: /ConnectionResetError/ });
  assert.equal(log.at(-1)[0], 'onError');
  assert.equal(log.at(-1)[1].code, 1);
});

test('a WebSocket that is lost rejects what is unanswered, and ends a reader with an error', async (t) => {
  const server = await fakeServer(t);
  server.answer = () => {};
  const { socket, names } = socketTo(t, server);
  const calls = [socket.connect('h', 1), socket.send('x')];
  const reading = read(socket, () => false);
  await until(() => server.last?.received.length === 2);
  server.cut();
  for (const call of [...calls, reading]) await assert.rejects(call, { code: 'CLOSED' });
  assert.deepEqual(names(), ['onReady', 'onClose']);
});

test('a server that is not there is told', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const { socket, names } = socketTo(t, server);
  await assert.rejects(socket.connect('h', 1), { code: 'CLOSED' });
  await until(() => names().length === 2);
  assert.deepEqual(names(), ['onError', 'onClose']);
});

test('what does not fit into the queue is told', async (t) => {
  const { WebSocket } = addresses();
  const socket = new WS2S('ws://pi', { WebSocket }).newSocket();
  const outcomes = [];
  Array.from({ length: 101 }, (_, i) => socket.send(`${i}`).catch((error) => outcomes.push([i, error.code])));
  await until(() => outcomes.length);
  assert.deepEqual(outcomes, [[100, 'QUEUE_FULL']]);
  socket.close();
});

test('close before the connection is open abandons it', async (t) => {
  const server = await ws2sServer(t);
  const { socket, names } = socketTo(t, server);
  const call = socket.connect('127.0.0.1', 1);
  await socket.close();
  await assert.rejects(call, { code: 'CLOSED' });
  assert.deepEqual(names(), ['onClose']);
});

/** What a peer writes, and the bytes that have arrived after it where a character waits until it is whole. */
const PIECES = [
  ['n', 1],
  [Buffer.from('é').subarray(0, 1), 1],
  [Buffer.from('é😀').subarray(1, 4), 3],
  [Buffer.from('😀').subarray(2), 7],
  // Bytes that are no text, text that could be base64, and what a decoder might swallow.
  [Buffer.from([0, 255, 128, 10]), 11],
  ['YWJj', 15],
  ['\ufeff"\\\u0000', 21],
];
for (const v of ['', '?v=1', '?v=2']) {
  test(`bytes arrive as they are: ${v || 'text and marked base64'}`, async (t) => {
    const server = await ws2sServer(t);
    let peer;
    const target = await tcpServer(t, (socket) => (peer = socket));
    const { socket, names } = socketTo(t, server, { path: `/${v}` });
    await socket.connect('127.0.0.1', target.port);
    assert.equal(names().at(-1), 'onOpen');
    const chunks = socket[Symbol.asyncIterator]();
    let sent = Buffer.alloc(0);
    let got = Buffer.alloc(0);
    for (const [piece, whole] of PIECES) {
      peer.write(piece);
      sent = Buffer.concat([sent, Buffer.from(piece)]);
      while (got.length < (v === '?v=2' ? sent.length : whole)) got = Buffer.concat([got, (await chunks.next()).value]);
    }
    assert.deepEqual(got, sent);
    await socket.send('x');
    await socket.sendb(Uint8Array.of(1));
    await socket.close();
    assert.deepEqual(names().slice(1), ['onOpen', 'onClose']);
  });
}

test('large data go in parts that a server takes, whole characters each', async (t) => {
  const { socket, server } = await connected(t, echo);
  const long = 'x😀é'.repeat(200_000);
  const bytes = new Uint8Array(randomBytes(1_000_000));
  // What looks like the first byte of a character would wait for the others.
  bytes[bytes.length - 1] = 0;
  const expected = Buffer.concat([Buffer.from(long), bytes]);
  const reading = read(socket, (all) => all.length === expected.length);
  const sent = [socket.send(long), socket.sendb(bytes.buffer)];
  assert.equal(Buffer.compare(await reading, expected), 0);
  await Promise.all(sent);
  const frames = server.last.received;
  assert.ok(frames.length > 20 && frames.every((frame) => Buffer.byteLength(frame) < 400_000));
  await socket.send('');
  await socket.sendb(new DataView(bytes.buffer, 5, 3));
  assert.deepEqual(frames.slice(-2).map(JSON.parse), [
    { command: 'send', data: '' },
    { command: 'sendb', data: Buffer.from(bytes.slice(5, 8)).toString('base64') },
  ]);
});

test('the connection is kept alive', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { socket, server, names } = await connected(t, echo);
  t.mock.timers.tick(50_000);
  await until(() => server.last.received.includes('{"command":"ping"}'));
  await socket.send('x');
  assert.deepEqual(names(), ['onReady', 'onOpen']);
  t.mock.timers.reset();
});

test('what is not our server\'s is told and survived', async (t) => {
  const server = await fakeServer(t);
  server.answer = (connection) => {
    for (const junk of ['', '{', 'null', '7', '[]', '{"code":-1,"data":"*","encoding":"base64"}']) connection.socket.send(junk);
    respond(connection, 0, 'connect done');
  };
  const { socket, log, names } = socketTo(t, server);
  await socket.connect('h', 1);
  assert.deepEqual(names(), ['onReady', 'onError', 'onError', 'onError', 'onError', 'onError', 'onError', 'onOpen']);
  assert.deepEqual(log[1][1].code, 'UNEXPECTED');
});

test('a callback that throws disturbs nobody else', async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const { socket } = await connected(t, echo);
  for (const name of ['onRecv', 'onClose']) {
    socket[name] = () => {
      throw new Error(name);
    };
  }
  await socket.send('x');
  await until(() => thrown.length === 1);
  await socket.close();
  await until(() => thrown.length === 2);
  assert.deepEqual(thrown, ['onRecv', 'onClose']);
});

test('a failure that nobody looks at is no unhandled rejection', async (t) => {
  const unhandled = [];
  const listener = (error) => unhandled.push(error);
  process.on('unhandledRejection', listener);
  t.after(() => process.off('unhandledRejection', listener));
  const server = await ws2sServer(t);
  const { socket, names } = socketTo(t, server);
  socket.connect('forbidden', 1);
  socket.send('nowhere');
  await until(() => names().includes('onClose'));
  socket.send('late');
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test('leaving a loop closes nothing; the next one goes on', async (t) => {
  const { socket } = await connected(t, echo);
  for (const word of ['one', 'two']) {
    await socket.send(word);
    assert.equal(text(await read(socket, () => true)), word);
  }
  socket.onRecv = () => {};
  await socket.send('to onRecv');
  const seen = [];
  socket.onRecv = (bytes) => seen.push(text(bytes));
  await socket.send('again');
  await until(() => seen.join('').endsWith('again'));
  delete socket.onRecv;
  await socket.send('three');
  assert.equal(text(await read(socket, () => true)), 'three');
});

test('a slow reader stops the peer, and gets everything', async (t) => {
  const chunk = randomBytes(65_536);
  const flood = source(chunk);
  const { socket, server } = await connected(t, flood);
  let got = 0;
  const check = createHash('sha256');
  const wanted = createHash('sha256');
  const stalled = async () => {
    // Nothing more is written: looked at until twenty looks in a row see the same.
    for (let same = 0, before = -1; same < 20; ) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      same = flood.written === before ? same + 1 : 0;
      before = flood.written;
    }
  };
  for await (const bytes of socket) {
    if (got === 0) await stalled();
    check.update(bytes);
    got += bytes.length;
    assert.ok(flood.written - got < 24e6, `${flood.written - got} bytes are on the way`);
    // Far more than all buffers on the way hold.
    if (got > 48e6) break;
  }
  const held = server.last.socket.bufferedAmount;
  assert.ok(held < 8e6, `${held}`);
  // A command in the other direction is not held up by what nobody reads.
  await stalled();
  const sent = socket.send('x'.repeat(10));
  await sent;
  for (let left = got; left > 0; left -= chunk.length) wanted.update(chunk.subarray(0, Math.min(left, chunk.length)));
  assert.equal(check.digest('hex'), wanted.digest('hex'));
  await socket.close();
});

test('where reading cannot be stopped, a reader that is too slow is told so', async (t) => {
  // A WebSocket as browsers have it.
  class Plain {
    constructor(url) {
      this.inner = new WebSocket(url);
      for (const type of ['open', 'message', 'close', 'error']) this.inner['on' + type] = (event) => this['on' + type](event);
    }
    send(data) {
      this.inner.send(data);
    }
    close() {
      this.inner.close();
    }
  }
  const { socket, log } = await connected(t, source(Buffer.alloc(65_536, 120)), { WebSocket: Plain, maxBuffer: 1_000_000 });
  await until(() => log.some(([name]) => name === 'onClose'));
  const [, error] = log.find(([name]) => name === 'onError');
  assert.equal(error.code, 'TOO_SLOW');
  assert.match(error.message, /1000000 bytes.*maxBuffer/);
  let got = 0;
  const reading = (async () => {
    for await (const bytes of socket) got += bytes.length;
  })();
  await assert.rejects(reading, error);
  assert.ok(got > 900_000 && got <= 1_000_000, `${got} bytes were kept`);
});

test('without a WebSocket the error says what to give', (t) => {
  const { WebSocket } = globalThis;
  const given = WS2S.WebSocket;
  t.after(() => {
    if (WebSocket) globalThis.WebSocket = WebSocket;
    WS2S.WebSocket = given;
  });
  delete globalThis.WebSocket;
  delete WS2S.WebSocket;
  assert.throws(() => new WS2S('ws://pi').newSocket(), /option WebSocket/);
});

test('a program written for ws2s runs unchanged', async (t) => {
  const server = await ws2sServer(t);
  let heard = '';
  const target = await tcpServer(t, (peer) => peer.on('data', (data) => {
    heard += data;
    if (heard.endsWith('two\r\n')) peer.end(`got ${heard.length}`);
  }));
  const lines = [];
  class Led extends WebSocket {
    constructor(url) {
      assert.equal(url, 'wss://192.0.2.9/');
      super(server.url);
    }
    send(data, ...rest) {
      super.send(data.replace('"host":"192.0.2.10","port":7', `"host":"127.0.0.1","port":${target.port}`), ...rest);
    }
  }
  const context = vm.createContext({
    ...{ AbortController, TextDecoder, TextEncoder, URL, Uint8Array, WebSocket: Led, atob, btoa },
    ...{ clearInterval, clearTimeout, setInterval, setTimeout },
    console: { log: (...args) => lines.push(args) },
  });
  const [client, example] = await Promise.all(
    ['../../src/assets/client/ws2s.js', 'examples/ws2s.js'].map((file) => readFile(new URL(file, import.meta.url), 'utf8')),
  );
  vm.runInContext(client, context);
  vm.runInContext(example, context);
  await until(() => lines.some(([line]) => line === 'closed'));
  assert.deepEqual(lines.map(([line]) => line), ['ready', 'open', 'received', 'closed']);
  assert.equal(text(lines[2][1]), 'got 10');
});

test('a signal takes a call back, calls a dial off, and closes a socket', async (t) => {
  const server = await ws2sServer(t);
  const { port } = await tcpServer(t, echo);
  const make = (options) => {
    const socket = new WS2S(server.url, { WebSocket }).newSocket(options);
    t.after(() => socket.close());
    return socket;
  };
  const socket = make();
  await assert.rejects(socket.send('never', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const control = new AbortController();
  const waits = socket.send('waits', control);
  control.abort(new Error('enough'));
  await assert.rejects(waits, { message: 'enough' });
  await socket.connect('127.0.0.1', port);
  await socket.send('sent');
  assert.ok(!server.last.received.some((text) => /never|waits/.test(text)));

  const dial = new AbortController();
  const dialling = make();
  const closed = new Promise((resolve) => (dialling.onClose = resolve));
  const dialled = dialling.connect('127.0.0.1', port, dial);
  dial.abort();
  await assert.rejects(dialled, { name: 'AbortError' });
  await closed;

  const whole = new AbortController();
  const ended = make(whole);
  const over = new Promise((resolve) => (ended.onClose = resolve));
  await ended.connect('127.0.0.1', port);
  whole.abort();
  await over;
});

test('a server that has stopped answering is lost', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const server = await ws2sServer(t);
  const socket = new WS2S(server.url, { WebSocket }).newSocket();
  t.after(() => socket.close());
  await new Promise((resolve) => (socket.onReady = resolve));
  server.speaks.message = () => {};
  const closed = new Promise((resolve) => (socket.onClose = resolve));
  t.mock.timers.tick(50_000);
  t.mock.timers.tick(50_000);
  assert.equal((await closed).reason, 'no answer');
});
