/** WebShare against a server that does what the test tells it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAST, WebShare, addresses, webshare } from './support/clients.js';
import { fakeServer } from './support/fake.js';
import { event, record, until } from './support/wait.js';

/** Two clients that are paired. */
async function pair(t, server, options) {
  const alice = webshare(t, server.url, options);
  const bob = webshare(t, server.url, options);
  await Promise.all([event(alice, 'key'), event(bob, 'key')]);
  const bobIsPaired = event(bob, 'pair');
  await alice.pair(bob.key);
  await bobIsPaired;
  return [alice, bob];
}

test('the address comes from host and port, with path and binary, or from a URL', () => {
  const { seen, WebSocket } = addresses();
  const options = { WebSocket };
  new WebShare('192.168.1.3', 9000, options).close();
  new WebShare('::1', 9000, options).close();
  new WebShare('[::1]', '9000', options).close();
  new WebShare('host', 9000, { ...options, path: '/webshare', binary: true }).close();
  new WebShare('https://host/webshare?x=1', { ...options, binary: true }).close();
  new WebShare(new URL('wss://host/webshare'), options).close();
  assert.deepEqual(seen, [
    'ws://192.168.1.3:9000',
    'ws://[::1]:9000',
    'ws://[::1]:9000',
    'ws://host:9000/webshare?binary=1',
    'wss://host/webshare?x=1&binary=1',
    'wss://host/webshare',
  ]);
});

test('the key is asked for by itself, with an echo that no reply can be confused by', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, '127.0.0.1', server.port);
  assert.equal(client.key, undefined);
  const seen = [];
  client.onkey = (...args) => seen.push(args);
  await event(client, 'key');
  assert.equal(client.key, 'k1');
  assert.deepEqual(seen, [[true, 'SUCCESS', { key: 'k1', previous: undefined }]]);
  const request = JSON.parse(server.last.received[0]);
  assert.deepEqual(Object.keys(request), ['echo', 'command']);
  assert.deepEqual(request, { echo: { callbackId: '1' }, command: 'key' });
});

test('calls before the connection is open wait and keep their order', async (t) => {
  const server = await fakeServer(t);
  const bob = webshare(t, server.url);
  await event(bob, 'key');
  const alice = webshare(t, server.url, { binary: true });
  const order = [];
  alice.onkey = () => order.push('key');
  alice.onopen = () => order.push('open');
  alice.pair(bob.key, () => order.push('pair'));
  alice.relay(1, () => order.push('relay 1'));
  alice.relayBinary(Uint8Array.of(7, 8), () => order.push('binary'));
  await alice.relay(2, () => order.push('relay 2'));
  assert.deepEqual(order, ['open', 'binary', 'key', 'pair', 'relay 1', 'relay 2']);
  const sent = server.last.received.map((frame) => (typeof frame === 'string' ? JSON.parse(frame).command : [...frame]));
  assert.deepEqual(sent, ['key', 'pair', 'relay', [7, 8], 'relay']);
});

test('pair, relay and unpair tell both sides what the original told them', async (t) => {
  const server = await fakeServer(t);
  const alice = webshare(t, server.url);
  const bob = webshare(t, server.url);
  await Promise.all([event(alice, 'key'), event(bob, 'key')]);
  const seen = [];
  const log = (name) => (...args) => seen.push([name, ...args]);
  for (const [name, client] of Object.entries({ alice, bob })) {
    for (const on of ['onpair', 'onrelay', 'onunpair', 'oncommanderror']) client[on] = log(`${name}.${on}`);
  }

  const paired = event(bob, 'pair');
  assert.equal(typeof alice.pair(bob.key, log('cb')).then, 'function');
  await paired;
  assert.equal(alice.pairedTo, bob.key);
  assert.equal(bob.pairedTo, alice.key);
  assert.deepEqual(seen.splice(0), [
    ['alice.onpair', true, 'SUCCESS', { with: 'k2' }],
    ['cb', true, 'SUCCESS', { with: 'k2' }],
    ['bob.onpair', true, 'SUCCESS', { with: 'k1' }],
  ]);

  const relayed = event(bob, 'relay');
  alice.relay({ hello: 'dan' }, log('cb'));
  assert.deepEqual((await relayed).detail, { hello: 'dan' });
  assert.deepEqual(seen.splice(0), [
    ['cb', true, 'RELAY_SENT', null],
    ['bob.onrelay', true, 'RELAY_OK', { hello: 'dan' }],
  ]);

  const unpaired = event(bob, 'unpair');
  alice.unpair(log('cb'));
  await unpaired;
  assert.equal(alice.pairedTo, null);
  assert.equal(bob.pairedTo, null);
  assert.deepEqual(seen, [
    ['cb', true, 'SUCCESS', { with: 'k2' }],
    ['bob.onunpair', true, 'SUCCESS', { with: 'k1' }],
  ]);
});

