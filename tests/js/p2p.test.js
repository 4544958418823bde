/** p2p.js over socket.io-client 2, 3, 4 and over its own client, against the real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, device, heard, next, p2pClientPlugin, serve } from './support/devices.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { until } from './support/wait.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 20_000 }, body);

const BYTES = Uint8Array.of(0, 1, 2, 253, 254, 255);

/** Whatever carries binary in this version, as plain bytes. */
const plain = (value) => [...new Uint8Array(value)];

/** Two that are paired, as both know. */
async function pair(t, server, [a, b] = ['A', 'B'], options = {}) {
  const devices = [device(t, server, a, options), device(t, server, b, options)];
  await connected(...devices);
  await Promise.all([next(devices[1], 'P2P_REGISTER_SUCCESS'), devices[0].registerP2pTarget(b)]);
  return devices;
}

for (const major of [2, 3, 4, 'own']) {
  const options = { major };

  real(`${major}: a pair exchanges text and binary with acks, and parts`, async (t) => {
    const server = await serve(t);
    const [a, b] = await pair(t, server, ['A', 'B'], options);
    assert.deepEqual([a.targetClientId, b.targetDeviceId, a.clientId, b.deviceId], ['B', 'A', 'A', 'B']);

    b.on('sum', (first, second, ack) => ack(first + second));
    const sum = await new Promise((resolve) => a.emit2('sum', 1, 2, resolve));
    assert.equal(sum, 3);
    assert.equal(await a.call2('sum', 'é', '😀'), 'é😀');
    a.on('binary', (data, more, ack) => ack({ back: data, more }));
    const answer = await b.call2('binary', BYTES.buffer, { deep: [BYTES.buffer, null] });
    assert.deepEqual([plain(answer.back), plain(answer.more.deep[0]), answer.more.deep[1]], [[...BYTES], [...BYTES], null]);
    const plainly = next(b, 'plain');
    assert.equal(a.emitP2p('plain', 1, 'two', [3], null), a);
    assert.deepEqual(await plainly, [1, 'two', [3], null]);

    const parted = next(b, 'P2P_UNREGISTER');
    await a.unregisterP2pTarget();
    await parted;
    assert.deepEqual([a.targetClientId, b.targetClientId], [undefined, undefined]);
    // Both are free: the other way round now.
    assert.equal(await b.registerP2pTarget('A', {}), true);
  });

  real(`${major}: what a registration cannot have is told to callback, promise and event`, async (t) => {
    const server = await serve(t);
    const [a] = await pair(t, server, ['A', 'B'], options);
    const c = device(t, server, 'C', options);
    const told = heard(c, 'P2P_REGISTER_FAILED');
    heard(c, 'SERVER_ERROR');
    const unhandled = [];
    const watch = (reason) => unhandled.push(reason);
    process.on('unhandledRejection', watch);
    t.after(() => process.off('unhandledRejection', watch));

    const called = new Promise((resolve) => c.registerP2pTarget('A', {}, () => resolve('paired'), resolve));
    assert.equal((await called).code, 'UNAVAILABLE');
    await assert.rejects(c.registerP2pTarget('nobody'), { code: 'UNAVAILABLE', message: /not available for connection/ });
    await assert.rejects(c.registerP2pTarget('C'), { code: 'SELF' });
    await assert.rejects(a.registerP2pTarget('C'), { code: 'BUSY', message: /Current target: B/ });
    await c.registerP2pTarget('A', {}, () => assert.fail('paired')).catch(() => {});
    await until(() => told.length === 4);
    assert.deepEqual(told.map(([, error, target]) => [error.code, target]), [
      ['UNAVAILABLE', 'A'],
      ['UNAVAILABLE', 'nobody'],
      ['SELF', 'C'],
      ['UNAVAILABLE', 'A'],
    ]);
    assert.equal(await a.registerP2pTarget('B'), true, 'what is there already needs no asking');
    assert.deepEqual(unhandled, []);
    // Whoever was refused is as free as before.
    await c.unregisterP2pTarget();
    const d = device(t, server, 'D', options);
    await connected(d);
    assert.equal(await c.registerP2pTarget('D'), true);
  });
}

