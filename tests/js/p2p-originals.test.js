/** Programs for the original plugin on p2p.js, and the original's own last client, unmodified, beside ours. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import vm from 'node:vm';
import { LIBRARIES, connected, device, heard, next, p2pClientPlugin, serve, socket } from './support/devices.js';
import { NO_SERVER } from './support/jackfield.js';
import { until } from './support/wait.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 20_000 }, body);

const originalPlugin = createRequire(import.meta.url)('@gigasource/socket.io-p2p-plugin/src/p2p-client-plugin');

/** A device of the original's last generation. */
const original = (t, server, id, options) => originalPlugin(socket(t, server, { clientId: id }, { major: 2, ...options }), id);

for (const major of Object.keys(LIBRARIES)) {
  real(`a program written for the first generation runs unchanged over socket.io-client ${major}`, async (t) => {
    const server = await serve(t);
    const sockets = [];
    const lines = [];
    let later;
    const modules = {
      '../src/p2pClientPlugin': createRequire(import.meta.url)('../../src/assets/client/p2p.js'),
      'socket.io-client': {
        connect(url) {
          assert.ok(url.startsWith('http://192.0.2.11:9000?'), url);
          sockets.push(LIBRARIES[major](url.replace('http://192.0.2.11:9000', server.http), { forceNew: true }));
          return sockets.at(-1);
        },
      },
    };
    const globals = {
      require: (name) => modules[name],
      console: { log: (...args) => lines.push(args), error: (...args) => lines.push(args) },
      // What the program does after a while, it does when the rest is done.
      setTimeout: (run, ms) => assert.equal(ms, 5000, (later = run)),
    };
    vm.runInNewContext(await readFile(new URL('examples/p2p.js', import.meta.url), 'utf8'), globals);
    t.after(() => sockets.forEach((each) => each.close()));
    await until(() => lines.length === 3 && later);
    const [lamp, knob] = sockets;
    // The first generation hands over one array, and the server answers in the other's place.
    const told = Object.fromEntries(lines.map(([who, what]) => [who, who === 'answer' ? what : [...what]]));
    assert.deepEqual(told, {
      lamp: [[{ on: true }, 'slowly', 2, { colour: 'green' }]],
      knob: [[{ on: true }]],
      answer: 'Server acknowledged',
    });
    assert.deepEqual([lamp.targetDeviceId, knob.targetDeviceId, knob.deviceId], ['knob', 'lamp', 'knob']);
    later();
    await until(() => lamp.targetDeviceId === undefined);
  });
}

real('its same-day successor hears spread arguments and answers from end to end', async (t) => {
  const server = await serve(t);
  const [a, b] = ['A', 'B'].map((deviceId) => p2pClientPlugin(socket(t, server, { deviceId, gen: 'g0b' })));
  await connected(a, b);
  await new Promise((resolve) => a.registerP2pTarget('B', {}, resolve));
  b.on('sum', (first, second, ack) => ack(first + second));
  assert.equal(await new Promise((resolve) => a.emit2('sum', 1, 2, resolve)), 3);
  assert.equal(await a.callTo('B', 'sum', 'x', 'y'), 'xy');
});

/** What each side of a test may be made of. */
const KINDS = {
  'the original': original,
  'p2p.js over 4': (t, server, id) => device(t, server, id),
  'p2p.js on its own': (t, server, id) => device(t, server, id, { major: 'own' }),
};
const MIXES = Object.keys(KINDS).flatMap((a) => Object.keys(KINDS).map((b) => [a, b])).filter((mix) => mix.includes('the original'));

for (const [first, second] of MIXES) {
  real(`${first} to ${second}: targets, messages, rooms, services`, async (t) => {
    const server = await serve(t);
    const a = KINDS[first](t, server, 'A');
    const b = KINDS[second](t, server, 'B');
    await connected(a, b);
    assert.deepEqual((await a.getClientList()).sort(), ['A', 'B']);
    assert.equal(await a.isClientConnected('B'), true);
    assert.ok(!(await a.isClientConnected('Z')));

    const added = new Promise((resolve) => b.onAddP2pTarget(resolve));
    await a.addP2pTarget('B');
    assert.equal(await added, 'A');
    await assert.rejects(a.addP2pTarget('Z'), (why) => /^(Error: )?Target client Z is not connected to server$/.test(why));
    b.on('event', (text, bytes, ack) => ack(text.length, bytes));
    const answer = await new Promise((resolve) => a.emitTo('B', 'event', 'é😀', Buffer.from([1, 255]), (...args) => resolve(args)));
    assert.deepEqual([answer[0], ...new Uint8Array(answer[1])], [3, 1, 255]);

    await new Promise((resolve) => b.joinRoom('room', resolve));
    const news = next(b, 'news');
    a.emitRoom('room', 'news', 1, [2]);
    assert.deepEqual(await news, [1, [2]]);

    b.provideService('double', (n, ack) => ack(2 * n));
    await until(async () => true);
    await b.isClientConnected('A');
    await b.isClientConnected('A');
    assert.equal(await new Promise((resolve) => a.emitService('double', 4, resolve)), 8);
    assert.equal(await new Promise((resolve) => a.provideService('double', () => {}, resolve)), 'Duplicated API name: double');

    const gone = heard(a, 'TARGET_DISCONNECT');
    b.close();
    await until(() => gone.length);
    await a.getClientList();
    assert.deepEqual(gone, [['TARGET_DISCONNECT', 'B']]);
  });

  real(`${first} to ${second}: a stream carries bytes both ways and is destroyed`, async (t) => {
    const server = await serve(t);
    const a = KINDS[first](t, server, 'A');
    const b = KINDS[second](t, server, 'B');
    await connected(a, b);
    const accepted = new Promise((resolve) => b.onAddP2pStream('files', resolve, {}));
    const mine = await a.addP2pStream('B', 'files', {});
    const theirs = await accepted;
    const received = [collect(mine), collect(theirs)];
    const sent = [randomBytes(400_000), randomBytes(300_000)];
    for (let at = 0; at < 400_000; at += 16_384) {
      mine.write(sent[0].subarray(at, at + 16_384));
      if (at < 300_000) theirs.write(sent[1].subarray(at, Math.min(at + 16_384, 300_000)));
    }
    await until(() => received[0].size === 300_000 && received[1].size === 400_000, 'everything has come');
    assert.ok(Buffer.concat(received[0].chunks).equals(sent[1]));
    assert.ok(Buffer.concat(received[1].chunks).equals(sent[0]));
    const ended = next(theirs, 'end');
    mine.end();
    await ended;
    const closed = [next(mine, 'close'), next(theirs, 'close')];
    theirs.destroy();
    await Promise.all(closed);
  });
}

/** What comes out of a stream: `{chunks, size}`. */
function collect(stream) {
  const got = { chunks: [], size: 0 };
  stream.on('data', (chunk) => {
    got.chunks.push(chunk);
    got.size += chunk.length;
  });
  return got;
}
