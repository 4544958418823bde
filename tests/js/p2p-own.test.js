/** The Socket.IO client inside p2p.js, against a server that does what the test tells it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAST, WebSocket, addresses } from './support/clients.js';
import { connectP2p, heard, next } from './support/devices.js';
import { fakeServer } from './support/fake.js';
import { until } from './support/wait.js';

/** A server that opens sessions and keeps silent otherwise: `say(...frames)` speaks on the newest connection. */
async function engine(t, { pingInterval = 25_000, pingTimeout = 20_000, welcome = '40{"sid":"s"}', ...options } = {}) {
  const server = await fakeServer(t, options);
  server.say = (...frames) => frames.forEach((frame) => server.last.socket.send(frame));
  server.speaks = {
    open: (connection) => connection.socket.send(`0${JSON.stringify({ sid: 'e', upgrades: [], pingInterval, pingTimeout, maxPayload: 1e6 })}`),
    message(connection, message) {
      if (String(message).startsWith('40')) connection.socket.send(welcome);
    },
    close() {},
  };
  return server;
}

function line(t, server, options) {
  const opened = connectP2p(server.url, 'A', { WebSocket, reconnect: FAST, ...options });
  t.after(() => opened.close());
  return opened;
}

async function joined(t, options, engineOptions) {
  const server = await engine(t, engineOptions);
  const a = line(t, server, options);
  await next(a, 'connect');
  return [server, a];
}

/** What the server heard since the session was joined. */
const said = (server) => server.last.received.slice(1).map((frame) => (typeof frame === 'string' ? frame : [...frame]));

test('the address says who it is and what it speaks', () => {
  const { seen, WebSocket: Recorder } = addresses();
  const options = { WebSocket: Recorder };
  connectP2p('http://host:9009', 'A', options).close();
  connectP2p('https://host/x?token=1#y', 'a b', { ...options, path: '/p2p/' }).close();
  connectP2p(new URL('ws://host?deviceId=B'), undefined, options).close();
  assert.deepEqual(seen, [
    'ws://host:9009/socket.io/?clientId=A&EIO=4&transport=websocket',
    'wss://host/p2p/?token=1&clientId=a+b&EIO=4&transport=websocket',
    'ws://host/socket.io/?deviceId=B&EIO=4&transport=websocket',
  ]);
  assert.throws(() => connectP2p('relative', 'A', options));
  assert.throws(() => connectP2p('ws://host', 'A', { WebSocket: null }), /give one as the option WebSocket/);
});

test('a connection is joined with what it has to show, and has its id', async (t) => {
  const server = await engine(t, { welcome: '40{"sid":"s1"}' });
  const a = line(t, server, { auth: { token: 'x' } });
  assert.deepEqual([a.connected, a.id, a.clientId], [false, undefined, 'A']);
  await next(a, 'connect');
  assert.deepEqual([a.connected, a.id, a.bufferedAmount], [true, 's1', 0]);
  assert.deepEqual(server.last.received, ['40{"token":"x"}']);
});

test('events and acks go out as the protocol says', async (t) => {
  const [server, a] = await joined(t);
  const bytes = Uint8Array.of(1, 2, 3);
  const answers = [];
  a.emit('plain', 1, null, undefined, { a: 'é' });
  a.emit('asked', (...args) => answers.push(args));
  a.emit('bytes', bytes.subarray(1), { deep: [bytes.buffer, new DataView(bytes.buffer, 2)] }, (...args) => answers.push(args));
  a.emit('buffer', Buffer.from('b'));
  await until(() => said(server).length === 8);
  assert.deepEqual(said(server), [
    '42["plain",1,null,null,{"a":"é"}]',
    '421["asked"]',
    '453-2["bytes",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]}]',
    [2, 3],
    [1, 2, 3],
    [3],
    '451-["buffer",{"_placeholder":true,"num":0}]',
    [98],
  ]);
  // Unknown and repeated answers are nobody's.
  server.say('439[1]', '431[1,"two"]', '431[2]', '461-2[{"_placeholder":true,"num":0}]', Buffer.from([9]));
  await until(() => answers.length === 2);
  assert.deepEqual(answers, [[1, 'two'], [Uint8Array.of(9).buffer]]);
});

test('events come in with their attachments, and are answered once', async (t) => {
  const [server, a] = await joined(t);
  const seen = heard(a, 'text', 'bytes');
  a.on('ask', (...args) => {
    const ack = args.pop();
    ack(args, Uint8Array.of(7));
    ack('again');
  });
  server.say('42["text",{"_placeholder":true,"num":0}]');
  server.say('452-["bytes",[{"_placeholder":true,"num":1}],{"_placeholder":true,"num":0}]', Buffer.from([1]), '2', Buffer.from([2]));
  server.say('4213["ask",1]', '42/,["text"]', '2probe');
  await until(() => said(server).length === 4 && seen.length === 3);
  assert.deepEqual(seen, [
    ['text', { _placeholder: true, num: 0 }],
    ['bytes', [Uint8Array.of(2).buffer], Uint8Array.of(1).buffer],
    ['text'],
  ]);
  assert.deepEqual(said(server), ['3', '461-13[[1],{"_placeholder":true,"num":0}]', [7], '3probe']);
});

