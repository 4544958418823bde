/** p2p.js over socket.io-client 2, 3, 4 and over its own client, against the real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, device, heard, next } from './support/devices.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { until } from './support/wait.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, concurrency: true }, body);

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
    const server = await jackfield(t);
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
    const server = await jackfield(t);
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
