/** pocket.socket against servers that do what the test tells them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import vm from 'node:vm';
import { FAST, WebSocket, addresses } from './support/clients.js';
import { fakeServer } from './support/fake.js';
import { freshPocket, loadAgain, told } from './support/fresh.js';
import { pocketServer, receipt } from './support/pocket.js';
import { event, record, until } from './support/wait.js';

/** A page that is connected to these servers. */
async function page(t, servers, options) {
  const pocket = freshPocket(t, { reconnect: FAST, ...options });
  await pocket.socket.setup(servers.map((server) => server.url)).connect();
  return pocket;
}

/** A client that only a test knows: a plain WebSocket with the text of its frames. */
async function plain(t, server) {
  const socket = new WebSocket(server.url);
  t.after(() => socket.terminate());
  const texts = [];
  socket.onmessage = ({ data }) => texts.push(String(data));
  await new Promise((resolve) => (socket.onopen = resolve));
  return { socket, texts, messages: () => texts.map((text) => JSON.parse(text)).filter((json) => 'message' in json) };
}

const isAddressException = (message) => (error) => {
  assert.ok(error instanceof Error && error instanceof AddressException);
  assert.equal(error.name, 'AddressException');
  assert.match(error.message, message);
  return true;
};

const setups = [
  [['127.0.0.1:8001'], ['127.0.0.1:8001']],
  [['127.0.0.1', 8001], ['127.0.0.1:8001']],
  [['127.0.0.1', '8001'], ['127.0.0.1:8001']],
  [['127.0.0.1', [8001, 8009]], ['127.0.0.1:8001', '127.0.0.1:8009']],
  [['127.0.0.1:8001', 8009], ['127.0.0.1:8009']],
  [['127.0.0.1:8001', [8009, 8010]], ['127.0.0.1:8009', '127.0.0.1:8010']],
  [['127.0.0.1:8001', 'broadcast'], ['127.0.0.1:8001']],
  [[['a', 'b'], [1, 2]], ['a:1', 'a:2', 'b:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'mix'], ['a:1', 'a:2', 'b:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'flat'], ['a:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'broadcast'], ['a:1', 'a:2', 'b:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'overflow'], ['a:1', 'a:2', 'b:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'flat', 'overflow'], ['a:1', 'b:2']],
  [[['a', 'b'], [1, 2], 'overflow', 'flat'], ['a:1', 'b:2']],
  [[['a', 'b'], [1], 'mix', 'broadcast'], ['a:1', 'b:1']],
  [[['a', 'b'], 1], ['a:1', 'b:1']],
  [[['a:1', 'b:2']], ['a:1', 'b:2']],
  [[{ local: ['a', 1], dev: ['b', 2] }], ['a:1', 'b:2']],
  [[{ local: { ip: 'a', port: 1 }, dev: { ip: 'b', port: 2 } }, 'overflow'], ['a:1', 'b:2']],
  [[{ local: ['a', 1], dev: ['b', 2] }, null, 'mix'], ['a:1', 'a:2', 'b:1', 'b:2']],
  [[{ ip: 'a', port: 1 }], ['a:1']],
  [[], ['127.0.0.1:8001']],
  [['pi'], ['pi:8001']],
  [[undefined, 8009], ['127.0.0.1:8009']],
  [['[::1]:8009'], ['[::1]:8009']],
  [['pi:9009/pocket?room=x'], ['pi:9009/pocket?room=x']],
  [['wss://example.org/pocket'], ['wss://example.org/pocket']],
  [['ws://pi', [1, 2]], ['ws://pi:1', 'ws://pi:2']],
];
for (const [args, expected] of setups) {
  test(`setup(${args.map((arg) => JSON.stringify(arg)).join(', ')})`, (t) => {
    const { socket } = freshPocket(t);
    assert.equal(socket.setup('before', 1), socket.connection);
    assert.equal(socket.setup(...args), socket.connection);
    assert.equal(socket.connection.isSetup(), true);
    const list = socket.connection.list();
    assert.deepEqual(list.toArray(), expected);
    assert.equal(list.toString(), expected.join(','));
    assert.equal(`${list[0]}`, expected[0]);
    const words = args.filter((arg) => ['broadcast', 'overflow'].includes(arg));
    assert.equal(socket.connection.connectionType, words[0] ?? 'broadcast');
  });
}

test('the list of the README: every port of every address, or pairs', (t) => {
  const { connection, setup } = freshPocket(t).socket;
  setup(['192.168.0.55', '127.0.0.1', '44.343.134.135'], [8001, 8002, 8009, 8010], 'broadcast');
  const mix = connection.list('mix');
  assert.equal(mix.length, 12);
  assert.deepEqual([mix.toArray()[0], mix.toArray()[3], mix.toArray()[11]], ['192.168.0.55:8001', '192.168.0.55:8010', '44.343.134.135:8010']);
  assert.deepEqual([mix[0].ip, mix[0].port, mix[0].name], ['192.168.0.55', 8001, '']);
  assert.throws(() => connection.list('flat'), isAddressException(/same length for "flat"/));

  setup({ local: ['120.0.0.1', 8001], dev: ['192.168.0.55', 8009] });
  assert.equal(connection.list('flat').toString(), '120.0.0.1:8001,192.168.0.55:8009');
  assert.equal(connection.list('mix').length, 4);
  setup(connection.list('flat'));
  assert.deepEqual(connection.list().toArray(), ['120.0.0.1:8001', '192.168.0.55:8009']);

  assert.equal(connection.empty(), true);
  assert.equal(connection.isSetup(), false);
  assert.deepEqual(connection.list().toArray(), []);
  const list = [];
  const { ip, port, name } = connection.addToList(list, 'a', 1, 'name');
  assert.deepEqual([ip, port, name], ['a', 1, 'name']);
  assert.deepEqual(connection.addToList(list, 'a'), {});
  assert.deepEqual(connection.addToList(), {});
  assert.equal(String(list), 'a:1');
});

test('an address in any form becomes a URL', (t) => {
  const { seen, WebSocket } = addresses();
  const { socket } = freshPocket(t, { WebSocket });
  for (const [address, uri] of [
    ['pi:1', 'ws://pi:1'], ['ws://pi:1', 'ws://pi:1'], ['wss://pi:1/x', 'wss://pi:1/x'], ['https://pi:1/x', 'wss://pi:1/x'],
    ['wssh:1', 'ws://wssh:1'], [{ ip: 'pi', port: 1 }, 'ws://pi:1'], [['pi', 1], 'ws://pi:1'], ['[::1]:1', 'ws://[::1]:1'],
  ]) {
    socket.makeSocket(address);
    assert.equal(seen.at(-1), uri);
  }
});

test('connect takes what setup prepared, a list, an address, and the words in any place', (t) => {
  const forms = [
    [[], ['ws://a:1', 'ws://a:2', 'ws://b:1', 'ws://b:2']],
    [['flat'], ['ws://a:1', 'ws://b:2']],
    [[null, 'flat', 'broadcast'], ['ws://a:1', 'ws://b:2']],
    [['overflow'], ['ws://a:1']],
    [[['c:3', 'd:4'], 'broadcast'], ['ws://c:3', 'ws://d:4']],
    [[['c:3', 'd:4'], 'mix', 'overflow'], ['ws://c:3']],
    [[[['c', 3], { ip: 'd', port: 4 }]], ['ws://c:3', 'ws://d:4']],
    [['c:3'], ['ws://c:3']],
    [[{ ip: 'c', port: 3 }], ['ws://c:3']],
  ];
  for (const [args, expected] of forms) {
    const { seen, WebSocket } = addresses();
    const { socket } = freshPocket(t, { WebSocket });
    socket.setup(['a', 'b'], [1, 2]);
    assert.equal(typeof socket.connect(...args).then, 'function');
    assert.deepEqual(seen, expected, JSON.stringify(args));
  }
  const { seen, WebSocket } = addresses();
  const { socket } = freshPocket(t, { WebSocket });
  socket.setup(['a', 'b'], [1, 2]);
  socket.connect(socket.connection.list('flat'), 'broadcast');
  socket.connection.connect();
  assert.deepEqual(seen, ['ws://a:1', 'ws://b:2', 'ws://a:2', 'ws://b:1'], 'what is connected is not connected again');
});

test('an address that cannot be is an AddressException, before anything is connected', (t) => {
  const { seen, WebSocket } = addresses();
  const pocket = freshPocket(t, { WebSocket });
  const { socket } = pocket;
  assert.throws(() => socket.connect(), isAddressException(/Missing connections/));
  assert.throws(() => socket.connect([]), isAddressException(/Missing connections/));
  assert.throws(() => socket.setup(['127.0.0.1', '44.343.134.135'], [8001]).connect(), isAddressException(/44\.343/));
  assert.throws(() => socket.connect('ftp://pi:1'), isAddressException(/ftp/));
  assert.throws(() => socket.makeSocket('127..0.0.1:8001'), isAddressException(/127\.\.0/));
  assert.throws(() => socket.makeSocket(''), isAddressException(/without URI/));
  assert.throws(() => socket.makeSocket(), isAddressException(/without URI/));
  assert.throws(() => socket.sendTo(undefined, 'a'), isAddressException(/does not exist/));
  assert.throws(() => socket.signal('a', 'b', {}, {}), isAddressException(/does not exist/));
  assert.deepEqual(seen, []);
});

test('setup, on and connect are a chain; connecting and open are told', async (t) => {
  const server = await pocketServer(t);
  const { socket } = freshPocket(t);
  const seen = [];
  const address = `127.0.0.1:${server.port}`;
  const returned = socket.setup(address).on('socket', (name, data, which) => seen.push([name, data, which]));
  assert.equal(returned, socket.connection);
  const [connected] = await returned.connect();
  assert.deepEqual(seen.map(([name]) => name), ['connecting', 'open']);
  const [[, connecting], [, open, which]] = seen;
  assert.equal(String(connecting[0]), address);
  assert.equal(connecting[1], server.url);
  assert.equal(open.socket, connected);
  assert.equal(which, connected);
  assert.equal(open.socket.uri, server.url);
  assert.ok(open.data instanceof Event);
  assert.equal(connected.connected, true);
  assert.equal(connected.readyState, 1);
});

test('what is sent looks on the wire as the README says', async (t) => {
  const server = await pocketServer(t);
  const { socket } = await page(t, [server]);
  const values = [undefined, 'milk', { apples: 'green' }, 0, '', false, null, [1]];
  const ids = values.map((value) => socket.sendToAll('socket.message', value));
  ids.push(socket.send('Art can be very abstract.'));
  await until(() => server.last.received.length === values.length + 1);
  const sent = server.last.received;
  assert.match(sent[0], /^\{"id":"0\.[0-9a-v]+","message":"socket\.message","data":\{\}\}$/);
  assert.deepEqual(sent.map((text) => JSON.parse(text).data), [{}, 'milk', { apples: 'green' }, 0, '', false, null, [1], {}]);
  assert.equal(JSON.parse(sent.at(-1)).message, 'Art can be very abstract.');
  assert.deepEqual(ids, sent.map((text) => [JSON.parse(text).id]));
  assert.equal(new Set(ids.flat()).size, ids.length);
  for (const nothing of ['', null, undefined]) assert.equal(socket.sendToAll(nothing), false);
});

test('listeners for a channel and for one event of it are called', async (t) => {
  const server = await pocketServer(t);
  const { socket } = await page(t, [server]);
  const other = await plain(t, server);
  const seen = [];
  const note = (name) => (...args) => seen.push([name, ...args]);
  assert.equal(socket.on('clock', note('channel')), socket);
  socket.on('clock', 'tick', note('event')).on('clock', 'tock', note('other event')).on('bell', 'tick', note('other channel'));
  socket.on('clock.tick', note('whole'));
  socket.on('hello', note('hello'));
  other.socket.send('{"id":"1","message":"clock.tick","data":{"at":5}}');
  other.socket.send('{"id":"2","message":"hello"}');
  await until(() => seen.length === 4);
  const [active] = await socket.connect();
  const envelope = seen[0][2];
  assert.deepEqual(seen, [
    ['channel', 'tick', envelope, active],
    ['event', envelope, active],
    ['whole', 'clock.tick', envelope, active],
    ['hello', 'hello', seen[3][2], active],
  ]);
  const { __event, ...rest } = envelope;
  assert.deepEqual(rest, { id: '1', message: 'clock.tick', data: { at: 5 }, __channel: 'clock', __eventName: 'tick' });
  assert.equal(__event.data, '{"id":"1","message":"clock.tick","data":{"at":5}}');
});

test('what is no message is told as it came, bytes as bytes', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server]);
  const [active] = await pocket.socket.connect();
  active.binaryType = 'arraybuffer';
  const seen = told(pocket, 'message');
  const viaListener = record(active, 'message');
  const other = await plain(t, server);
  const frames = ['text', '5', '0', 'null', '""', '[1]', '{}', '{"message":5}', '{"message":null}', '{"__proto__":{"socket":"x"}}', '{"a"'];
  frames.forEach((frame) => other.socket.send(frame));
  // Bytes are bytes, whatever they spell.
  other.socket.send(Buffer.from('{"message":"a.b"}'));
  await until(() => seen.length === frames.length + 1);
  assert.deepEqual(seen.slice(0, -1).map(([, { data }]) => data), frames);
  assert.equal(Buffer.from(seen.at(-1)[1].data).toString(), '{"message":"a.b"}');
  assert.ok(seen.every(([, message]) => message instanceof MessageEvent));
  assert.deepEqual(viaListener.slice(1), seen.map(([, message]) => message), 'listeners get all, also the push that somebody came');
});