test('no event of a peer looks like one of the client itself', async (t) => {
  const [server, a] = await joined(t);
  const seen = heard(a, 'connect', 'connect_error', 'disconnect', 'error', 'fine');
  for (const name of ['connect', 'connect_error', 'disconnect', 'error', 'fine']) server.say(`42["${name}",1]`);
  await until(() => seen.length);
  assert.deepEqual(seen, [['fine', 1]]);
});

test('what is no protocol ends the connection and nothing else', async (t) => {
  const [server, a] = await joined(t);
  const bad = ['4', '4x', '42', '42{', '42["x"', '42{}', '42null', '45', '451-["x",{"_placeholder":true,"num":0}]|42["y"]', '430', '430[1', '44', '40', '0', '0{'];
  for (const frames of [...bad, Buffer.from('early')]) {
    const ended = next(a, 'disconnect');
    const back = next(a, 'connect');
    server.say(...(typeof frames === 'string' ? frames.split('|') : [frames]));
    assert.equal((await ended)[0], 'parse error', String(frames));
    await back;
  }
  // What is not for us is left alone.
  server.say('', '6', '9', 'x');
  const fine = next(a, 'fine');
  server.say('42["fine"]');
  await fine;
});

test('a listener that throws disturbs nobody', async (t) => {
  const [server, a] = await joined(t);
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  a.on('x', () => {
    throw new Error('mine');
  });
  const seen = heard(a, 'x');
  server.say('42["x"]', '42["x"]');
  await until(() => seen.length === 2 && thrown.length === 2);
  assert.deepEqual(thrown, ['mine', 'mine']);
  assert.equal(a.connected, true);
});

test('a server that refuses is told of and left alone', async (t) => {
  const server = await engine(t, { welcome: '44{"message":"Invalid namespace","data":{"why":1}}' });
  const a = line(t, server);
  const [error] = await next(a, 'connect_error');
  assert.deepEqual([error.message, error.data], ['Invalid namespace', { why: 1 }]);
  await until(() => server.connections[0].isClosed);
  assert.equal(server.connections.length, 1);

  server.speaks.message = (connection) => connection.socket.send('40{"sid":"s"}');
  a.connect();
  await next(a, 'connect');
  const ended = next(a, 'disconnect');
  server.say('41');
  assert.deepEqual((await ended)[0], 'io server disconnect');
  a.connect();
  await next(a, 'connect');
  assert.equal(server.connections.length, 3);
});

test('silence is noticed, and a ping is answered', async (t) => {
  const [server, a] = await joined(t, {}, { pingInterval: 20, pingTimeout: 20 });
  assert.equal((await next(a, 'disconnect'))[0], 'ping timeout');
  await next(a, 'connect');
  assert.equal(server.connections.length, 2);
});

test('a lost connection is made again, and what waited is sent in order', async (t) => {
  const [server, a] = await joined(t, { queueLimit: 3 });
  const dropped = heard(a, 'error');
  const ended = next(a, 'disconnect');
  server.isRefusing = true;
  server.cut();
  const [reason, detail] = await ended;
  assert.deepEqual([reason, detail.code, a.id, a.connected], ['transport close', 1006, undefined, false]);
  for (let i = 0; i < 5; i += 1) a.emit('late', i, () => {});
  assert.deepEqual(dropped.map(([, error]) => [error.code, error.args.slice(0, 2), error.message]), [
    ['QUEUE_FULL', ['late', 3], 'Dropped: late'],
    ['QUEUE_FULL', ['late', 4], 'Dropped: late'],
  ]);
  const errors = heard(a, 'connect_error');
  await until(() => server.refused.length >= 5 && errors.length >= 5);
  assert.equal(errors[0][1].message, 'transport close');
  server.isRefusing = false;
  await next(a, 'connect');
  await until(() => said(server).length === 3);
  assert.deepEqual(said(server), ['421["late",0]', '422["late",1]', '423["late",2]']);
});

test('without reconnect a lost connection stays lost; closing ends the wait for the next', async (t) => {
  const [server, a] = await joined(t, { reconnect: false });
  const b = line(t, server, { reconnect: { min: 1e6, max: 1e6 } });
  await next(b, 'connect');
  const ended = [next(a, 'disconnect'), next(b, 'disconnect')];
  server.cut();
  await Promise.all(ended);
  a.connect();
  await next(a, 'connect');
  const left = next(a, 'disconnect');
  assert.equal(a.close(), a);
  assert.equal((await left)[0], 'io client disconnect');
  await until(() => said(server).includes('41'));
  b.close();
  b.disconnect();
  assert.equal(server.connections.length, 3);
});