test('promises resolve to the body and reject with code and body', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, server.url);
  assert.deepEqual(await client.getKey(), { key: 'k1' });
  await assert.rejects(client.pair('nobody'), { code: 'TARGET_NOT_FOUND', body: null, message: /TARGET_NOT_FOUND/ });

  server.answer = (connection, text) => {
    const { echo, command } = JSON.parse(text);
    const body = { retry_after_ms: 1500 };
    connection.socket.send(JSON.stringify({ ok: false, code: 'RATE_LIMITED', body, command, echo }));
  };
  await assert.rejects(client.pair('guess'), { code: 'RATE_LIMITED', body: { retry_after_ms: 1500 } });
});

test('a failure that nobody looks at is no unhandled rejection', async (t) => {
  const unhandled = [];
  const listener = (error) => unhandled.push(error);
  process.on('unhandledRejection', listener);
  t.after(() => process.off('unhandledRejection', listener));
  const server = await fakeServer(t);
  const client = webshare(t, server.url);
  client.relay('without a partner');
  await new Promise((resolve) => client.relay('with a callback', resolve));
  await client.getKey();
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test('a command error reaches its handler and, where it has an echo, the callback too', async (t) => {
  const server = await fakeServer(t);
  server.answer = (connection, text) => {
    const { echo, command } = JSON.parse(text);
    if (command === 'key') return connection.socket.send('{"ok":true,"code":"SUCCESS","command":"key","body":{"key":"k"},"echo":null}');
    const body = { error: 'UNKNOWN_COMMAND' };
    for (const back of [echo, null]) {
      connection.socket.send(JSON.stringify({ ok: false, code: 'COMMAND_ERROR', command: 'error', body, echo: back }));
    }
    connection.socket.send('{"ok":false,"code":"NOT_PAIRED","command":"relay","body":null,"echo":null}');
  };
  const client = webshare(t, server.url);
  const seen = [];
  client.oncommanderror = (...args) => seen.push(['handler', ...args]);
  client.relay(1, (...args) => seen.push(['callback', ...args]));
  await until(() => seen.length === 4);
  const error = [false, 'COMMAND_ERROR', { error: 'UNKNOWN_COMMAND' }];
  assert.deepEqual(seen, [['handler', ...error], ['callback', ...error], ['handler', ...error], ['handler', false, 'NOT_PAIRED', null]]);
});

test('frames that are not our server\'s are survived', async (t) => {
  const server = await fakeServer(t);
  server.answer = (connection, text) => {
    for (const junk of ['', '{', 'null', '7', '"x"', '[]', '{"ok":true,"code":"SUCCESS","command":"key","body":null}']) {
      connection.socket.send(junk);
    }
    const { echo, command } = JSON.parse(text);
    connection.socket.send(JSON.stringify({ ok: true, code: 'SUCCESS', command, body: { key: 'k9' }, echo }));
  };
  const client = webshare(t, server.url);
  assert.deepEqual(await client.getKey(), { key: 'k9' });
  assert.equal(client.key, 'k9');
});

test('a callback or handler that throws disturbs nobody else', async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const server = await fakeServer(t);
  const client = webshare(t, server.url);
  client.onkey = () => {
    throw new Error('handler');
  };
  const fail = () => {
    throw new Error('callback');
  };
  assert.deepEqual(await client.getKey(fail), { key: 'k1' });
  assert.deepEqual(await client.getKey(), { key: 'k1' });
  await until(() => thrown.length === 2);
  assert.deepEqual(thrown.sort(), ['callback', 'handler']);
});

test('more requests may be outstanding than the original had callback ids', async (t) => {
  const server = await fakeServer(t);
  const held = [];
  server.answer = (connection, text) => {
    const { echo, command, body } = JSON.parse(text);
    held.push(JSON.stringify({ ok: true, code: 'RELAY_SENT', command, body: body ?? null, echo }));
    if (held.length === 5001) held.forEach((reply) => connection.socket.send(reply));
  };
  const client = webshare(t, server.url);
  await event(client, 'open');
  const replies = await Promise.all(Array.from({ length: 5000 }, (_, i) => client.relay(i)));
  assert.deepEqual(replies, Array.from({ length: 5000 }, (_, i) => i));
});

test('what does not fit into the queue is told, what fits is sent', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, server.url, { queueLimit: 2 });
  const seen = [];
  let hasReturned = false;
  client.getKey();
  client.getKey();
  const refused = client.relay('too much', (...args) => seen.push([hasReturned, ...args]));
  hasReturned = true;
  await assert.rejects(refused, { code: 'QUEUE_FULL' });
  assert.deepEqual(seen, [[true, false, 'QUEUE_FULL', null]]);
  await client.getKey().catch(() => {});
  await event(client, 'key');
  await client.getKey();
  assert.deepEqual(server.last.received.map((text) => JSON.parse(text).command), ['key', 'key', 'key', 'key']);
});