test('what the socket itself tells nobody else can say', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server]);
  const lines = told(pocket);
  const heard = [];
  pocket.socket.on('last', (name) => heard.push(name));
  const stranger = await plain(t, server);
  for (const message of ['socket.open', 'socket.message', 'socket.close', 'socket.disconnected', 'last.one']) stranger.socket.send(JSON.stringify({ message, data: {} }));
  await until(() => heard.length);
  assert.deepEqual(lines.map(([name]) => name), ['connected', 'message']);
});

test('clients that come and go are told', async (t) => {
  const server = await pocketServer(t);
  const { socket } = await page(t, [server]);
  const seen = [];
  socket.on('socket', 'connected', (e, which) => seen.push(['connected', e.address, e.port, which.uri]));
  socket.on('socket', 'disconnected', (e, which) => seen.push(['disconnected', e.address, e.port, which.uri]));
  const other = await plain(t, server);
  other.socket.close();
  await until(() => seen.length === 2);
  assert.deepEqual(seen, [
    ['connected', '127.0.0.1', 50000, server.url],
    ['disconnected', '127.0.0.1', 50000, server.url],
  ]);
});

test('receipts reach callbacks, promises and listeners for the id, once', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server]);
  const { socket } = pocket;
  const [active] = await socket.connect();
  const seen = [];
  const note = (name) => (...args) => seen.push([name, ...args]);
  const viaPromise = await socket.signal('channel', 'foo', note('signal'));
  assert.deepEqual([viaPromise.socket, viaPromise.time, viaPromise.attr], ['sent', '2013-05-07 12:34:56.123456', 'json']);
  await socket.signal('channel', 'foo', 'data', note('with data'));
  await socket.signal('channel', 'foo', 'data', active, note('to one'));
  const [id] = socket.send('a.b', 'data', note('send'));
  socket.sendTo(active, 'a.b', note('sendTo'));
  active.sendJson('a.b', {}, note('sendJson'));
  await socket.signal('last', 'one');
  assert.deepEqual(seen.map(([name]) => name), ['signal', 'with data', 'to one', 'send', 'sendTo', 'sendJson']);
  for (const [name, ...args] of seen) {
    assert.deepEqual([args.length, args[0].socket, args[1]], [2, 'sent', active], name);
  }
  server.last.socket.send(receipt(JSON.stringify({ id })));
  server.last.socket.send('{"socket":"sent","messageId":17,"attr":"string"}');
  server.last.socket.send('{"socket":"sent","messageId":null,"attr":"json"}');
  await socket.signal('really', 'last');
  assert.equal(seen.length, 6);
  assert.deepEqual(JSON.parse(server.last.received[0]), { id: viaPromise.messageId, message: 'channel.foo', data: {} });
});

