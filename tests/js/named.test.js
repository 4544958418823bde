/** LocalWebSocket and BroadcastWebSocket against a server that does what the test tells it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BroadcastWebSocket, FAST, LocalWebSocket, NetworkWebSocket, addresses, named } from './support/clients.js';
import { fakeServer } from './support/fake.js';
import { event, record, until } from './support/wait.js';

/** A member that is connected. */
async function member(t, server, options) {
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url, ...options });
  await event(socket, 'open');
  return socket;
}

test('the address is made of server, kind and name; the original\'s is the default', () => {
  const { seen, WebSocket } = addresses();
  LocalWebSocket('a', undefined, { WebSocket }).close();
  new BroadcastWebSocket('org.example+x=*-_.', ['p', 'q'], { WebSocket, server: 'https://host:1/', echo: true }).close();
  new LocalWebSocket(7, undefined, { WebSocket, server: new URL('ws://host/prefix/') }).close();
  new LocalWebSocket('a', undefined, { WebSocket, script: 'https://host/prefix/client/named.js?v=1' }).close();
  new LocalWebSocket('a', undefined, { WebSocket, script: 'https://my.site/js/named.js' }).close();
  assert.deepEqual(seen, [
    'ws://localhost:9009/local/a?presence=1',
    ['wss://host:1/broadcast/org.example+x=*-_.?presence=1&echo=1', ['p', 'q']],
    'ws://host/prefix/local/7?presence=1',
    'wss://host/prefix/local/a?presence=1',
    'ws://localhost:9009/local/a?presence=1',
  ]);
});

test('a server for all instances may be set on the function', () => {
  const { seen, WebSocket } = addresses();
  LocalWebSocket.server = 'ws://pi:9009';
  try {
    new LocalWebSocket('a', undefined, { WebSocket }).close();
  } finally {
    delete LocalWebSocket.server;
  }
  assert.deepEqual(seen, ['ws://pi:9009/local/a?presence=1']);
});

test('a name that cannot be is refused with the original\'s words', () => {
  const { seen, WebSocket } = addresses();
  const bad = ['', ' ', 'a b', 'a/b', 'ä', '.', '..', 'a\n', '#', '?', '%41', 'x'.repeat(256), undefined, null];
  for (const name of bad) {
    assert.throws(
      () => new LocalWebSocket(name, undefined, { WebSocket }),
      (error) => error instanceof Error && String(error) === `Invalid Service Name${name === '' ? '' : `: ${name}`}`,
      `${name}`,
    );
  }
  assert.deepEqual(seen, []);
  new LocalWebSocket('x'.repeat(255), undefined, { WebSocket }).close();
  assert.equal(seen.length, 1);
});

test('it has what a WebSocket has', async (t) => {
  const server = await fakeServer(t);
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url });
  assert.ok(socket instanceof LocalWebSocket);
  assert.equal(socket.readyState, LocalWebSocket.CONNECTING);
  assert.equal(socket.url, `${server.url}/local/demo?presence=1`);
  assert.deepEqual([socket.binaryType, socket.protocol, socket.extensions, socket.bufferedAmount], ['blob', '', '', 0]);
  await event(socket, 'open');
  assert.equal(socket.readyState, LocalWebSocket.OPEN);
  assert.throws(() => socket.close(1005), 'a code that WebSocket refuses');
  assert.equal(socket.readyState, socket.OPEN);
  const closed = event(socket, 'close');
  socket.close(3001, 'enough');
  assert.equal(socket.readyState, socket.CLOSING);
  const { code, reason, wasClean } = await closed;
  assert.deepEqual({ code, reason, wasClean }, { code: 3001, reason: 'enough', wasClean: true });
  assert.equal(socket.readyState, socket.CLOSED);
});

test('text and binary reach the others as they are, through handlers and listeners', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = [await member(t, server), await member(t, server)];
  bob.binaryType = 'arraybuffer';
  const viaHandler = [];
  bob.onmessage = function (happened) {
    assert.equal(this, bob);
    assert.equal(happened.target, bob);
    viaHandler.push(happened.data);
  };
  const messages = record(bob, 'message');
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  alice.send('text');
  alice.send(bytes);
  alice.send('{"json":1}');
  await until(() => messages.length === 3);
  assert.deepEqual(messages.map((happened) => happened.data), ['text', bytes.buffer, '{"json":1}']);
  assert.deepEqual(viaHandler, messages.map((happened) => happened.data));
  assert.ok(messages.every((happened) => happened instanceof MessageEvent));

  bob.binaryType = 'blob';
  const arrived = event(bob, 'message');
  alice.send(new Blob([bytes]));
  const { data } = await arrived;
  assert.deepEqual(await data.arrayBuffer(), bytes.buffer);
});

