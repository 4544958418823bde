/** The client files in pages of another origin, as a classic script and as a module. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { jackfield } from '../js/support/jackfield.js';
import { atEnd } from '../js/support/end.js';
import { visitor } from './support/browser.js';
import { browser, real } from './support/suite.js';

/** A page of another origin with this text in its head. */
async function page(t, context, head) {
  const site = http.createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><link rel="icon" href="data:,">${head}`);
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    site.close();
    site.closeAllConnections();
  });
  const opened = await context.newPage();
  await opened.goto(`http://127.0.0.1:${site.address().port}/`);
  return opened;
}

const CLASSIC = (server) => `
  <script src="${server.http}/client/webshare.js"></script>
  <script src="${server.http}/client/named.js"></script>`;
const MODULE = (server) => `
  <script type="module">
    import { WebShare } from '${server.http}/client/webshare.mjs';
    import { BroadcastWebSocket, LocalWebSocket } from '${server.http}/client/named.mjs';
    window.imported = { WebShare, BroadcastWebSocket, LocalWebSocket };
  </script>`;

for (const [kind, head] of Object.entries({ CLASSIC, MODULE })) {
  real(`${kind.toLowerCase()}: two WebShares pair and relay anything`, async (t) => {
    const server = await jackfield(t);
    const opened = await page(t, await visitor(t, browser), head(server));
    const told = await opened.evaluate(async (port) => {
      const WebShare = window.imported?.WebShare ?? window.WebShare;
      const [alice, bob] = [0, 1].map(() => new WebShare('127.0.0.1', port, { path: '/webshare', binary: true }));
      const next = (client, type) => new Promise((resolve) => client.addEventListener(type, resolve, { once: true }));
      await Promise.all([next(alice, 'key'), next(bob, 'key')]);
      await alice.pair(bob.key);
      const relayed = next(bob, 'relay');
      await alice.relay({ hello: ['dan', null] });
      const binary = next(bob, 'binary');
      await alice.relayBinary(new Blob([Uint8Array.of(1, 2, 3)]));
      const answer = [(await relayed).detail, [...(await binary).detail]];
      const failure = await alice.pair(bob.key).catch((error) => error.code);
      const unpaired = next(bob, 'unpair');
      alice.close();
      await unpaired;
      bob.close();
      return [...answer, failure];
    }, server.port);
    assert.deepEqual(told, [{ hello: ['dan', null] }, [1, 2, 3], 'ALREADY_PAIRED']);
  });

  real(`${kind.toLowerCase()}: names are joined on the server that the script came from`, async (t) => {
    const server = await jackfield(t);
    const opened = await page(t, await visitor(t, browser), head(server));
    const told = await opened.evaluate(async () => {
      const { LocalWebSocket } = window.imported ?? window;
      const [alice, bob] = [LocalWebSocket('demo'), new LocalWebSocket('demo')];
      const next = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
      await Promise.all([next(alice, 'connect'), next(bob, 'connect')]);
      const text = next(bob, 'message');
      alice.send('text');
      const first = (await text).data;
      const blob = next(bob, 'message');
      alice.send(Uint8Array.of(4, 5));
      const second = (await blob).data;
      const closed = next(alice, 'close');
      const left = next(bob, 'disconnect');
      alice.close(3000, 'done');
      const { code, wasClean } = await closed;
      await left;
      const counts = [alice.peerCount, bob.peerCount];
      bob.close();
      return { first, second: [second instanceof Blob, ...new Uint8Array(await second.arrayBuffer())], code, wasClean, counts, url: bob.url };
    });
    assert.deepEqual(told, {
      first: 'text',
      second: [true, 4, 5],
      code: 3000,
      wasClean: true,
      counts: [0, 0],
      url: `${server.ws}/local/demo?presence=1`,
    });
  });
}

real('the classic file may be imported too, for its globals', async (t) => {
  const server = await jackfield(t);
  const opened = await page(t, await visitor(t, browser), '');
  const kinds = await opened.evaluate(async (base) => {
    await Promise.all([import(`${base}/client/webshare.js`), import(`${base}/client/named.js`)]);
    return [typeof WebShare, typeof LocalWebSocket, typeof BroadcastWebSocket];
  }, server.http);
  assert.deepEqual(kinds, ['function', 'function', 'function']);
});