test('a receipt that cannot come any more rejects the promise', async (t) => {
  const server = await fakeServer(t);
  server.answer = () => {};
  const { socket } = await page(t, [server]);
  const [active] = await socket.connect();
  const unanswered = socket.signal('a', 'b');
  await until(() => server.last.received.length === 1);
  server.cut();
  await assert.rejects(unanswered, { code: 'CLOSED' });
  // The server knows of the connection before the client does, which would put these in its queue.
  await until(() => server.connections.length === 2 && active.readyState === 1);
  const first = socket.signal('a', 'b');
  const last = Array.from({ length: 10_000 }, () => socket.signal('a', 'b')).at(-1);
  await assert.rejects(first, { code: 'NO_RECEIPT' });
  socket.close();
  await assert.rejects(last, { code: 'CLOSED' });
});

test('a message over several servers has one id, one receipt from each, and arrives once', async (t) => {
  const servers = [await pocketServer(t), await pocketServer(t)];
  const alice = await page(t, servers);
  const bob = await page(t, servers);
  const seen = [];
  bob.socket.on('clock', (name, envelope, which) => seen.push([name, envelope.data, envelope.id, which]));
  const receipts = [];
  const ids = alice.socket.send('clock.tick', 1, (_, which) => receipts.push(which.uri));
  await alice.socket.signal('clock', 'tock', 2);
  await alice.socket.signal('clock', 'end', 3);
  await until(() => seen.length === 3 && receipts.length === 2);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  assert.deepEqual(receipts.sort(), servers.map((server) => server.url).sort());
  // Both servers have sent everything before this arrives.
  await Promise.all(servers.map(async (server) => (await plain(t, server)).socket.send('{"message":"clock.over"}')));
  await until(() => seen.filter(([name]) => name === 'over').length === 2);
  assert.deepEqual(seen.slice(0, 3).map(([name, data]) => [name, data]), [['tick', 1], ['tock', 2], ['end', 3]]);
  assert.equal(seen.length, 5);

  // From one server the same id twice is two messages.
  const [carol] = [await plain(t, servers[0])];
  for (let i = 0; i < 2; i += 1) carol.socket.send('{"id":"again","message":"clock.again"}');
  await until(() => seen.filter(([name]) => name === 'again').length === 2);
});

