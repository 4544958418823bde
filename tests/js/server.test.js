/** Our clients against the real server, and the originals' README examples word for word. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import vm from 'node:vm';
import { BroadcastWebSocket, FAST, LocalWebSocket, NetworkWebSocket, WebSocket, named, webshare } from './support/clients.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { event, record, until } from './support/wait.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER }, body);

/** Two WebShares on `path` that know their keys. */
async function two(t, server, path, options) {
  const clients = [0, 1].map(() => webshare(t, server.ws + path, options));
  await Promise.all(clients.map((client) => event(client, 'key')));
  return clients;
}

/** Two that are paired, as both know. */
async function pair(t, server, path, options) {
  const [alice, bob] = await two(t, server, path, options);
  await Promise.all([event(bob, 'pair'), alice.pair(bob.key)]);
  return [alice, bob];
}

/** Members of one name who all see each other. */
async function members(t, server, count, { kind = LocalWebSocket, name = 'demo', ...options } = {}) {
  const sockets = Array.from({ length: count }, () => named(t, kind, name, undefined, { server: server.ws, ...options }));
  await until(() => sockets.every((socket) => socket.peerCount === count - 1), 'everybody sees everybody');
  sockets.forEach((socket) => (socket.binaryType = 'arraybuffer'));
  return sockets;
}

/** Runs a program in the originals' manner: its script's globals, with the address it names led to `server`. */
async function example(t, server, file, address, globals = {}) {
  const scripts = ['webshare', 'named'].map((name) => fetch(`${server.http}/client/${name}.js`).then((r) => r.text()));
  const led = class extends WebSocket {
    constructor(url, ...rest) {
      assert.ok(url.startsWith(address), url);
      super(url.replace(address, server.ws), ...rest);
    }
  };
  const context = vm.createContext({
    ...{ AbortController, Blob, Event, EventTarget, MessageEvent, URL, WebSocket: led },
    ...{ clearInterval, clearTimeout, queueMicrotask, setInterval, setTimeout },
    ...globals,
  });
  for (const script of await Promise.all(scripts)) vm.runInContext(script, context);
  const text = await readFile(new URL(`examples/${file}`, import.meta.url), 'utf8');
  return vm.runInContext(`${text}; globalThis`, context);
}

real('a program written for sock-share runs unchanged', async (t) => {
  const server = await jackfield(t);
  const lines = [];
  let start;
  const page = await example(t, server, 'webshare.js', 'ws://192.0.2.3:9000', {
    console: { log: (...args) => lines.push(args) },
    // The program gives both ends time to learn their keys; here it goes on as soon as they have.
    setTimeout: (run, ms) => (ms === 1500 ? (start = run) : setTimeout(run, ms)),
  });
  const { left, right } = page;
  t.after(() => [left, right].forEach((client) => client.close()));
  await until(() => left.key && right.key);
  assert.match(left.key, /^[0-9a-f]{8,32}$/);
  start();
  await until(() => lines.length === 4);
  const told = lines.map((line) => JSON.stringify(line));
  assert.deepEqual(told.sort(), [
    ['paired', true, false, right.key],
    ['sent', true, 'RELAY_SENT', null],
    ['right', 'relay', true, 'RELAY_OK', { colour: 'green' }],
    ['left', 'relay', true, 'RELAY_OK', ['seen', 'green']],
  ].map((line) => JSON.stringify(line)).sort());
});

real('a program written for the named WebSockets proxy runs unchanged', async (t) => {
  const server = await jackfield(t);
  const pages = await Promise.all([0, 1].map(() => example(t, server, 'named.js', 'ws://localhost:9009')));
  t.after(() => pages.forEach((page) => [page.local, page.broadcast].forEach((socket) => socket.close())));
  const [first, second] = pages;
  for (const name of ['local', 'broadcast']) {
    await until(() => first[name].peerCount === 1 && second[name].peerCount === 1);
    const arrived = event(second[name], 'message');
    first[name].send(`through ${name}`);
    assert.equal((await arrived).data, `through ${name}`);
  }
});

for (const path of ['', '/webshare']) {
  real(`webshare at "${path || '/'}": pair, relay both ways, unpair`, async (t) => {
    const server = await jackfield(t);
    const [alice, bob] = await two(t, server, path);
    await Promise.all([event(bob, 'pair'), alice.pair(bob.key).then((body) => assert.deepEqual(body, { with: bob.key }))]);
    assert.deepEqual([alice.pairedTo, bob.pairedTo], [bob.key, alice.key]);
    const bodies = [null, 0, -1.5e300, '', 'é😀\u0000"\\', [], {}, { a: [1, { b: null }] }, 'x'.repeat(300_000)];
    for (const [from, to] of [[alice, bob], [bob, alice]]) {
      const relayed = record(to, 'relay');
      const receipts = await Promise.all(bodies.map((body) => from.relay(body)));
      assert.deepEqual(receipts, bodies.map(() => null));
      await until(() => relayed.length === bodies.length);
      assert.deepEqual(relayed.map((happened) => happened.detail), bodies);
    }
    await Promise.all([event(bob, 'unpair'), alice.unpair().then((body) => assert.deepEqual(body, { with: bob.key }))]);
    assert.deepEqual([alice.pairedTo, bob.pairedTo], [null, null]);
  });
}