test('a hundred calls wait by default', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, server.url);
  const calls = Array.from({ length: 101 }, () => client.getKey());
  const results = await Promise.allSettled(calls);
  assert.deepEqual(results.map((result) => result.status), [...Array(100).fill('fulfilled'), 'rejected']);
});

test('a lost connection is made again with a new key; the pair is gone and said to be', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = await pair(t, server, { reconnect: FAST });
  const first = alice.key;
  const partner = bob.key;
  const seen = record(alice, 'lost', 'unpair', 'open', 'key');
  const unpair = [];
  alice.onunpair = (...args) => unpair.push(args);
  server.answer = () => {};
  const inFlight = alice.relay('no answer comes');
  await until(() => server.connections.some((connection) => connection.received.at(-1)?.includes('no answer comes')));
  server.answer = undefined;
  server.cut();
  await assert.rejects(inFlight, { code: 'CLOSED' });
  assert.equal(alice.pairedTo, null);
  const waiting = alice.getKey();

  await until(() => seen.length === 4);
  assert.deepEqual(seen.map((happened) => happened.type), ['lost', 'unpair', 'open', 'key']);
  assert.deepEqual(unpair, [[true, 'SUCCESS', { with: partner }]]);
  assert.equal(seen[0].code, 1006);
  assert.deepEqual(seen[3].detail, { key: alice.key, previous: first });
  assert.notEqual(alice.key, first);
  assert.deepEqual(await waiting, { key: alice.key });
});

test('retries wait a random time below a bound that doubles up to a maximum', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const reconnect = { min: 2, max: 16 };
  const client = webshare(t, server.url, { reconnect });
  const lost = record(client, 'lost');
  await until(() => lost.length > 11);
  for (const [attempt, happened] of lost.entries()) {
    assert.equal(happened.attempt, attempt);
    const bound = Math.min(reconnect.max, reconnect.min * 2 ** attempt);
    assert.ok(happened.retryMs >= 0 && happened.retryMs < bound, `${happened.retryMs} < ${bound}`);
  }
  assert.ok(new Set(lost.map((happened) => happened.retryMs)).size > 1, 'not always the same time');
  assert.ok(server.refused.length >= 12);
  server.isRefusing = false;
  await event(client, 'key');
});

test('a connection that is cut at once does not start the backoff anew', async (t) => {
  const server = await fakeServer(t);
  server.answer = (connection) => connection.socket.terminate();
  const client = webshare(t, server.url, { reconnect: { min: 1, max: 60_000 } });
  const lost = record(client, 'lost');
  await until(() => lost.length > 3);
  assert.deepEqual(lost.slice(0, 4).map((happened) => happened.attempt), [0, 1, 2, 3]);
});

test('a connection that lasted starts the backoff anew', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const client = webshare(t, server.url, { reconnect: FAST });
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
  const [ended, clock] = ['ended', 'clock'].map((name) => webshare(t, `${server.url}/${name}`, { reconnect: FAST }));
  ended.addEventListener('lost', () => ended.close());
  await event(ended, 'close');
  const attempts = () => server.refused.filter((url) => url.includes('ended')).length;
  assert.equal(attempts(), 1);
  // Time enough for the attempt that must not come: another client's make it visible.
  await event(clock, 'lost', ({ attempt }) => attempt === 10);
  assert.equal(attempts(), 1);
});