test('only the latest thousand ids are remembered', async (t) => {
  const servers = [await pocketServer(t), await pocketServer(t)];
  const { socket } = await page(t, servers);
  const count = new Map();
  socket.on('n', (name) => count.set(name, (count.get(name) ?? 0) + 1));
  const [first, second] = [await plain(t, servers[0]), await plain(t, servers[1])];
  for (let i = 0; i <= 1000; i += 1) first.socket.send(`{"id":"id${i}","message":"n.n${i}"}`);
  await until(() => count.size === 1001);
  for (const i of [1000, 1, 0]) second.socket.send(`{"id":"id${i}","message":"n.n${i}"}`);
  await until(() => count.get('n0') === 2);
  assert.deepEqual([count.get('n1'), count.get('n1000')], [1, 1]);
});

test('signal and sendTo may mean one server', async (t) => {
  const servers = [await pocketServer(t), await pocketServer(t)];
  const { socket } = await page(t, servers);
  const others = await Promise.all(servers.map((server) => plain(t, server)));
  const single = socket.makeSocket(servers[1].url);
  await single.opened;
  await socket.signal('a', 'b', 1, single);
  const id = socket.sendTo(single, 'a.c', 2);
  await socket.signal('a', 'd', 3);
  await until(() => others[1].messages().length === 4);
  assert.deepEqual(others[0].messages().map(({ data }) => data), [3]);
  assert.deepEqual(others[1].messages().map(({ data }) => data), [1, 2, 3, 3]);
  assert.equal(others[1].messages()[1].id, id);
});