test('a call fails with its connection, its time or its signal', async (t) => {
  const [server, a] = await joined(t, { timeout: 20 });
  await assert.rejects(a.getClientList(), { code: 'TIMEOUT', message: 'No answer to LIST_CLIENTS within 20 ms' });
  const stop = new AbortController();
  const stopped = a.registerP2pTarget('B', { signal: stop.signal, timeout: 0 });
  stop.abort(new Error('enough'));
  await assert.rejects(stopped, { message: 'enough' });
  await assert.rejects(a.registerP2pTarget('B', { signal: AbortSignal.abort(new Error('before')) }), { message: 'before' });
  // An answer that comes too late leaves no partner that believes in us.
  await until(() => said(server).length === 2);
  server.say('432[true]');
  await until(() => said(server).includes('42["P2P_UNREGISTER"]'));
  assert.equal(a.targetClientId, undefined);

  const lost = a.registerP2pTarget('B', { timeout: 0 });
  await until(() => said(server).length === 4);
  server.cut();
  await assert.rejects(lost, { code: 'LOST', message: 'Disconnected: transport close' });
  await assert.rejects(a.call2('x'), { code: 'NOT_PAIRED' });
});

test('the first generation is spoken where the query says so, and its server is answered with events', async (t) => {
  const server = await engine(t);
  const a = connectP2p(`${server.url}?deviceId=A`, undefined, { WebSocket });
  t.after(() => a.close());
  await next(a, 'connect');
  assert.deepEqual([a.clientId, a.deviceId], ['A', 'A']);
  const paired = heard(a, 'P2P_REGISTER_SUCCESS');
  server.say('42["P2P_REGISTER","B"]', '42["P2P_REGISTER","C"]', '421["SERVER_PING"]', '422["P2P_REGISTER","B"]');
  await until(() => said(server).length === 4);
  assert.deepEqual(paired, [['P2P_REGISTER_SUCCESS', 'B']]);
  a.emit2('event', 1);
  a.emit2('event', 2, () => {});
  a.emitTo('C', 'event');
  await until(() => said(server).length === 7);
  assert.deepEqual(said(server), [
    '42["P2P_REGISTER_SUCCESS"]',
    '42["P2P_REGISTER_FAILED"]',
    '431["pong from client A"]',
    '432[true]',
    '42["P2P_EMIT",{"targetDeviceId":"B","event":"event","args":[1]}]',
    '421["P2P_EMIT_ACKNOWLEDGE",{"targetDeviceId":"B","event":"event","args":[2]}]',
    '42["P2P_EMIT",{"targetDeviceId":"C","event":"event","args":[]}]',
  ]);
  server.say('42["P2P_DISCONNECT"]', '42["P2P_REGISTER","C"]');
  await until(() => a.targetDeviceId === 'C');
});

test('what a peer puts in place of chunks and acks harms nobody', async (t) => {
  const [server, a] = await joined(t);
  const streams = [];
  a.onAddP2pStream((stream) => streams.push(stream));
  const offer = (id) => `42["CREATE_STREAM",{"sourceStreamId":"${id}","targetStreamId":"mine-${id}","sourceClientId":"B"},"no ack"]`;
  const chunk = (id, ...args) => `42${JSON.stringify([`P2P_EMIT_STREAM-from-stream-${id}`, ...args])}`;
  server.say(offer('x'), offer('y'), '42["CREATE_STREAM"]', '42["CREATE_STREAM",null]');
  await until(() => streams.length === 4);
  const [x, y] = streams;
  const chunks = [];
  x.on('data', (data) => chunks.push(data));
  // As many chunks as somebody likes who does not wait, where nobody reads.
  const flooded = next(y, 'error');
  server.say(chunk('x', 1e9, 'no ack'), chunk('x', [1, 2]), chunk('x', { length: 1e9 }), chunk('x', 'é'), chunk('x'));
  for (let i = 0; i < 70; i += 1) server.say(chunk('y', 'z'));
  await until(() => chunks.length === 5);
  assert.deepEqual(chunks, [1e9, Uint8Array.of(1, 2), { length: 1e9 }, Uint8Array.of(195, 169), undefined]);
  assert.equal((await flooded)[0].code, 'FLOOD');
  assert.deepEqual([x.destroyed, y.destroyed, a.connected], [false, true, true]);
  await until(() => said(server).some((frame) => frame === '42["P2P_EMIT","B","PEER_STREAM_DESTROYED",["mine-y"],null]'));
  // A handler that fails ends its stream.
  const failed = next(x, 'error');
  x.on('data', async () => {
    throw new Error('disk full');
  });
  server.say(chunk('x', 'last'));
  assert.equal((await failed)[0].message, 'disk full');
});
