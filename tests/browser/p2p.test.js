/** p2p.js in a real browser: on its own, and over the browser's builds of socket.io-client, from another origin. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { connected, device, next, serve } from '../js/support/devices.js';
import { visitor } from './support/browser.js';
import { heads, page } from './support/site.js';
import { browser, real } from './support/suite.js';

const HEADS = heads('p2p', 'p2pClientPlugin, connectP2p');
const library = (major) => fileURLToPath(new URL(`../js/node_modules/socket.io-client-${major}/dist/socket.io.js`, import.meta.url));

/** What a page does with its device `window.me`: pairs with the test's, and tells what it saw. */
async function meets(opened, test_) {
  test_.on('echo', (...args) => args.pop()(...args));
  test_.onAddP2pStream((stream) => stream.on('data', (chunk) => stream.write(chunk)).on('end', () => stream.end()));
  const told = await opened.evaluate(async () => {
    const { me } = window;
    const plain = async (value) => [...new Uint8Array(value instanceof Blob ? await value.arrayBuffer() : value)];
    await me.registerP2pTarget('test');
    const answer = await new Promise((resolve) => me.emit2('echo', 'é😀', [null, { a: 1 }], (...args) => resolve(args)));
    const back = await me.call2('echo', Uint8Array.of(1, 2).buffer);
    const stream = await me.addP2pStream('test');
    const chunks = [];
    stream.on('data', async (chunk) => chunks.push(await plain(chunk)));
    const ended = new Promise((resolve) => stream.on('end', resolve));
    await stream.write(Uint8Array.of(9, 7, 5).subarray(1));
    await stream.end('é');
    await ended;
    return { target: me.targetClientId, answer, back: await plain(back), chunks };
  });
  assert.deepEqual(told, { target: 'test', answer: ['é😀', [null, { a: 1 }]], back: [1, 2], chunks: [[7, 5], [195, 169]] });
  assert.equal(test_.targetClientId, 'page');
}

for (const [kind, head] of Object.entries(HEADS)) {
  real(`${kind}: a page without a library pairs with a device outside, and is missed when it goes`, async (t) => {
    const server = await serve(t);
    const other = device(t, server, 'test');
    await connected(other);
    const opened = await page(t, await visitor(t, browser), head);
    await opened.evaluate(async (url) => {
      const { connectP2p } = window.imported ?? window;
      window.me = connectP2p(url, 'page');
      await new Promise((resolve) => window.me.once('connect', resolve));
    }, server.http);
    await meets(opened, other);
    const sent = await opened.evaluate(async () => {
      const blob = await window.me.call2('echo', new Blob(['blob']), new DataView(new ArrayBuffer(1)));
      return [blob.constructor.name, new TextDecoder().decode(blob), window.me.bufferedAmount];
    });
    assert.deepEqual(sent, ['ArrayBuffer', 'blob', 0]);
    const missed = next(other, 'P2P_DISCONNECT');
    await opened.close();
    await missed;
    assert.equal(other.targetClientId, undefined);
  });
}

for (const major of [2, 3, 4]) {
  for (const transports of [['polling'], ['polling', 'websocket'], ['websocket']]) {
    real(`socket.io-client ${major} in a page, ${transports.join(' and ')}: pairs with a device outside`, async (t) => {
      const server = await serve(t);
      const other = device(t, server, 'test', { major: 4 });
      await connected(other);
      const opened = await page(t, await visitor(t, browser), HEADS.classic);
      await opened.addScriptTag({ path: library(major) });
      await opened.evaluate(async ([url, transports]) => {
        window.me = p2pClientPlugin(io(url, { query: { clientId: 'page' }, transports }));
        await new Promise((resolve) => window.me.once('connect', resolve));
      }, [server.http, transports]);
      await meets(opened, other);
      const missed = next(other, 'P2P_DISCONNECT');
      await opened.evaluate(() => void window.me.disconnect());
      await missed;
    });
  }
}