test('overflow: the first server that answers is the only one; the next one takes over', async (t) => {
  // Takes connections and never answers.
  const silent = net.createServer((socket) => t.after(() => socket.destroy()));
  t.after(() => silent.close());
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const refusing = await fakeServer(t);
  refusing.isRefusing = true;
  const [first, second] = [await pocketServer(t), await pocketServer(t)];
  const list = [`ws://127.0.0.1:${silent.address().port}`, refusing.url, first.url, second.url];

  const pocket = freshPocket(t, { reconnect: FAST, connectTimeout: 50 });
  const reconnects = told(pocket, 'reconnect');
  const [socket] = await pocket.socket.setup(list, null, 'overflow').connect();
  assert.equal(socket.uri, first.url);
  assert.equal(second.connections.length, 0);
  assert.deepEqual(reconnects.map(([, { retryMs }]) => retryMs), [0, 0], 'nobody waits while there are others to try');
  await pocket.socket.signal('a', 'b', 1);

  const closed = event(socket, 'close');
  first.isRefusing = true;
  first.cut();
  await closed;
  const receipt = pocket.socket.signal('a', 'b', 2);
  await receipt;
  assert.equal(socket.uri, second.url);
  assert.deepEqual([first, second].map((server) => server.last.received.map((text) => JSON.parse(text).data)), [[1], [2]]);

  // And round again.
  first.isRefusing = false;
  second.isRefusing = true;
  second.cut();
  await until(() => socket.connected && socket.uri === first.url);
  assert.equal(pocket.socket.send('a.b').length, 1);
});

test('a lost connection is made again; what is sent meanwhile arrives in order', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server]);
  const [active] = await pocket.socket.connect();
  const seen = told(pocket);
  server.isRefusing = true;
  server.cut();
  await until(() => seen.some(([name]) => name === 'reconnect'));
  assert.equal(active.readyState, 0);
  assert.equal(active.connected, false);
  const ids = [1, 2].map((data) => pocket.socket.sendTo(active, 'a.b', data));
  active.send('raw');
  const receipt = pocket.socket.signal('a', 'b', 3);
  server.isRefusing = false;
  await receipt;
  assert.equal(server.connections.length, 2);
  const received = server.last.received;
  assert.deepEqual(received.map((text) => (text === 'raw' ? text : JSON.parse(text).data)), [1, 2, 'raw', 3]);
  assert.deepEqual(ids, received.slice(0, 2).map((text) => JSON.parse(text).id));
  const names = seen.map(([name]) => name).filter((name) => name !== 'sent');
  assert.deepEqual(names.slice(0, 3), ['close', 'reconnect', 'connecting']);
  assert.equal(names.at(-1), 'open');
  assert.equal(seen[0][1].code, 1006);
  assert.deepEqual(await pocket.socket.connect(), [active], 'it is the same socket');
});

