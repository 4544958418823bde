/** Programs in the originals' manner typed into a page that loads our clients; the snippets that `/client/` offers. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { echoServer } from './support/rooms.js';
import { page } from './support/site.js';
import { browser, real } from './support/suite.js';

const program = (name) => readFile(new URL(`../js/examples/${name}.js`, import.meta.url), 'utf8');

/** Loads our client and then types the program; only the address that it names is led to the server. */
async function run(t, server, file, addresses, { text, replace = [] }) {
  const context = await visitor(t, browser);
  const lines = [];
  context.on('page', (opened) => opened.on('console', (line) => lines.push(line.text())));
  const opened = await page(t, context, '');
  await opened.evaluate(([addresses, ws, replace]) => {
    const Plain = WebSocket;
    window.WebSocketStream = undefined;
    window.WebSocket = class extends Plain {
      constructor(url, ...rest) {
        const led = addresses.find((address) => String(url).startsWith(address));
        if (!led) throw new Error(`not an address of the program: ${url}`);
        super(ws + String(url).slice(led.length), ...rest);
      }
      send(data) {
        super.send(replace.reduce((text, [from, to]) => text.replace(from, to), data));
      }
    };
  }, [addresses, server.ws, replace]);
  await opened.addScriptTag({ url: `${server.http}/client/${file}.js` });
  await opened.addScriptTag({ content: text });
  return { opened, lines };
}

async function until(holds, seen) {
  for (const start = Date.now(); !holds(); ) {
    assert.ok(Date.now() - start < 10_000, JSON.stringify(seen));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

real('sock-share: two clients pair, relay both ways, and hear that it was sent', async (t) => {
  const server = await jackfield(t);
  const { lines } = await run(t, server, 'webshare', ['ws://192.0.2.3:9000'], { text: await program('webshare') });
  await until(() => lines.length === 4, lines);
  assert.match(lines[0], /^paired true false [0-9a-f]{8}$/);
  assert.deepEqual(lines.slice(1).sort(), [
    'left relay true RELAY_OK [seen, green]',
    'right relay true RELAY_OK {colour: green}',
    'sent true RELAY_SENT null',
  ]);
});

real('pocketsocket: it connects, hears who comes, and its message reaches them', async (t) => {
  const server = await jackfield(t, { args: ['--listen', 'pocket@127.0.0.1:0'] });
  const pocketPort = [...server.output().matchAll(/http:\/\/127\.0\.0\.1:(\d+)\/ +at \/ pocket/g)][0][1];
  const pocketServer = { ...server, ws: `ws://127.0.0.1:${pocketPort}` };
  const listener = await page(t, await visitor(t, browser), '');
  await listener.evaluate((url) => new Promise((resolve) => {
    window.heard = [];
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => heard.push(JSON.parse(data));
    socket.onopen = resolve;
  }), pocketServer.ws);
  const text = await program('pocket');
  const { opened, lines } = await run(t, pocketServer, 'pocket.socket', ['ws://192.0.2.7:8001'], { text });
  await until(() => lines.includes('open ws://192.0.2.7:8001'), lines);
  await listener.waitForFunction(() => heard.some(({ message, data }) => message === 'lamp.switch' && data.colour === 'green'));
  await listener.evaluate((url) => void new WebSocket(url), pocketServer.ws);
  await until(() => lines.some((line) => line.startsWith('somebody came')), lines);
  await opened.evaluate(() => pocket.socket.close());
});

real('namedwebsockets: two of a name hear each other, text and bytes', async (t) => {
  const server = await jackfield(t);
  const text = await program('named');
  const context = await visitor(t, browser);
  const pages = [];
  for (let i = 0; i < 2; i += 1) {
    const opened = await page(t, context, `<script src="${server.http}/client/named.js"></script>`);
    await opened.addScriptTag({ content: text });
    pages.push(opened);
  }
  await Promise.all(pages.map((opened) => opened.waitForFunction(() => local.readyState === 1 && broadcast.readyState === 1)));
  await pages[1].evaluate(() => Promise.all([local, broadcast].map((socket, i) => (window.heard ??= [], socket.onmessage = ({ data }) => heard.push([i, data])))));
  await pages[0].evaluate(() => (local.send('on'), broadcast.send('off')));
  await pages[1].waitForFunction(() => heard.length === 2);
  assert.deepEqual((await pages[1].evaluate(() => heard)).sort(), [[0, 'on'], [1, 'off']]);
});

real('ws2s: it connects, sends text and bytes, and gets what the target says', async (t) => {
  const target = await echoServer(t);
  const port = target.address.split(':')[1];
  const server = await jackfield(t, { args: ['--bridge-allow', target.address, '--listen', 'ws2s@127.0.0.1:0'] });
  const ws2sPort = [...server.output().matchAll(/http:\/\/127\.0\.0\.1:(\d+)\/ +at \/ ws2s/g)][0][1];
  const replace = [['"host":"192.0.2.10","port":7', `"host":"127.0.0.1","port":${port}`]];
  const led = { ...server, ws: `ws://127.0.0.1:${ws2sPort}/` };
  const { opened, lines } = await run(t, led, 'ws2s', ['wss://192.0.2.9/'], { text: await program('ws2s'), replace });
  // The target sends back two lines of five bytes, in one piece or in more.
  const received = () => lines.flatMap((line) => /^received Uint8Array\((\d+)\)/.exec(line)?.[1] ?? []);
  await until(() => received().reduce((sum, count) => sum + Number(count), 0) === 10, lines);
  assert.deepEqual(lines.slice(0, 2), ['ready', 'open']);
  await opened.evaluate(() => line.close());
  await until(() => lines.includes('closed'), lines);
});

real('every snippet of /client/ does what it says in a page of another site, and a wrong hash keeps a file out', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { expected: (text) => /integrity|LocalWebSocket is not defined/.test(text) });
  const listing = await context.newPage();
  await listing.goto(`${server.http}/client/`);
  await listing.locator('.snippet .copy').first().waitFor();
  const snippets = await listing.locator('.snippet code').allTextContents();
  assert.ok(snippets.length >= 10);
  for (const snippet of snippets) {
    assert.ok(snippet.includes(server.http), snippet);
    const names = /import \{ (.*) \}/.exec(snippet)?.[1];
    const kept = names ? snippet.replace('</script>', `  window.loaded = { ${names} };\n</script>`) : snippet;
    const file = /client\/([\w.]+)\.m?js/.exec(snippet)[1];
    const global = { webshare: 'WebShare', 'pocket.socket': 'pocket', named: 'LocalWebSocket', ws2s: 'WS2S', p2p: 'connectP2p' }[file];
    const opened = await page(t, context, kept);
    assert.ok(await opened.evaluate(([name, isModule]) => Boolean(isModule ? window.loaded?.[name] : window[name]), [global, Boolean(names)]), snippet);
    await opened.close();
  }
  const [snippet] = snippets;
  const wrong = await page(t, context, snippet.replace(/sha384-..../, 'sha384-AAAA'));
  assert.equal(await wrong.evaluate(() => typeof LocalWebSocket), 'undefined');
});