for (const major of [2, 3, 4, 'own']) {
  const options = { major };

  real(`${major}: targets, rooms, lists and services`, async (t) => {
    const server = await serve(t);
    const [a, b, c] = ['A', 'B', 'C'].map((id) => device(t, server, id, options));
    await connected(a, b, c);
    assert.deepEqual((await a.getClientList()).sort(), ['A', 'B', 'C']);
    assert.deepEqual((await new Promise((resolve) => b.getClientList(resolve))).sort(), ['A', 'B', 'C']);
    assert.deepEqual([await a.isClientConnected('B'), await a.isClientConnected('Z')], [true, false]);
    assert.equal(await new Promise((resolve) => a.isClientConnected('C', resolve)), true);

    const added = new Promise((resolve) => b.onAddP2pTarget(resolve));
    await a.addP2pTarget('B');
    assert.equal(await added, 'A');
    await assert.rejects(a.addP2pTarget('Z'), { message: 'Target client Z is not connected to server' });
    assert.match((await new Promise((resolve) => a.addP2pTarget('Z', resolve))).message, /Z is not connected/);
    assert.equal(await new Promise((resolve) => a.addP2pTarget('B', resolve)), undefined);
    assert.throws(() => a.onAddP2pTarget(), /requires a Function/);
    assert.throws(() => a.onP2pTargetDisconnect('x'), /requires a Function/);

    b.on('ask', (...args) => args.pop()(args.length, ...args));
    assert.equal(await a.callTo('B', 'ask', 'x', BYTES.buffer), 2);
    assert.equal(await new Promise((resolve) => a.emitTo('B', 'ask', resolve)), 0);

    await Promise.all([b.joinRoom('r'), new Promise((resolve) => c.joinRoom('r', resolve))]);
    const toRoom = heard(b, 'news');
    const last = next(c, 'news');
    a.emitRoom('r', 'news', 1, { two: 2 });
    assert.deepEqual(await last, [1, { two: 2 }]);
    await until(() => toRoom.length === 1);
    await b.leaveRoom('r');
    const again = next(c, 'news');
    a.emitRoom('r', 'news', 2);
    await again;
    assert.equal(await b.isClientConnected('A'), true, 'what was sent to the room before has come by now');
    assert.equal(toRoom.length, 1);

    assert.equal(await a.provideService('double', (n, ack) => ack(2 * n)), true);
    assert.equal(await new Promise((resolve) => b.emitService('double', 21, resolve)), 42);
    let why;
    assert.equal(await b.provideService('double', () => {}, (text) => (why = text)), false);
    assert.equal(why, 'Duplicated API name: double');
    const errors = heard(b, 'SERVER_ERROR');
    assert.equal(await b.emitService('halve', 1), false);
    assert.deepEqual(errors, [['SERVER_ERROR', 'API is not registered: halve']]);
    a.destroyService('double');
    await a.provideService('other', () => {});
    assert.equal(await b.emitService('double', 1), false);
    a.destroyAllServices();
    await a.getClientList();
    assert.equal(await b.provideService('other', () => {}), true);

    const gone = heard(a, 'TARGET_DISCONNECT');
    const told = new Promise((resolve) => a.onP2pTargetDisconnect(resolve));
    b.disconnect();
    assert.equal(await told, 'B');
    assert.deepEqual((await a.getClientList()).sort(), ['A', 'C']);
    assert.equal(gone.length, 1);
  });

  real(`${major}: streams carry bytes in order, as fast as the reader reads`, async (t) => {
    const server = await serve(t);
    const [a, b] = ['A', 'B'].map((id) => device(t, server, id, options));
    await connected(a, b);
    const arrived = new Promise((resolve) => b.onAddP2pStream('files', (...args) => resolve(args)));
    const mine = await a.addP2pStream('B', 'files', { sourceStreamId: 'up' });
    const [theirs] = await arrived;
    assert.deepEqual([mine.targetClientId, theirs.targetClientId, theirs.targetStreamId], ['B', 'A', 'up']);

    const chunks = [];
    let reading = 0;
    let release;
    // The second chunk is held until the test says so; what comes before a listener waits for one.
    const writes = ['one', BYTES, 'é'.repeat(70_000)].map((chunk) => mine.write(chunk));
    theirs.on('data', async (chunk) => {
      reading += 1;
      assert.equal(reading, 1, 'one chunk at a time');
      if (chunks.push(chunk) === 2) await new Promise((resolve) => (release = resolve));
      reading -= 1;
    });
    await writes[0];
    await until(() => release);
    let isTaken = false;
    writes[1].then(() => (isTaken = true));
    await a.getClientList();
    assert.equal(isTaken, false);
    const ended = next(theirs, 'end');
    const end = mine.end('last');
    release();
    await Promise.all([...writes, end, ended]);
    assert.deepEqual(chunks.map((chunk) => [chunk.constructor.name.replace('Buffer', 'Uint8Array'), chunk.length]), [
      ['Uint8Array', 3],
      ['Uint8Array', 6],
      ['Uint8Array', 140_000],
      ['Uint8Array', 4],
    ]);
    assert.deepEqual([...chunks[1]], [...BYTES]);

    // The other direction goes on until it ends too.
    const back = next(mine, 'data');
    await Promise.all([theirs.write(BYTES.subarray(1, 3)), back]);
    assert.deepEqual(plain((await back)[0]), [1, 2]);
    const over = [next(mine, 'close'), next(theirs, 'close')];
    theirs.end();
    await Promise.all(over);
    await assert.rejects(mine.write('late'), { code: 'CLOSED' });
  });

  real(`${major}: a stream ends with its refusal, its destruction, its peer or its connection`, async (t) => {
    const server = await serve(t);
    const [a, b] = ['A', 'B'].map((id) => device(t, server, id, options));
    await connected(a, b);
    await assert.rejects(a.addP2pStream('Z'), { code: 'UNAVAILABLE', message: /Z is not connected/ });
    assert.match((await new Promise((resolve) => a.addP2pStream('Z', resolve))).message, /Z is not connected/);

    const accepted = [];
    b.onAddP2pStream({}, (stream, args) => accepted.push([stream, args]));
    const open = async (...args) => [await a.addP2pStream('B', ...args), await until(() => accepted.shift())];
    const [first, [itsFirst, args]] = await open([1, { two: 2 }], {});
    assert.deepEqual(args, [1, { two: 2 }]);
    const [second, [itsSecond]] = await open();
    const closed = next(itsFirst, 'close');
    const failed = next(first, 'error');
    first.destroy(new Error('why'));
    assert.equal((await failed)[0].message, 'why');
    await closed;
    assert.deepEqual([first.destroyed, itsFirst.destroyed, second.destroyed, itsSecond.destroyed], [true, true, false, false]);

    const write = second.write('nobody reads it');
    const bothClosed = [next(second, 'close'), next(itsSecond, 'close')];
    b.disconnect();
    await Promise.all(bothClosed);
    await assert.rejects(write, { code: 'CLOSED' });
  });

  real(`${major}: a pair has a stream of its own`, async (t) => {
    const server = await serve(t);
    const [a, b] = await pair(t, server, ['A', 'B'], options);
    assert.equal(await a.registerP2pStream(), null);
    await new Promise((resolve) => a.registerP2pStream({}, assert.fail, resolve));
    const arrived = new Promise((resolve) => b.onRegisterP2pStream({}, resolve));
    const mine = await a.registerP2pStream({});
    const theirs = await arrived;
    theirs.on('data', (chunk) => theirs.write(chunk));
    const back = next(mine, 'data');
    await mine.write(BYTES);
    assert.deepEqual(plain((await back)[0]), [...BYTES]);
    const closed = [next(mine, 'close'), next(theirs, 'close')];
    b.unregisterP2pTarget();
    await Promise.all(closed);
  });
}