test('presence is counted, told, and kept from messages', async (t) => {
  const server = await fakeServer(t);
  const alice = await member(t, server);
  const messages = record(alice, 'message');
  const order = [];
  alice.addEventListener('connect', () => order.push(['listener', alice.peerCount]));
  alice.onconnect = () => order.push(['handler', alice.peerCount]);
  alice.ondisconnect = () => order.push(['gone', alice.peerCount]);
  assert.equal(alice.peerCount, 0);

  const bob = await member(t, server);
  await until(() => bob.peerCount === 1 && alice.peerCount === 1);
  const carol = await member(t, server);
  await until(() => carol.peerCount === 2 && alice.peerCount === 2);
  bob.close();
  await until(() => alice.peerCount === 1);
  carol.send('after');
  await until(() => messages.length > 0);
  assert.deepEqual(order, [['listener', 1], ['handler', 1], ['listener', 2], ['handler', 2], ['gone', 1]]);
  assert.deepEqual(messages.map((happened) => happened.data), ['after']);
});

test('bytes that spell presence are a message', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = [await member(t, server), await member(t, server)];
  await until(() => bob.peerCount === 1);
  // The last one is what `ws` adds for node; it turns into text as easily as text does.
  for (const binaryType of ['arraybuffer', 'nodebuffer']) {
    bob.binaryType = binaryType;
    const arrived = event(bob, 'message');
    alice.send(Buffer.from('____disconnect'));
    assert.equal(String(Buffer.from((await arrived).data)), '____disconnect');
  }
  assert.equal(bob.peerCount, 1);
});

test('what is sent before the connection waits, as it was when it was sent', async (t) => {
  const server = await fakeServer(t);
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url });
  const bytes = Uint8Array.of(0, 1, 2, 3);
  socket.send('first');
  socket.send(bytes.subarray(1, 3));
  socket.send(bytes.buffer);
  socket.send(Buffer.from('né'));
  socket.send(new Blob(['blob']));
  socket.send(42);
  assert.equal(socket.bufferedAmount, 5 + 2 + 4 + 3 + 4 + 2);
  bytes.fill(9);
  socket.onopen = () => socket.send('last');
  await until(() => server.last?.received.length === 7);
  const received = server.last.received.map((message) => (typeof message === 'string' ? message : [...message]));
  assert.deepEqual(received, ['first', [1, 2], [0, 1, 2, 3], [...Buffer.from('né')], [...Buffer.from('blob')], '42', 'last']);
});

test('what does not fit, and what comes after the end, is told', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url, queueLimit: 2 });
  const dropped = [];
  socket.ondrop = ({ data, code }) => dropped.push([data, code]);
  for (const text of ['a', 'b', 'c']) socket.send(text);
  assert.deepEqual(dropped.splice(0), [['c', 'QUEUE_FULL']]);
  const closed = event(socket, 'close');
  socket.close();
  socket.send('d');
  await closed;
  socket.send('e');
  assert.deepEqual(dropped, [['d', 'CLOSED'], ['a', 'CLOSED'], ['b', 'CLOSED'], ['e', 'CLOSED']]);
  assert.equal(socket.bufferedAmount, 0);
});

test('a hundred messages wait by default', () => {
  const { WebSocket } = addresses();
  const socket = new LocalWebSocket('demo', undefined, { WebSocket });
  const dropped = record(socket, 'drop');
  for (let i = 0; i < 102; i += 1) socket.send(String(i));
  assert.deepEqual(dropped.map((happened) => happened.data), ['100', '101']);
  socket.close();
});

test('a lost connection is made again: peers leave and come, messages wait, no close is told', async (t) => {
  const server = await fakeServer(t);
  const alice = await member(t, server, { reconnect: FAST });
  const bob = await member(t, server, { reconnect: FAST });
  await until(() => alice.peerCount === 1 && bob.peerCount === 1);
  alice.binaryType = 'arraybuffer';
  const seen = record(alice, 'lost', 'open', 'close', 'connect', 'disconnect', 'message');
  server.cut();
  await event(alice, 'lost');
  assert.equal(alice.peerCount, 0);
  assert.equal(alice.readyState, LocalWebSocket.CONNECTING);
  await until(() => alice.readyState === 1 && alice.peerCount === 1 && bob.peerCount === 1);
  bob.send(Uint8Array.of(1));
  const message = await until(() => seen.find((happened) => happened.type === 'message'));
  assert.ok(message.data instanceof ArrayBuffer, 'binaryType survives');
  assert.deepEqual(seen.map((happened) => happened.type), ['lost', 'disconnect', 'open', 'connect', 'message']);

  server.isRefusing = true;
  server.cut();
  await until(() => alice.readyState === 0);
  alice.send('sent while away');
  server.isRefusing = false;
  await until(() => server.connections.some((connection) => connection.received.includes('sent while away')));
});