real('webshare refuses with the documented codes, and the connection lives', async (t) => {
  const server = await jackfield(t);
  const [alice, bob] = await two(t, server, '/webshare');
  const carol = webshare(t, `${server.ws}/webshare`);
  await event(carol, 'key');
  await assert.rejects(alice.relay(1), { code: 'NOT_PAIRED' });
  await assert.rejects(alice.unpair(), { code: 'NOT_PAIRED' });
  await assert.rejects(alice.pair(''), { code: 'INVALID_KEY' });
  await assert.rejects(alice.pair(alice.key), { code: 'CANNOT_SELF_PAIR' });
  await assert.rejects(alice.pair('nobody'), { code: 'TARGET_NOT_FOUND' });
  await alice.pair(bob.key);
  await assert.rejects(alice.pair(bob.key), { code: 'ALREADY_PAIRED' });
  await assert.rejects(carol.pair(alice.key), { code: 'ALREADY_PAIRED' });
  const refused = event(carol, 'commanderror');
  carol._socket.send('not JSON');
  assert.deepEqual((await refused).detail, { error: 'INVALID_FORMAT' });
  assert.deepEqual(await carol.getKey(), { key: carol.key });
});

real('webshare tells the survivor when the partner is gone', async (t) => {
  const server = await jackfield(t);
  const [alice, bob] = await pair(t, server, '/webshare');
  const gone = event(bob, 'unpair');
  alice.close();
  assert.deepEqual((await gone).detail, { with: alice.key });
  assert.equal(bob.pairedTo, null);
});

real('webshare relays bytes between partners that asked for it, and only for them', async (t) => {
  const server = await jackfield(t);
  const [alice, bob] = await pair(t, server, '/webshare', { binary: true });
  const got = record(bob, 'binary', 'relay');
  const sent = [0, 1, 125, 126, 65_535, 65_536, 1_000_000].map((size) => new Uint8Array(randomBytes(size)));
  for (const bytes of sent) alice.relayBinary(bytes);
  await alice.relay('last');
  await until(() => got.length === sent.length + 1);
  assert.ok(sent.every((bytes, i) => Buffer.compare(bytes, got[i].detail) === 0));
  assert.equal(got.at(-1).detail, 'last');

  const [carol] = await pair(t, server, '/webshare');
  const refused = event(carol, 'commanderror');
  carol.relayBinary(Uint8Array.of(1));
  assert.deepEqual((await refused).detail, { error: 'INVALID_REQUEST' });
  assert.equal(await carol.relay('still here'), null);
});

real('names carry text and bytes of every size unchanged and in order', async (t) => {
  const server = await jackfield(t);
  const [alice, bob, carol] = await members(t, server, 3);
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_048_576];
  const sent = sizes.flatMap((size) => [new Uint8Array(randomBytes(size)), 'é'.repeat(size / 2)]);
  const received = [bob, carol].map((socket) => record(socket, 'message'));
  const own = record(alice, 'message');
  sent.forEach((data) => alice.send(data));
  await until(() => received.every((messages) => messages.length === sent.length));
  for (const messages of received) {
    for (const [i, data] of sent.entries()) {
      const { data: got } = messages[i];
      if (typeof data === 'string') assert.ok(got === data, `text ${i}`);
      else assert.equal(Buffer.compare(Buffer.from(got), data), 0, `bytes ${i}`);
    }
  }
  const burst = Array.from({ length: 2000 }, (_, i) => String(i));
  received[0].length = 0;
  burst.forEach((text) => alice.send(text));
  await until(() => received[0].length === burst.length);
  assert.deepEqual(received[0].map((happened) => happened.data), burst);
  assert.deepEqual(own, []);
});

real('presence counts those who come and go, whatever the name, and cannot be spoofed', async (t) => {
  const server = await jackfield(t);
  const name = `Name.with_all-of+it=*${'x'.repeat(200)}`;
  const [alice, bob] = await members(t, server, 2, { name });
  const [other] = await members(t, server, 1, { name: 'another' });
  const [broadcast] = await members(t, server, 1, { name, kind: BroadcastWebSocket });
  const left = event(alice, 'disconnect');
  bob.close();
  await left;
  assert.deepEqual([alice.peerCount, other.peerCount, broadcast.peerCount], [0, 0, 0]);

  const [carol] = [named(t, LocalWebSocket, name, undefined, { server: server.ws })];
  await until(() => alice.peerCount === 1 && carol.peerCount === 1);
  const messages = record(alice, 'message');
  carol.send('____connect');
  carol.send('____disconnect');
  carol.send('after');
  await until(() => messages.length === 1);
  assert.equal(messages[0].data, 'after');
  assert.equal(alice.peerCount, 1);
});