for (const major of [2, 3, 4, 'own']) {
  const options = { major };

  real(`${major}: what a server took along when it ended, the next one is told again`, async (t) => {
    const first = await serve(t);
    const [a, b] = await pair(t, first, ['A', 'B'], options);
    await Promise.all([a.joinRoom('r'), a.provideService('double', (n, ack) => ack(2 * n))]);
    b.onAddP2pTarget(() => {});
    await a.addP2pTarget('B');
    heard(a, 'SERVER_ERROR');
    heard(b, 'SERVER_ERROR');
    const [lost, found] = [heard(a, 'disconnect'), heard(b, 'P2P_REGISTER_SUCCESS')];
    await first.stop();
    await until(() => lost.length);
    await jackfield(t, { port: first.port });
    await connected(a, b);
    await until(() => a.targetClientId === 'B' && b.targetClientId === 'A' && found.length, 'they are paired again');
    b.on('ask', (ack) => ack('B'));
    assert.equal(await a.call2('ask'), 'B');
    // What the new connection told the server came before this call.
    const news = next(a, 'news');
    b.emitRoom('r', 'news', 1);
    assert.deepEqual(await news, [1]);
    assert.equal(await new Promise((resolve) => b.emitService('double', 2, resolve)), 4);
  });
}

real('a partner that lost its connection asks again, and what it sends meanwhile waits', async (t) => {
  const server = await serve(t);
  const [a, b] = await pair(t, server, ['A', 'B'], { transports: ['websocket'] });
  const seen = heard(b, 'P2P_DISCONNECT', 'P2P_REGISTER_SUCCESS', 'late');
  const own = heard(a, 'P2P_DISCONNECT', 'P2P_REGISTER_SUCCESS', 'P2P_REGISTER_FAILED');
  a.once('disconnect', () => {
    assert.equal(a.targetClientId, 'B');
    a.emit2('late', 1);
  });
  a.io.engine.close();
  await until(() => seen.some(([name]) => name === 'late'));
  await until(() => own.length);
  assert.deepEqual(own, [['P2P_REGISTER_SUCCESS', 'B']]);
  assert.deepEqual(seen.map(([name]) => name).sort(), ['P2P_DISCONNECT', 'P2P_REGISTER_SUCCESS', 'late']);
});

