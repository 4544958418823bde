/** The real socket.io-client in every major version over every transport, without a line of ours in between. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { LIBRARIES, TRANSPORTS, connected, heard, next, serve, socket } from './support/devices.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { until } from './support/wait.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 30_000 }, body);

const MAJORS = Object.keys(LIBRARIES).map(Number);
const BYTES = Buffer.from([0, 1, 2, 127, 128, 253, 254, 255]);

/** A message to another device and its answer, in the form of the plugin's last generations. */
const ask = (from, to, name, ...args) => new Promise((resolve) => from.emit('P2P_EMIT', to, name, args, (...answer) => resolve(answer)));

/** Answers `echo` with all that it was given. */
function echoes(device) {
  device.on('echo', (...args) => args.pop()(...args));
  return device;
}

/** Answers a registration as this generation of the plugin's client does. */
function accepts(device, generation) {
  device.on('P2P_REGISTER', (source, ack) => {
    device.partner = source;
    if (generation === 2) ack(true);
    else device.emit('P2P_REGISTER_SUCCESS');
  });
  return device;
}

const register = (from, to) => new Promise((resolve) => from.emit('P2P_REGISTER', to, resolve));

for (const major of MAJORS) {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    real(`socket.io-client ${major}, ${name}: acks, binary, order and size in both directions`, async (t) => {
      const server = await serve(t);
      const a = socket(t, server, { clientId: 'A' }, { major, transports });
      // The other end is of another version, and comes over the other transport.
      const b = socket(t, server, { clientId: 'B' }, { major: (major % 3) + 2, transports: [name === 'websocket' ? 'polling' : 'websocket'] });
      await connected(echoes(a), echoes(b));
      if (name === 'default') await until(() => a.io.engine.transport.name === 'websocket', 'it is upgraded');
      else assert.equal(a.io.engine.transport.name, name);

      for (const [from, to] of [[a, 'B'], [b, 'A']]) {
        const values = [null, 0, -1.5e300, '', 'é😀\u2028\u0000"\\', [], {}, { a: [1, { b: null }] }, 'x'.repeat(300_000)];
        assert.deepEqual(await ask(from, to, 'echo', ...values), values);
        const [first, { deep }] = await ask(from, to, 'echo', BYTES, { deep: [BYTES, 'text', BYTES] });
        assert.deepEqual([first, deep].flat().map(String), [BYTES, BYTES, 'text', BYTES].map(String));
        const [large] = await ask(from, to, 'echo', Buffer.alloc(300_000, 7));
        assert.deepEqual([large.length, large.every((byte) => byte === 7)], [300_000, true]);
      }

      const counted = heard(b, 'count');
      for (let i = 0; i < 200; i += 1) a.emit('P2P_EMIT', 'B', 'count', i % 5 ? [i] : [i, BYTES]);
      await until(() => counted.length === 200);
      assert.deepEqual(counted.map(([, i]) => i), Array.from({ length: 200 }, (_, i) => i));
    });
  }

  for (const other of MAJORS) {
    real(`socket.io-client ${major} pairs with ${other}, whatever their generations`, async (t) => {
      const server = await serve(t);
      const a = socket(t, server, { clientId: 'A' }, { major });
      const b = accepts(socket(t, server, { clientId: 'B' }, { major: other }), 2);
      const c = accepts(socket(t, server, { deviceId: 'C', gen: 'g0b' }, { major: other }), 0);
      const d = accepts(socket(t, server, { deviceId: 'D' }, { major: other }), 0);
      await connected(a, b, c, d);

      for (const [device, id] of [[b, 'B'], [c, 'C']]) {
        assert.equal(await register(a, id), true);
        assert.equal(device.partner, 'A');
        // Spread arguments and an answer from end to end.
        device.on('event', (...args) => args.pop()(...args, 'seen'));
        assert.deepEqual(await ask(a, id, 'event', 1, BYTES, { two: 2 }), [1, BYTES, { two: 2 }, 'seen']);
        const parted = next(device, 'P2P_UNREGISTER');
        await new Promise((resolve) => a.emit('P2P_UNREGISTER', resolve));
        await parted;
      }
      // The first generation hears one array, and the server answers in its place.
      assert.equal(await register(a, 'D'), true);
      const heardByD = next(d, 'event');
      assert.deepEqual(await ask(a, 'D', 'event', 1, { two: 2 }), ['Server acknowledged']);
      assert.deepEqual(await heardByD, [[1, { two: 2 }]]);
      // And says everything in one object.
      const heardByA = next(a, 'event');
      d.emit('P2P_EMIT', { targetDeviceId: 'A', event: 'event', args: [3, BYTES] });
      assert.deepEqual(await heardByA, [3, BYTES]);
      const told = next(a, 'P2P_DISCONNECT');
      d.disconnect();
      await told;
    });
  }

  real(`socket.io-client ${major}: another namespace is refused, and the first goes on`, async (t) => {
    const server = await serve(t);
    const a = echoes(socket(t, server, { clientId: 'A' }, { major }));
    await connected(a);
    const other = a.io.socket('/other');
    other.connect();
    const [error] = await next(other, major === 2 ? 'error' : 'connect_error');
    other.close();
    assert.equal(error.message ?? error, 'Invalid namespace');
    assert.deepEqual(await ask(a, 'A', 'echo', 1), [1]);
  });

  for (const [name, transports] of Object.entries({ polling: ['polling'], websocket: ['websocket'] })) {
    real(`socket.io-client ${major}, ${name}: a message at the limit passes, one above it ends the connection of its sender only`, async (t) => {
      const server = await serve(t);
      const a = echoes(socket(t, server, { clientId: 'A' }, { major, transports }));
      const b = socket(t, server, { clientId: 'B' }, { major, transports: ['websocket'] });
      await connected(a, b);
      const lost = heard(b, 'disconnect');
      const size = (1 << 20) - 100;
      const [answer] = await ask(b, 'A', 'echo', 'y'.repeat(size - 1000));
      assert.equal(answer.length, size - 1000);

      const ended = next(a, 'disconnect');
      const back = next(a, 'connect');
      a.emit('P2P_EMIT', 'B', 'event', ['x'.repeat(1 << 20)]);
      const [reason, detail] = await ended;
      assert.match(reason, /^transport (error|close)$/);
      if (major === 4 && name === 'polling') assert.equal(detail.context.status, 413);
      await back;
      assert.deepEqual(await ask(b, 'A', 'echo', 1), [1]);
      assert.deepEqual(lost, []);
    });

    for (const signal of ['SIGKILL', 'SIGTERM']) {
      real(`socket.io-client ${major}, ${name}: comes back to a server that was started anew after ${signal}`, async (t) => {
        const first = await serve(t);
        const a = socket(t, first, { clientId: 'A' }, { major, transports });
        await connected(a);
        const ended = next(a, 'disconnect');
        await first.stop(signal);
        assert.match((await ended)[0], /^transport (error|close)$/);
        const back = next(a, 'connect');
        await jackfield(t, { port: first.port });
        await back;
        const [list] = await new Promise((resolve) => a.emit('LIST_CLIENTS', (...answer) => resolve(answer)));
        assert.deepEqual(list, ['A']);
      });
    }
  }

  real(`socket.io-client ${major}: an id that is taken is refused until its holder has left`, async (t) => {
    const server = await serve(t);
    const holder = echoes(socket(t, server, { clientId: 'A' }, { major }));
    const observer = socket(t, server, { clientId: 'B' });
    await connected(holder, observer);
    const second = socket(t, server, { clientId: 'A' }, { major });
    const [[why], [reason]] = await Promise.all([next(second, 'SERVER_ERROR'), next(second, 'disconnect')]);
    assert.match(why, /Duplicated clientId A/);
    assert.equal(reason, 'io server disconnect');
    assert.deepEqual(await ask(holder, 'A', 'echo', 1), [1]);
    holder.disconnect();
    const isThere = (id) => new Promise((resolve) => observer.emit('GET_CLIENT_CONNECTED_STATUS', id, resolve));
    while (await isThere('A'));
    second.connect();
    await connected(second);
    assert.deepEqual(await ask(echoes(second), 'A', 'echo', 2), [2]);
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    real(`socket.io-client ${major}, ${name}: a killed device is told of once, and its id is free`, async (t) => {
      const server = await serve(t, '--device-ping-interval', '300ms', '--device-ping-timeout', '300ms');
      const child = spawn(process.execPath, [fileURLToPath(new URL('support/device.js', import.meta.url)), server.http, major, JSON.stringify(transports ?? null)]);
      t.after(() => child.kill('SIGKILL'));
      await once(child.stdout, 'data');

      const partner = socket(t, server, { clientId: 'A' }, { major: 4 });
      await connected(partner);
      assert.equal(await register(partner, 'child'), true);
      const told = heard(partner, 'P2P_DISCONNECT');
      child.kill('SIGKILL');
      await until(() => told.length);
      const heir = echoes(socket(t, server, { clientId: 'child' }, { major }));
      await connected(heir);
      assert.deepEqual(await ask(partner, 'child', 'echo', 1), [1]);
      assert.equal(told.length, 1);
    });
  }
}