test('retries wait a random time below a bound that doubles up to a maximum', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const reconnect = { min: 2, max: 16 };
  const pocket = freshPocket(t, { reconnect });
  const seen = told(pocket, 'error', 'close', 'reconnect');
  pocket.socket.makeSocket(server.url);
  await until(() => seen.length >= 36);
  assert.deepEqual(seen.slice(0, 6).map(([name]) => name), ['error', 'close', 'reconnect', 'error', 'close', 'reconnect']);
  const retries = seen.filter(([name]) => name === 'reconnect').map(([, retry]) => retry);
  for (const [attempt, retry] of retries.entries()) {
    assert.equal(retry.attempt, attempt);
    const bound = Math.min(reconnect.max, reconnect.min * 2 ** attempt);
    assert.ok(retry.retryMs >= 0 && retry.retryMs < bound, `${retry.retryMs} < ${bound}`);
  }
  assert.ok(new Set(retries.map(({ retryMs }) => retryMs)).size > 1, 'not always the same time');
});

test('a connection that is cut at once does not start the backoff anew, one that lasted does', async (t) => {
  const server = await fakeServer(t);
  server.speaks = { open: (connection) => connection.socket.terminate(), close() {} };
  const pocket = freshPocket(t, { reconnect: { min: 1, max: 50 } });
  const random = t.mock.method(Math, 'random', () => 0.999);
  const retries = told(pocket, 'reconnect');
  const socket = pocket.socket.makeSocket(server.url);
  await until(() => retries.length >= 4);
  const waits = retries.slice(0, 4).map(([, { retryMs }]) => Math.round(retryMs));
  assert.deepEqual(waits, [1, 2, 4, 8]);
  server.speaks = { open() {}, close() {} };
  await until(() => socket.connected);
  const later = Date.now() + 51;
  t.mock.method(Date, 'now', () => later);
  const before = retries.length;
  server.cut();
  await until(() => retries.length > before);
  assert.equal(Math.round(retries[before][1].retryMs), 1);
  random.mock.restore();
});

test('a socket that never was connected says so, and may be connected later', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const pocket = freshPocket(t, { reconnect: false });
  const seen = told(pocket, 'drop', 'close');
  const socket = pocket.socket.makeSocket(server.url);
  pocket.socket.sendTo(socket, 'a.b', 1);
  await assert.rejects(socket.opened, isAddressException(/Not connected/));
  assert.equal(server.refused.length, 1);
  assert.equal(socket.readyState, 3);
  assert.deepEqual(seen.map(([name]) => name), ['drop', 'close']);
  const [, { code, data, message, id }] = seen[0];
  assert.deepEqual([code, data, message, typeof id], ['CLOSED', 1, 'a.b', 'string']);
  assert.equal(pocket.socket.sendTo(socket, 'a.b', 2), undefined);

  server.isRefusing = false;
  socket.reconnect();
  await until(() => socket.connected);
});

test('without reconnect a lost connection stays lost, and connect makes a new one', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server], { reconnect: false });
  const [active] = await pocket.socket.connect();
  const seen = told(pocket);
  server.cut();
  const closed = await event(active, 'close');
  assert.deepEqual([closed.code, active.readyState], [1006, 3]);
  assert.deepEqual(seen.map(([name]) => name), ['close']);
  await pocket.socket.connect();
  assert.equal(server.connections.length, 2);
});

test('what does not fit into the queue, and what nobody will send, is told', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const pocket = freshPocket(t, { reconnect: FAST, queueLimit: 2 });
  const drops = told(pocket, 'drop');
  const dropped = () => drops.splice(0).map(([, { data, code, socket }]) => [data, code, socket?.uri]);
  pocket.socket.send('a.b', 0);
  assert.deepEqual(dropped(), [[0, 'CLOSED', undefined]], 'there is nobody to connect to');
  await assert.rejects(pocket.socket.signal('a', 'b', 0), { code: 'CLOSED' });
  drops.length = 0;
  pocket.socket.setup(server.url).connect();
  const ids = [1, 2, 3].map((data) => pocket.socket.send('a.b', data)[0]);
  assert.deepEqual(ids.map((id) => typeof id), ['string', 'string', 'undefined']);
  assert.deepEqual(dropped(), [[3, 'QUEUE_FULL', server.url]]);
  await assert.rejects(pocket.socket.signal('a', 'b', 4), { code: 'QUEUE_FULL' });
  assert.deepEqual(dropped(), [[4, 'QUEUE_FULL', server.url]]);
  const active = pocket.socket.makeSocket(server.url);
  active.send('raw');
  await event(active, 'close');
  pocket.socket.close();
  await until(() => drops.length === 3);
  assert.deepEqual(dropped().map(([data, code]) => [data, code]).sort(), [[1, 'CLOSED'], [2, 'CLOSED'], ['raw', 'CLOSED']]);
  active.send('late');
  assert.deepEqual(dropped(), [['late', 'CLOSED', server.url]]);
});

