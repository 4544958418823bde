/** pocket.socket in a real browser, against servers of the test. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pocketServer } from '../js/support/pocket.js';
import { launch, visitor } from './support/browser.js';
import { heads, page } from './support/site.js';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

for (const [kind, head] of Object.entries(heads('pocket.socket', 'pocket, AddressException'))) {
  test(`${kind}: two pages on two servers hear each message once, with receipts`, { timeout: 60_000 }, async (t) => {
    const servers = [await pocketServer(t), await pocketServer(t)];
    const ports = servers.map((server) => server.port);
    const context = await visitor(t, browser);
    const [alice, bob] = await Promise.all([page(t, context, head), page(t, context, head)]);
    await bob.evaluate(async (ports) => {
      const { pocket } = window.imported ?? window;
      window.heard = [];
      pocket.socket.on('clock', 'tick', (e, socket) => heard.push(['tick', e.data, socket.uri.startsWith('ws://127.0.0.1:')]));
      pocket.socket.on('clock', (name) => heard.push([name]));
      pocket.socket.on('socket', 'message', async ({ data }) => heard.push([data instanceof Blob, await data.text()]));
      await pocket.socket.setup('127.0.0.1', ports, 'broadcast').connect();
    }, ports);
    const told = await alice.evaluate(async (ports) => {
      const { pocket, AddressException } = window.imported ?? window;
      const names = [];
      pocket.socket.setup('127.0.0.1', ports, 'broadcast').on('socket', (name) => names.push(name)).connect();
      const receipts = await new Promise((resolve) => {
        const all = [];
        pocket.socket.signal('clock', 'tick', { now: 1 }, (receipt) => all.push(receipt) === 2 && resolve(all));
      });
      await pocket.socket.signal('clock', 'tock');
      const [first] = await pocket.socket.connect();
      first.send(new Blob(['blob']));
      let caught;
      try {
        pocket.socket.setup(['127.0.0.1', '44.343.134.135'], [8001]).connect();
      } catch (error) {
        caught = [error instanceof AddressException, error.name];
      }
      return { receipts: receipts.map(({ socket, attr }) => [socket, attr]), caught, names };
    }, ports);
    assert.deepEqual(told.receipts, [['sent', 'json'], ['sent', 'json']]);
    assert.deepEqual(told.caught, [true, 'AddressException']);
    assert.deepEqual(told.names.slice(0, 3), ['connecting', 'connecting', 'open']);
    await bob.waitForFunction(() => window.heard.length === 4);
    const heard = await bob.evaluate(() => window.heard);
    assert.deepEqual(heard, [['tick', { now: 1 }, true], ['tick'], ['tock'], [true, 'blob']]);
  });

  test(`${kind}: overflow goes on with the next server, and comes back to what waited`, { timeout: 60_000 }, async (t) => {
    const [first, second] = [await pocketServer(t), await pocketServer(t)];
    const context = await visitor(t, browser, { expected: (text) => /WebSocket connection to/.test(text) });
    const opened = await page(t, context, head);
    await opened.evaluate(async (urls) => {
      const { pocket } = window.imported ?? window;
      pocket.reconnect = { min: 1, max: 8 };
      const [socket] = await pocket.socket.setup(urls, 'overflow').connect();
      Object.assign(window, { socket, client: pocket.socket });
    }, [first.url, second.url]);
    assert.equal(await opened.evaluate(() => window.socket.uri), first.url);
    first.isRefusing = second.isRefusing = true;
    first.cut();
    await opened.waitForFunction(() => !window.socket.connected);
    const receipt = opened.evaluate(() => window.client.signal('a', 'b', 'waited').then(({ attr }) => attr));
    second.isRefusing = false;
    assert.equal(await receipt, 'json');
    assert.equal(await opened.evaluate(() => window.socket.uri), second.url);
    assert.equal(JSON.parse(second.last.received[0]).data, 'waited');
  });
}

test('both ways of loading the file in one page give the same pocket', { timeout: 60_000 }, async (t) => {
  const { classic, module } = heads('pocket.socket', 'pocket');
  const opened = await page(t, await visitor(t, browser), classic + module);
  assert.equal(await opened.evaluate(() => window.imported.pocket === window.pocket), true);
});
