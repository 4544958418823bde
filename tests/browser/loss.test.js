/** Each client, as a classic script and as a module, through a restart of the server and through a loss of the network. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { echoServer } from './support/rooms.js';
import { heads, page } from './support/site.js';
import { browser, real } from './support/suite.js';

const expected = (text) => /WebSocket|ERR_|Failed to load/.test(text);

/** What makes a client in the page, as `window.client` with `isOpen()` and `round()`, which shows that it works. */
const CLIENTS = {
  webshare: ['WebShare', async ({ WebShare }, { ws }) => {
    const share = new WebShare(`${ws}/webshare`, { reconnect: { min: 20, max: 300 }, heartbeat: 300 });
    window.client = { isOpen: () => share.state === 'open', round: () => share.getKey().then(({ key }) => key.length) };
  }],
  'pocket.socket': ['pocket', async ({ pocket }, { ws }) => {
    pocket.reconnect = { min: 20, max: 300 };
    const [socket] = await pocket.socket.connect(`${ws}/pocket?room=a`);
    window.client = { isOpen: () => socket.connected, round: () => pocket.socket.signal('a', 'b').then(({ attr }) => attr.length) };
  }],
  named: ['LocalWebSocket', async ({ LocalWebSocket }, { ws }) => {
    const socket = new LocalWebSocket('a', undefined, { server: ws, echo: true, reconnect: { min: 20, max: 300 } });
    window.client = {
      isOpen: () => socket.readyState === 1,
      round: () => new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(data.length);
        socket.send('any');
      }),
    };
  }],
  p2p: ['connectP2p', async ({ connectP2p }, { http }) => {
    const device = connectP2p(http, 'a', { reconnect: { min: 20, max: 300 } });
    window.client = { isOpen: () => device.connected, round: () => device.getClientList().then(({ length }) => length) };
  }],
  redis: ['WS2S', async ({ WS2S }, { ws, target }) => {
    const [host, port] = target.split(':');
    const client = new WS2S(`${ws}/ws2s`, { reconnect: { min: 20, max: 300 } }).newRedisClient(host, Number(port));
    let isOpen = false;
    client.onReady = client.onReconnected = () => (isOpen = true);
    client.onError = () => (isOpen = false);
    window.client = {
      isOpen: () => isOpen,
      // What comes back is the command itself, an array of its words. What was under way when it was lost is asked again.
      round: async () => {
        for (;;) {
          const reply = await client.request('ping').catch(({ code }) => code);
          if (Array.isArray(reply)) return reply.length;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      },
    };
  }],
  ws2s: ['WS2S', async ({ WS2S }, { ws, target }) => {
    const wire = new WS2S(`${ws}/ws2s`);
    let socket;
    window.client = {
      isOpen: () => Boolean(socket),
      // What was in a TCP connection is lost with it: who wants another one makes it.
      async round() {
        for (;;) {
          try {
            socket ??= Object.assign(wire.newSocket(), { onClose: () => (socket = undefined) });
            await socket.connect(target.split(':')[0], Number(target.split(':')[1]));
            await socket.send('any');
            for await (const bytes of socket) return bytes.length;
          } catch (error) {
            if (error.code !== 'CLOSED') throw error;
            socket = undefined;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      },
    };
  }],
};

for (const [file, [name, make]] of Object.entries(CLIENTS)) {
  for (const [kind, head] of Object.entries(heads(file === 'redis' ? 'ws2s' : file, name))) {
    real(`${kind}: ${file} comes back after a restart, and after the network was away`, async (t) => {
      const target = await echoServer(t);
      const args = ['--bridge-allow', target.address];
      const server = await jackfield(t, { args });
      const context = await visitor(t, browser, { expected });
      const opened = await page(t, context, head);
      await opened.evaluate(([make, name, given]) => {
        const names = { [name]: (window.imported ?? window)[name] };
        return new Function(`return (${make})`)()(names, given);
      }, [make.toString(), name, { ws: server.ws, http: server.http, target: target.address }]);
      const round = () => opened.evaluate(() => window.client.round());
      assert.ok((await round()) > 0);

      await server.stop('SIGTERM');
      await opened.waitForFunction(() => !window.client.isOpen(), null, { polling: 10 });
      const second = await jackfield(t, { port: server.port, args });
      assert.ok((await round()) > 0, 'after a restart');

      // New connections fail; the one that is there is cut, as a network that goes away would in the end.
      await context.setOffline(true);
      await second.stop('SIGKILL');
      await opened.waitForFunction(() => !window.client.isOpen(), null, { polling: 10 });
      await jackfield(t, { port: server.port, args });
      await context.setOffline(false);
      assert.ok((await round()) > 0, 'after the network was away');
    });
  }
}

/** What fails in the page at once, with `host:port` where nobody is, and resolves to what is told of it. */
const FAILURES = {
  webshare: ['WebShare', ({ WebShare }, host) => new Promise((resolve) => {
    const share = new WebShare(`ws://${host}`);
    share.onlost = ({ hint }) => resolve([share.close(), hint][1]);
  })],
  'pocket.socket': ['pocket', ({ pocket }, host) => new Promise((resolve) => {
    pocket.socket.on('socket', 'reconnect', ({ socket, hint }) => resolve([socket.close(), hint][1]));
    pocket.socket.makeSocket(host);
  })],
  named: ['LocalWebSocket', ({ LocalWebSocket }, host) => new Promise((resolve) => {
    const socket = new LocalWebSocket('a', undefined, { server: host });
    socket.onlost = ({ hint }) => resolve([socket.close(), hint][1]);
  })],
  p2p: ['connectP2p', ({ connectP2p }, host) => new Promise((resolve) => {
    const device = connectP2p(`http://${host}`, 'a');
    device.on('connect_error', ({ hint }) => resolve([device.close(), hint][1]));
  })],
  ws2s: ['WS2S', ({ WS2S }, host) => new Promise((resolve) => {
    new WS2S(host).newSocket().onError = ({ message }) => resolve(message);
  })],
};

for (const [file, [name, fail]] of Object.entries(FAILURES)) {
  real(`${file}: a page of elsewhere that does not get to a local address is told what may be the reason`, async (t) => {
    const context = await visitor(t, browser, { expected });
    const opened = await page(t, context, heads(file, name).classic);
    // The same page under a name that is not of this machine.
    const here = opened.url();
    await context.route('http://elsewhere.example/**', async (route) => {
      const url = route.request().url().replace('http://elsewhere.example/', here);
      await route.fulfill({ response: await route.fetch({ url }) });
    });
    await opened.goto('http://elsewhere.example/');
    const hint = await opened.evaluate(([fail, name]) => new Function(`return (${fail})`)()({ [name]: eval(name) }, 'localhost:1'), [
      fail.toString(),
      name,
    ]);
    assert.match(hint, /Blocked\? Allow the local network, or load the page from localhost$/);
  });
}