real('without restore, or after leaving, nothing is asked again', async (t) => {
  const first = await serve(t);
  const [a, b] = await pair(t, first, ['A', 'B'], { major: 'own', restore: false });
  const own = heard(a, 'P2P_DISCONNECT');
  await first.stop();
  await until(() => own.length === 1 && a.targetClientId === undefined);
  await jackfield(t, { port: first.port });
  await connected(a, b);
  assert.equal(await a.registerP2pTarget('B'), true);
  a.disconnect();
  assert.equal(own.length, 2);
  a.connect();
  await connected(a);
  await until(() => b.targetClientId === undefined);
  assert.equal(await a.registerP2pTarget('B'), true);
});

real('who is asked may say no, and two that ask each other are paired', async (t) => {
  const server = await serve(t);
  const asked = [];
  const accept = (id) => asked.push(id) > 1;
  const [a, b] = [device(t, server, 'A'), device(t, server, 'B', { plugin: { accept } })];
  heard(a, 'SERVER_ERROR');
  await connected(a, b);
  await assert.rejects(a.registerP2pTarget('B'), { code: 'UNAVAILABLE' });
  assert.equal(await a.registerP2pTarget('B'), true);
  assert.deepEqual(asked, ['A', 'A']);
  await a.unregisterP2pTarget();
  await until(() => b.targetClientId === undefined);
  const both = await Promise.all([a.registerP2pTarget('B'), b.registerP2pTarget('A'), a.registerP2pTarget('B')]);
  assert.deepEqual([both, a.targetClientId, b.targetClientId], [[true, true, true], 'B', 'A']);
});

real('errors go to who listens, or to the console', async (t) => {
  const server = await serve(t);
  const a = device(t, server, 'A');
  assert.equal(p2pClientPlugin(a, 'other'), a);
  assert.equal(a.clientId, 'A');
  await connected(a);
  const lines = t.mock.method(console, 'error', () => {});
  a.emit2('nothing', () => assert.fail('nobody answers'));
  assert.deepEqual(lines.mock.calls.map((line) => line.arguments), [["Device 'A': emit2 must be called after targetClientId is set"]]);
  const errors = heard(a, 'SERVER_ERROR');
  a.emitTo('Z', 'event');
  await until(() => errors.length);
  assert.match(errors[0][1], /Client Z is not connected to server/);
  assert.equal(lines.mock.callCount(), 1);
});

real('a message above the limit says what it met, and the connection comes back', async (t) => {
  const server = await serve(t);
  const [a, b] = await pair(t, server, ['A', 'B'], { major: 'own' });
  const ended = next(a, 'disconnect');
  const back = next(a, 'P2P_REGISTER_SUCCESS');
  a.emit2('event', 'x'.repeat(1 << 20));
  const [reason, { code, reason: why }] = await ended;
  assert.deepEqual([reason, code], ['transport close', 1009]);
  assert.match(why, /1048576 bytes \(--max-message\)/);
  await back;
  b.on('ask', (ack) => ack('still there'));
  assert.equal(await a.call2('ask'), 'still there');
});