test('without reconnect a lost connection ends it, once', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = await pair(t, server, { reconnect: false });
  const seen = record(alice, 'lost', 'close', 'unpair');
  const partner = bob.key;
  server.cut();
  await event(alice, 'unpair');
  assert.deepEqual(seen.map((happened) => happened.type), ['close', 'unpair']);
  assert.deepEqual(seen[1].detail, { with: partner });
  await assert.rejects(alice.getKey(), { code: 'CLOSED' });
});

test('close ends for good and fails what is unanswered', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = await pair(t, server, { reconnect: FAST });
  const seen = record(alice, 'lost', 'close', 'unpair');
  server.answer = () => {};
  const sent = alice.relay('sent');
  const bobIsFree = event(bob, 'unpair');
  alice.close();
  alice.close();
  const later = alice.relay('later');
  await assert.rejects(sent, { code: 'CLOSED' });
  await assert.rejects(later, { code: 'CLOSED' });
  await bobIsFree;
  assert.equal(alice.pairedTo, null);
  await until(() => seen.length > 0);
  assert.deepEqual(seen.map((happened) => happened.type), ['close']);
});

test('close before the connection is open, and between two attempts, ends with one close event', async (t) => {
  const server = await fakeServer(t);
  const early = webshare(t, server.url);
  const queued = early.getKey();
  const ended = event(early, 'close');
  early.close();
  await assert.rejects(queued, { code: 'CLOSED' });
  await ended;

  server.isRefusing = true;
  const between = webshare(t, server.url, { reconnect: { min: 1e6, max: 1e6 } });
  const seen = record(between, 'lost', 'close');
  await event(between, 'lost');
  const over = event(between, 'close');
  between.close();
  await over;
  assert.deepEqual(seen.map((happened) => happened.type), ['lost', 'close']);
  assert.equal(server.refused.length, 1);
});

test('binary reaches the partner as bytes', async (t) => {
  const server = await fakeServer(t);
  const [alice, bob] = await pair(t, server, { binary: true });
  assert.equal(server.last.url, '/?binary=1');
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const seen = [];
  bob.onbinary = (...args) => seen.push(args);
  for (const form of [bytes, bytes.buffer, new DataView(bytes.buffer)]) {
    const arrived = event(bob, 'binary');
    assert.equal(await alice.relayBinary(form), null);
    assert.deepEqual((await arrived).detail, bytes);
  }
  assert.deepEqual(seen, [[bytes], [bytes], [bytes]]);
  assert.equal(alice.bufferedAmount, 0);
});

test('debug logs both directions and may be switched on later', async (t) => {
  const server = await fakeServer(t);
  const lines = [];
  t.mock.method(console, 'log', (...args) => lines.push(args));
  const quiet = webshare(t, '127.0.0.1', server.port, false);
  await event(quiet, 'key');
  assert.deepEqual(lines, []);
  quiet.debug = true;
  await quiet.getKey();
  assert.deepEqual(lines.map(([name, direction]) => [name, direction]), [['WebShare', '>'], ['WebShare', '<']]);
  assert.equal(webshare(t, '127.0.0.1', server.port, true).debug, true);
  assert.equal(webshare(t, server.url, { debug: true }).debug, true);
});

test('without a WebSocket the error says what to give', (t) => {
  const { WebSocket } = globalThis;
  const given = WebShare.WebSocket;
  t.after(() => {
    if (WebSocket) globalThis.WebSocket = WebSocket;
    WebShare.WebSocket = given;
  });
  delete globalThis.WebSocket;
  delete WebShare.WebSocket;
  assert.throws(() => new WebShare('host', 9000), /option WebSocket/);
});

test('codes that say so are the end; those of a restart are waited for at least `min`; slowness is not held against it', async (t) => {
  for (const [code, reason, comesBack] of [
    [1008, 'closed by an administrator', false],
    [4000, '', false],
    [4999, 'any', false],
    [1012, 'the server is shutting down', true],
    [1013, 'too slow: more than 1 bytes wait (--max-queue)', true],
    [1011, 'no answer to a ping within 10s (--pong-timeout)', true],
  ]) {
    const server = await fakeServer(t);
    const client = webshare(t, server.url, { reconnect: { min: 20, max: 40 } });
    await event(client, 'key');
    const ended = new Promise((resolve) => ['lost', 'close'].forEach((type) => client.addEventListener(type, resolve)));
    server.last.socket.close(code, reason);
    const happened = await ended;
    assert.deepEqual([happened.type, happened.code, happened.reason], [comesBack ? 'lost' : 'close', code, reason]);
    assert.equal(client.state, comesBack ? 'waiting' : 'closed', `${code} ${reason}`);
    if (code === 1012 || code === 1013) assert.ok(happened.retryMs >= 20 && happened.retryMs <= 60, `${happened.retryMs}`);
    if (comesBack) await event(client, 'open');
  }
});