test('retries wait a random time below a bound that doubles up to a maximum', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const reconnect = { min: 2, max: 16 };
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url, reconnect });
  const seen = record(socket, 'error', 'lost');
  await until(() => seen.length >= 24);
  assert.deepEqual(seen.slice(0, 4).map((happened) => happened.type), ['error', 'lost', 'error', 'lost']);
  const lost = seen.filter((happened) => happened.type === 'lost');
  for (const [attempt, happened] of lost.entries()) {
    assert.equal(happened.attempt, attempt);
    const bound = Math.min(reconnect.max, reconnect.min * 2 ** attempt);
    assert.ok(happened.retryMs >= 0 && happened.retryMs < bound, `${happened.retryMs} < ${bound}`);
  }
  server.isRefusing = false;
  await event(socket, 'open');
});

test('a connection that lasted starts the backoff anew', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const client = named(t, LocalWebSocket, 'demo', undefined, { server: server.url, reconnect: FAST });
  await event(client, 'lost', ({ attempt }) => attempt === 3);
  server.isRefusing = false;
  await event(client, 'open');
  const later = Date.now() + FAST.max + 1;
  t.mock.method(Date, 'now', () => later);
  const lost = event(client, 'lost');
  server.cut();
  assert.equal((await lost).attempt, 0);
});

test('close ends the attempts', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const [ended, clock] = ['ended', 'clock'].map((name) => 
    named(t, LocalWebSocket, name, undefined, { server: server.url, reconnect: FAST }),
  );
  ended.addEventListener('lost', () => ended.close());
  await event(ended, 'close');
  const attempts = () => server.refused.filter((url) => url.includes('ended')).length;
  assert.equal(attempts(), 1);
  // Time enough for the attempt that must not come: another client's make it visible.
  await event(clock, 'lost', ({ attempt }) => attempt === 10);
  assert.equal(attempts(), 1);
});

test('without reconnect the end is told as a WebSocket tells it', async (t) => {
  const server = await fakeServer(t);
  const socket = await member(t, server, { reconnect: false });
  const other = await member(t, server, { reconnect: false });
  await until(() => socket.peerCount === 1 && other.peerCount === 1);
  const seen = record(socket, 'lost', 'disconnect', 'close');
  server.cut();
  const { code, wasClean } = await event(socket, 'close');
  assert.deepEqual({ code, wasClean }, { code: 1006, wasClean: false });
  assert.deepEqual(seen.map((happened) => happened.type), ['disconnect', 'close']);
  assert.equal(socket.readyState, LocalWebSocket.CLOSED);
  assert.equal(server.connections.length, 2);
});

test('close between two attempts ends it with one close event', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const reconnect = { min: 1e6, max: 1e6 };
  const socket = named(t, LocalWebSocket, 'demo', undefined, { server: server.url, reconnect });
  const seen = record(socket, 'lost', 'close');
  await event(socket, 'lost');
  const closed = event(socket, 'close');
  socket.close();
  socket.close();
  await closed;
  assert.deepEqual(seen.map((happened) => happened.type), ['lost', 'close']);
  assert.equal(server.refused.length, 1);
});

test('a handler that throws disturbs nobody else', async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const server = await fakeServer(t);
  const [alice, bob] = [await member(t, server), await member(t, server)];
  bob.onmessage = () => {
    throw new Error('handler');
  };
  const seen = record(bob, 'message');
  alice.send('1');
  alice.send('2');
  await until(() => seen.length === 2 && thrown.length === 2);
});

test('without a WebSocket the error says what to give', (t) => {
  const { WebSocket } = globalThis;
  const given = LocalWebSocket.WebSocket;
  t.after(() => {
    if (WebSocket) globalThis.WebSocket = WebSocket;
    LocalWebSocket.WebSocket = given;
  });
  delete globalThis.WebSocket;
  delete LocalWebSocket.WebSocket;
  assert.throws(() => new LocalWebSocket('demo'), /option WebSocket/);
});

/** A server that speaks the actions of network channels, as `/network/NAME` does. */
async function networkServer(t) {
  const server = await fakeServer(t);
  let ids = 0;
  const say = (connection, action) => connection.socket.send(JSON.stringify(action));
  server.speaks = {
    open(connection) {
      connection.id = String((ids += 1));
      for (const other of server.others(connection)) {
        say(other, { action: 'connect', source: other.id, target: connection.id });
        say(connection, { action: 'connect', source: connection.id, target: other.id });
      }
    },
    message(connection, message) {
      const { action, target, data } = JSON.parse(message);
      const said = { action, source: connection.id, target, data };
      if (action === 'status') say(connection, { ...said, target: connection.id });
      else if (target) server.others(connection).filter(({ id }) => id === target).forEach((other) => say(other, said));
      else server.others(connection).forEach((other) => say(other, said));
    },
    close(connection) {
      for (const other of server.others(connection)) {
        say(other, { action: 'disconnect', source: other.id, target: connection.id });
      }
    },
  };
  return server;
}