test('a hundred messages wait by default', (t) => {
  const { WebSocket } = addresses();
  const pocket = freshPocket(t, { WebSocket });
  const drops = told(pocket, 'drop');
  pocket.socket.makeSocket('pi:1');
  for (let i = 0; i < 102; i += 1) pocket.socket.send('a.b', i);
  assert.deepEqual(drops.map(([, { data }]) => data), [100, 101]);
});

test('the first signal connects to what setup prepared', async (t) => {
  const server = await pocketServer(t);
  const { socket } = freshPocket(t);
  socket.setup(server.url);
  assert.equal(server.connections.length, 0);
  const { attr } = await socket.signal('client', 'connect', { who: 'me' });
  assert.equal(attr, 'json');
  socket.send('a.b');
  await until(() => server.last.received.length === 2);
  assert.equal(server.connections.length, 1);
});

test('makeSocket tells its callback what concerns it, and only that', async (t) => {
  const servers = [await pocketServer(t), await pocketServer(t)];
  const { socket } = freshPocket(t);
  const seen = [[], []];
  const made = servers.map((server, i) => socket.makeSocket(server.url, (name, told) => seen[i].push([name, told])));
  await Promise.all(made.map((each) => each.opened));
  const other = await plain(t, servers[0]);
  other.socket.send('not JSON');
  await until(() => seen[0].length === 4);
  assert.deepEqual(seen.map((events) => events.map(([name]) => name)), [['connecting', 'open', 'connected', 'message'], ['connecting', 'open']]);
  for (const [, told] of seen[0]) {
    assert.deepEqual(Object.keys(told), ['name', 'socket', 'data']);
    assert.equal(told.name, servers[0].url);
    assert.equal(told.socket, made[0]);
  }
  const closed = event(made[0], 'close');
  made[0].close(3000, 'enough');
  assert.equal(made[0].readyState, 2);
  const { code, reason, wasClean } = await closed;
  assert.deepEqual({ code, reason, wasClean }, { code: 3000, reason: 'enough', wasClean: true });
  assert.throws(() => made[1].close(1005));
  assert.equal(made[1].readyState, 1);
});

test('close ends the attempts, also between two of them', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const pocket = freshPocket(t, { reconnect: { min: 1e6, max: 1e6 } });
  const seen = told(pocket, 'close', 'reconnect');
  const socket = pocket.socket.makeSocket(server.url);
  await until(() => seen.length === 2);
  const closed = event(socket, 'close');
  socket.close();
  socket.close();
  await closed;
  assert.deepEqual(seen.map(([name]) => name), ['close', 'reconnect', 'close']);
  assert.equal(socket.readyState, 3);
  const again = pocket.socket.makeSocket(server.url);
  again.addEventListener('close', () => again.close());
  await until(() => again.readyState === 3);
  assert.equal(server.refused.length, 2);
});

test('reconnect leaves the connection for a new one', async (t) => {
  const server = await pocketServer(t);
  const pocket = await page(t, [server]);
  const [active] = await pocket.socket.connect();
  const opened = event(active, 'open');
  active.reconnect();
  assert.equal(active.readyState, 0);
  await opened;
  await pocket.socket.signal('a', 'b');
  assert.equal(server.connections.length, 2);
  assert.deepEqual(server.connections.map(({ received }) => received.length), [0, 1]);
  active.close();
  await event(active, 'close');
  const reopened = event(active, 'open');
  active.reconnect();
  await reopened;
  await pocket.socket.signal('a', 'c');
  assert.equal(server.connections.length, 3);
});

test('a listener or callback that throws disturbs nobody else', async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const server = await pocketServer(t);
  const pocket = freshPocket(t);
  const fail = (name) => () => {
    throw new Error(name);
  };
  pocket.socket.on('socket', fail('on'));
  const socket = pocket.socket.makeSocket(server.url, fail('callback'));
  socket.onopen = fail('onopen');
  await socket.opened;
  await pocket.socket.signal('a', 'b', fail('receipt'));
  await until(() => thrown.includes('receipt') && thrown.includes('onopen'));
  const before = thrown.length;
  socket.close();
  await until(() => thrown.length === before + 2);
  assert.deepEqual(new Set(thrown), new Set(['on', 'callback', 'onopen', 'receipt']));
});