test('state follows the diagram', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, server.url, { reconnect: { min: 60_000, max: 60_000 } });
  assert.equal(client.state, 'connecting');
  await event(client, 'open');
  assert.equal(client.state, 'open');
  server.cut();
  await event(client, 'lost');
  assert.equal(client.state, 'waiting');
  client.close();
  assert.equal(client.state, 'closed');
});

test('a browser that is online or looked at again does not wait', async (t) => {
  for (const [type, visibilityState, comes] of [['online', 'hidden', true], ['visibilitychange', 'hidden', false], ['visibilitychange', 'visible', true]]) {
    const server = await fakeServer(t);
    const [page, document] = [new EventTarget(), Object.assign(new EventTarget(), { hidden: visibilityState === 'hidden' })];
    for (const name of ['addEventListener', 'removeEventListener']) globalThis[name] = page[name].bind(page);
    globalThis.document = document;
    t.after(() => ['addEventListener', 'removeEventListener', 'document'].forEach((name) => delete globalThis[name]));
    const client = webshare(t, server.url, { reconnect: { min: 1e8, max: 1e8 } });
    await event(client, 'open');
    server.cut();
    await event(client, 'lost');
    const opened = event(client, 'open');
    (type === 'online' ? page : document).dispatchEvent(new Event(type));
    assert.equal(client.state, comes ? 'connecting' : 'waiting', `${type} ${visibilityState}`);
    if (comes) await opened;
    else opened.catch(() => {});
    client.close();
  }
});

test('a signal takes a call back, whether it waits, is on its way, or was never begun', async (t) => {
  const server = await fakeServer(t);
  server.isRefusing = true;
  const client = webshare(t, server.url, { reconnect: FAST });
  const [waits, sent] = [new AbortController(), new AbortController()];
  const waiting = client.relay('waits', { signal: waits.signal });
  waits.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  await assert.rejects(client.relay('never', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const key = event(client, 'key');
  server.isRefusing = false;
  await key;
  server.answer = () => {};
  const seen = [];
  const onItsWay = client.pair('k', { signal: sent.signal, callback: (...args) => seen.push(args) });
  sent.abort();
  await assert.rejects(onItsWay, { name: 'AbortError' });
  const errors = record(client, 'commanderror');
  const { echo } = JSON.parse(server.last.received.at(-1));
  const say = (message) => server.last.socket.send(JSON.stringify(message));
  say({ ok: false, code: 'TARGET_NOT_FOUND', command: 'pair', body: null, echo });
  say({ ok: true, code: 'RELAY_OK', command: 'relay', body: 'last' });
  await event(client, 'relay');
  assert.equal(errors.length, 0, 'nor does anybody else');
  assert.ok(!server.last.received.some((text) => /waits|never/.test(text)));
  assert.deepEqual(seen, [], 'who calls back the question hears no answer');
});

test('a signal closes the client', async (t) => {
  const server = await fakeServer(t);
  const control = new AbortController();
  const client = webshare(t, server.url, { signal: control.signal });
  await event(client, 'open');
  control.abort();
  await event(client, 'close');
  assert.equal(webshare(t, server.url, { signal: AbortSignal.abort() }).state, 'closed');
});

test('a server that has stopped answering is lost', async (t) => {
  const server = await fakeServer(t);
  const client = webshare(t, server.url, { reconnect: FAST, heartbeat: 20 });
  await event(client, 'key');
  server.answer = () => {};
  const { reason } = await event(client, 'lost');
  assert.equal(reason, 'no answer');
  server.answer = undefined;
  await event(client, 'key');
});

test('a page of elsewhere is told what may keep it from a local address', async (t) => {
  globalThis.location = new URL('https://example.org/');
  t.after(() => delete globalThis.location);
  const server = await fakeServer(t);
  server.isRefusing = true;
  const { hint } = await event(webshare(t, server.url, { reconnect: FAST }), 'lost');
  assert.match(hint, /local network.*127\.0\.0\.1/);
  server.isRefusing = false;
  const client = webshare(t, server.url, { reconnect: FAST });
  await event(client, 'open');
  server.cut();
  assert.equal((await event(client, 'lost')).hint, '', 'who was connected is not kept away');
});