/** A peer that is connected and knows its id. */
async function peer(t, server, options) {
  const socket = named(t, NetworkWebSocket, 'demo', undefined, { server: server.url, ...options });
  await until(() => socket.id);
  return socket;
}

test('peers are told with an object each, which is gone when they are', async (t) => {
  const server = await networkServer(t);
  const alice = await peer(t, server);
  assert.equal(alice.url, `${server.url}/network/demo`);
  const told = record(alice, 'connect', 'disconnect');
  const bob = await peer(t, server);
  await until(() => alice.peers.length === 1 && bob.peers.length === 1);
  const [toBob] = alice.peers;
  assert.deepEqual([alice.peerCount, toBob.id, toBob.readyState, toBob.url], [1, bob.id, 1, '#']);
  assert.equal(told[0].detail.target, toBob);
  const seen = record(toBob, 'close');
  bob.close();
  await until(() => alice.peers.length === 0);
  assert.deepEqual(told.map((happened) => happened.type), ['connect', 'disconnect']);
  assert.equal(told[1].detail.target, toBob);
  assert.deepEqual(seen.map(({ code, reason }) => [code, reason]), [[3000, 'Closed by remote peer']]);
  assert.equal(alice.peerCount, 0);
  assert.throws(() => toBob.send('x'), /gone/);
});

test('what is sent to all reaches all, what is sent to one reaches that one, through its object', async (t) => {
  const server = await networkServer(t);
  const [alice, bob, carol] = [await peer(t, server), await peer(t, server), await peer(t, server)];
  await until(() => [alice, bob, carol].every(({ peers }) => peers.length === 2));
  const atBob = record(bob, 'message');
  const fromAlice = bob.peers.find(({ id }) => id === alice.id);
  const direct = [];
  fromAlice.onmessage = ({ data, target }) => direct.push([data, target]);
  const atCarol = record(carol, 'message');
  const others = record(carol.peers[0], 'message');
  alice.send('to all');
  alice.peers.find(({ id }) => id === bob.id).send('to \u00fc "bob"');
  alice.send('');
  await until(() => atBob.length === 2 && atCarol.length === 2);
  assert.deepEqual(atBob.map(({ data }) => data), ['to all', '']);
  assert.deepEqual(direct, [['to \u00fc "bob"', fromAlice]]);
  assert.deepEqual([atCarol.length, others.length], [2, 0]);
});

test('peers are there to be listened to before anything of theirs is told', async (t) => {
  const server = await networkServer(t);
  const alice = await peer(t, server);
  const opened = new Promise((resolve) => {
    alice.onconnect = ({ detail }) => (detail.target.onopen = () => resolve(detail.target));
  });
  const bob = await peer(t, server);
  assert.equal((await opened).id, bob.id);
});

test('closing a peer ends it on this side alone', async (t) => {
  const server = await networkServer(t);
  const [alice, bob] = [await peer(t, server), await peer(t, server)];
  await until(() => alice.peers.length === 1 && bob.peers.length === 1);
  const [toBob] = alice.peers;
  const seen = record(toBob, 'close', 'message');
  toBob.close();
  toBob.close();
  bob.peers[0].send('not heard');
  const arrived = event(alice, 'message');
  bob.send('heard');
  assert.equal((await arrived).data, 'heard');
  assert.deepEqual(seen.map(({ type, code }) => [type, code]), [['close', 3001]]);
  assert.equal(alice.peers[0], toBob);
});

test('only text travels between peers', async (t) => {
  const server = await networkServer(t);
  const alice = await peer(t, server);
  for (const data of [{}, [1], new Uint8Array(1), new Blob([])]) assert.throws(() => alice.send(data), TypeError);
});

test('a network that is lost has no peers until it is back, and what was sent meanwhile waits', async (t) => {
  const server = await networkServer(t);
  const [alice, bob] = [await peer(t, server, { reconnect: FAST }), await peer(t, server, { reconnect: FAST })];
  await until(() => alice.peers.length === 1 && bob.peers.length === 1);
  const before = alice.id;
  server.isRefusing = true;
  server.cut();
  await event(alice, 'lost');
  assert.deepEqual([alice.peers.length, alice.peerCount], [0, 0]);
  const dropped = record(alice, 'drop');
  for (let i = 0; i < 101; i += 1) alice.send(`${i}`);
  assert.deepEqual(dropped.map(({ data, code }) => [data, code]), [['100', 'QUEUE_FULL']]);
  server.isRefusing = false;
  await until(() => alice.peers.length === 1 && bob.peers.length === 1 && alice.id !== before);
});