test('an echoing server\'s echo arrives, once', async (t) => {
  const servers = [await pocketServer(t, { echo: true }), await pocketServer(t, { echo: true })];
  const { socket } = await page(t, servers);
  const seen = [];
  socket.on('clock', 'tick', ({ data }) => seen.push(data));
  socket.on('clock', 'end', () => seen.push('end'));
  await socket.signal('clock', 'tick', 1);
  for (const server of servers) (await plain(t, server)).socket.send('{"message":"clock.end"}');
  await until(() => seen.filter((data) => data === 'end').length === 2);
  assert.deepEqual(seen.filter((data) => data === 1), [1]);
});

test('a program written for pocketsocket runs unchanged', async (t) => {
  const server = await pocketServer(t);
  const lines = [];
  const uris = [];
  class Led extends WebSocket {
    constructor(url) {
      uris.push(url);
      super(server.url);
    }
  }
  const context = vm.createContext({
    ...{ AbortController, Blob, Event, EventTarget, MessageEvent, URL, WebSocket: Led, clearTimeout, setTimeout },
    console: { log: (...args) => lines.push(args) },
  });
  const [client, example] = await Promise.all(
    ['../../src/assets/client/pocket.socket.js', 'examples/pocket.js'].map((file) => readFile(new URL(file, import.meta.url), 'utf8')),
  );
  vm.runInContext(client, context);
  t.after(() => vm.runInContext('pocket.socket.close()', context));
  vm.runInContext(example, context);
  assert.deepEqual(uris, ['ws://192.0.2.7:8001'], 'only the one that it connects to');
  await until(() => lines.some(([text]) => text === 'open'));
  const other = await plain(t, server);
  await until(() => lines.some(([text]) => text === 'somebody came'));
  assert.deepEqual(lines.find(([text]) => text === 'open'), ['open', 'ws://192.0.2.7:8001']);
  assert.deepEqual(lines[0], ['first', 'connecting']);
  const [, which] = lines.find(([text]) => text === 'somebody came');
  assert.equal(which.uri, 'ws://192.0.2.7:8001');
  await until(() => server.connections[0].received.length === 1);
  const { message, data } = JSON.parse(server.connections[0].received[0]);
  assert.deepEqual([message, data], ['lamp.switch', { on: true, colour: 'green' }]);
  other.socket.close();
});

test('a second copy in the same page shares everything with the first', (t) => {
  const pocket = freshPocket(t);
  const { AddressException } = globalThis;
  loadAgain();
  assert.equal(globalThis.pocket, pocket);
  assert.equal(globalThis.AddressException, AddressException);
});

test('without a WebSocket the error says what to set', (t) => {
  const { WebSocket } = globalThis;
  t.after(() => WebSocket && (globalThis.WebSocket = WebSocket));
  delete globalThis.WebSocket;
  const { socket } = freshPocket(t, { WebSocket: undefined });
  assert.throws(() => socket.makeSocket('pi:1'), /pocket\.WebSocket/);
});

test('codes that say so are the end; slowness is not held against a client', async (t) => {
  for (const [code, reason, comesBack] of [
    [1008, 'closed by an administrator', false],
    [4000, '', false],
    [1012, 'the server is shutting down', true],
    [1013, 'too slow: more than 1 bytes wait (--max-queue)', true],
  ]) {
    const server = await pocketServer(t);
    const pocket = freshPocket(t, { reconnect: { min: 20, max: 40 } });
    const seen = told(pocket, 'close', 'reconnect');
    const [socket] = await pocket.socket.setup(server.url).connect();
    server.last.socket.close(code, reason);
    await until(() => seen.length === (comesBack ? 2 : 1) && seen);
    assert.equal(socket.readyState < 3, comesBack, `${code} ${reason}`);
    if (comesBack) assert.ok(seen[1][1].retryMs >= 20);
    if (comesBack) await until(() => socket.connected);
    pocket.socket.close();
  }
});

test('a signal takes a message back, whether it waits or is on its way', async (t) => {
  const server = await pocketServer(t);
  server.isRefusing = true;
  const pocket = freshPocket(t, { reconnect: FAST });
  pocket.socket.setup(server.url).connect();
  const waits = new AbortController();
  const waiting = pocket.socket.signal('a', 'waits', {}, null, { signal: waits.signal });
  waits.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  await assert.rejects(pocket.socket.signal('a', 'never', {}, null, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  server.isRefusing = false;
  assert.equal((await pocket.socket.signal('a', 'sent')).attr, 'json');
  assert.ok(!server.last.received.some((text) => /waits|never/.test(text)));
  server.answer = () => {};
  const sent = new AbortController();
  const receipts = [];
  const onItsWay = pocket.socket.signal('a', 'b', {}, null, { signal: sent.signal, callback: (...args) => receipts.push(args) });
  sent.abort();
  await assert.rejects(onItsWay, { name: 'AbortError' });
});