real('a device that reads slowly holds up only who writes to it, and gets everything', async (t) => {
  const server = await serve(t);
  const address = `${server.ws}/socket.io/?EIO=4&transport=websocket&clientId=slow`;
  const slow = new WebSocket(address);
  const received = [];
  slow.on('message', (data, isBinary) => {
    const text = isBinary ? '' : String(data);
    if (text.startsWith('0')) slow.send('40');
    else if (text === '2') slow.send('3');
    else if (text.startsWith('42')) received.push(JSON.parse(text.slice(2)));
  });
  t.after(() => slow.terminate());
  const [a, b, c] = ['A', 'B', 'C'].map((clientId) => socket(t, server, { clientId }, { transports: ['websocket'] }));
  await connected(a, b, echoes(c));
  await until(() => slow.readyState === WebSocket.OPEN);
  const [[list]] = [await new Promise((resolve) => a.emit('LIST_CLIENTS', (...answer) => resolve(answer)))];
  assert.ok(list.includes('slow'));

  slow.pause();
  const chunk = 'x'.repeat(16_384);
  const count = 1_000;
  for (let i = 0; i < count; i += 1) a.emit('P2P_EMIT', 'slow', 'chunk', [i, chunk]);
  for (let i = 0; i < 20; i += 1) assert.deepEqual(await ask(b, 'C', 'echo', i), [i]);
  assert.equal(received.length, 0);
  slow.resume();
  await until(() => received.length === count);
  assert.deepEqual(received.map(([, i]) => i), Array.from({ length: count }, (_, i) => i));
});