real('with echo, own messages come back', async (t) => {
  const server = await jackfield(t);
  const [alice] = await members(t, server, 1, { echo: true });
  const back = event(alice, 'message');
  alice.send('to myself');
  assert.equal((await back).data, 'to myself');
});

real('clients come back to a server that restarts, and it says goodbye with 1012', async (t) => {
  const server = await jackfield(t);
  const options = { reconnect: FAST };
  const [alice, bob] = await pair(t, server, '/webshare', options);
  const [carol, dave] = await members(t, server, 2, options);
  const key = alice.key;
  const lost = [alice, carol].map((client) => event(client, 'lost'));
  const unpaired = event(bob, 'unpair');
  const { code } = await server.stop('SIGTERM');
  assert.equal(code, 0);
  assert.deepEqual((await Promise.all(lost)).map((happened) => happened.code), [1012, 1012]);
  await unpaired;

  const news = [alice, bob].map((client) => event(client, 'key'));
  const arrived = event(dave, 'message');
  await jackfield(t, { port: server.port });
  const [{ detail }] = await Promise.all(news);
  assert.equal(detail.previous, key);
  await alice.pair(bob.key);
  await until(() => carol.peerCount === 1 && dave.peerCount === 1);
  carol.send('again');
  assert.equal((await arrived).data, 'again');
});

real('who was only too slow comes back; whom an administrator has closed does not', async (t) => {
  const server = await jackfield(t, { args: ['--queue-high', '4KiB', '--max-queue', '4KiB'] });
  let inner;
  class Stoppable extends WebSocket {
    constructor(...args) {
      super(...args);
      inner ??= this;
    }
  }
  // Two that receive: one alone would only hold up the sender.
  const [sender] = await members(t, server, 2);
  const slow = named(t, LocalWebSocket, 'demo', undefined, { server: server.ws, reconnect: FAST, WebSocket: Stoppable });
  await until(() => slow.peerCount === 2);
  const lost = event(slow, 'lost');
  inner.pause();
  const gone = event(sender, 'disconnect');
  const flood = setInterval(() => sender.bufferedAmount < 1e6 && sender.send('x'.repeat(500_000)), 1);
  await gone.finally(() => clearInterval(flood));
  inner.resume();
  const { code, reason } = await lost;
  assert.match(`${code} ${reason}`, /^1013 too slow: /);
  await event(slow, 'open');

  const live = await (await fetch(`${server.http}/api/live`)).json();
  const closed = event(slow, 'close');
  for (const { id } of live.clients) {
    await fetch(`${server.http}/api/close?client=${id}`, { method: 'POST', headers: { 'X-Jackfield': '1' } });
  }
  const told = await closed;
  assert.deepEqual([told.code, told.reason, slow.readyState], [1008, 'closed by an administrator', 3]);
});

real('the server serves the clients as they are, with type, CORS and a tag', async (t) => {
  const server = await jackfield(t);
  for (const [file, type] of [
    ['webshare.js', 'text/javascript'], ['webshare.mjs', 'text/javascript'], ['webshare.d.ts', 'text/plain'],
    ['named.js', 'text/javascript'], ['named.mjs', 'text/javascript'], ['named.d.ts', 'text/plain'],
  ]) {
    const response = await fetch(`${server.http}/client/${file}`);
    assert.equal(response.status, 200, file);
    assert.equal(response.headers.get('content-type'), `${type}; charset=utf-8`);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.equal(await response.text(), await readFile(new URL(`../../src/assets/client/${file}`, import.meta.url), 'utf8'));
    const tag = response.headers.get('etag');
    assert.match(tag, /^"[^"]+"$/);
    const again = await fetch(`${server.http}/client/${file}`, { headers: { 'If-None-Match': tag } });
    assert.equal(again.status, 304);
  }
});

real('peers on a network name speak to all and to one', async (t) => {
  const server = await jackfield(t);
  const [alice, bob, carol] = await members(t, server, 3, { kind: NetworkWebSocket, name: 'network' });
  await until(() => [alice, bob, carol].every(({ id }) => id));
  const heard = { bob: record(bob, 'message'), carol: record(carol, 'message') };
  const alone = event(bob.peers.find(({ id }) => id === alice.id), 'message');
  alice.peers.find(({ id }) => id === bob.id).send('to "bob" ü😀');
  alice.send('to all');
  assert.equal((await alone).data, 'to "bob" ü😀');
  await until(() => heard.bob.length && heard.carol.length);
  assert.deepEqual([heard.bob, heard.carol].map((messages) => messages.map(({ data }) => data)), [['to all'], ['to all']]);
  carol.close();
  await until(() => alice.peers.length === 1);
  assert.equal(alice.peers[0].id, bob.id);
});
