/** What is the same in all five clients: where they connect to, when they try again, and when they do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BroadcastWebSocket, LocalWebSocket, NetworkWebSocket, WS2S, WebShare, WebSocket, addresses } from './support/clients.js';
import { connectP2p } from './support/devices.js';
import { atEnd } from './support/end.js';
import { fakeServer } from './support/fake.js';
import { freshPocket } from './support/fresh.js';
import { event, until } from './support/wait.js';
import { tcpServer, ws2sServer } from './support/ws2s.js';

/** A server for devices: it opens sessions and joins them. */
async function engine(t) {
  const server = await fakeServer(t);
  server.speaks = {
    open: ({ socket }) => socket.send('0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'),
    message: ({ socket }, message) => String(message) === '40' && socket.send('40{"sid":"s"}'),
    close() {},
  };
  return server;
}

/** The outcome of a loss, of a client whose events are `lost` and `close`. */
const lostOrClosed = (client) =>
  new Promise((resolve) => {
    client.addEventListener('lost', resolve, { once: true });
    client.addEventListener('close', ({ hint }) => resolve({ hint }), { once: true });
  });

const eventful = (make) => async (t, server, options) => {
  const client = make(server.url, options);
  atEnd(t, () => client.close());
  return {
    opened: () => event(client, 'open'),
    /** What is told of the next loss: `retryMs` where another attempt follows. */
    lost: () => lostOrClosed(client),
    close: () => client.close(),
  };
};

/** How to make each client, connected to the server that `serve` starts. */
const CLIENTS = {
  webshare: [fakeServer, eventful((url, options) => new WebShare(url, options))],
  named: [fakeServer, eventful((url, options) => new LocalWebSocket('demo', undefined, { server: url, ...options }))],
  'pocket.socket': [fakeServer, async (t, server, { WebSocket: Given = WebSocket, reconnect }) => {
    const pocket = freshPocket(t, { reconnect, WebSocket: Given });
    const socket = pocket.socket.makeSocket(server.url);
    return {
      opened: () => event(socket, 'open'),
      lost: () => new Promise((resolve) => {
        pocket.socket.on('socket', 'reconnect', resolve);
        pocket.socket.on('socket', 'close', (told) => socket.readyState === 3 && resolve({ hint: told.hint }));
      }),
      close: () => socket.close(),
    };
  }],
  p2p: [engine, async (t, server, options) => {
    const line = connectP2p(server.url, 'A', { WebSocket, ...options });
    atEnd(t, () => line.close());
    return {
      opened: () => new Promise((resolve) => line.once('connect', resolve)),
      lost: () => new Promise((resolve) => {
        line.once('disconnect', () => resolve({ hint: '', retryMs: line.active ? NaN : undefined }));
        line.once('connect_error', resolve);
      }),
      close: () => line.close(),
    };
  }],
  ws2s: [ws2sServer, async (t, server, options) => {
    const { port } = await tcpServer(t, () => {});
    const client = new WS2S(server.url, options).newRedisClient('127.0.0.1', port);
    atEnd(t, () => client.close());
    return {
      opened: () => new Promise((resolve) => (client.onReady = client.onReconnected = resolve)),
      lost: () => new Promise((resolve) => {
        let hint = '';
        let count = client.reconnectCount;
        client.onError = (error) => {
          if (error instanceof Error) hint = error.message;
          if (error === 'connection loss, max reconnect times reached') resolve({ hint });
        };
        const set = (value) => {
          count = value;
          resolve({ hint, retryMs: NaN });
        };
        Object.defineProperty(client, 'reconnectCount', { get: () => count, set, configurable: true });
      }),
      close: () => client.close(),
    };
  }],
};

/** A page that is online or not, looked at or not; its globals go with the test. */
function fakePage(t, { onLine = true, hidden = true, href } = {}) {
  const [page, document, navigator] = [new EventTarget(), Object.assign(new EventTarget(), { hidden }), { onLine }];
  const globals = { document, navigator, addEventListener: page.addEventListener.bind(page), ...(href && { location: new URL(href) }) };
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  atEnd(t, () => before.forEach(([name, was]) => (was ? Object.defineProperty(globalThis, name, was) : delete globalThis[name])));
  return { page, document, navigator };
}

/** A constructor that counts what is made of it. */
function counting() {
  const Counting = class extends WebSocket {
    static made = 0;
    constructor(...args) {
      super(...args);
      Counting.made += 1;
    }
  };
  return Counting;
}

/** Close codes with their reasons, and the least that is waited, where another attempt follows. */
const CODES = [
  [1008, 'closed by an administrator', undefined],
  [1008, 'not permitted: this needs a token that permits speaking here (publish)', undefined],
  [1008, '', undefined],
  [4000, '', undefined],
  [4999, 'any', undefined],
  [1008, 'too slow: more than 1 bytes wait (--max-queue)', undefined],
  [1000, '', 0],
  [1001, '', 0],
  [1011, 'no answer to a ping within 10s (--pong-timeout)', 0],
  [1012, 'the server is shutting down', 20],
  [1013, 'too slow: more than 1 bytes wait (--max-queue)', 20],
  [1013, 'too many at once (--max-x), retry_after_ms: 50', 50],
  [1011, 'retry_after_ms=30', 30],
  [3999, '', 0],
];

for (const [name, [serve, make]] of Object.entries(CLIENTS)) {
  /** One that is connected, and what will be told of its loss, after which no timer of its own brings it back. */
  const patient = async (t) => {
    const server = await serve(t);
    const Counting = counting();
    const client = await make(t, server, { reconnect: { min: 1e8, max: 1e8 }, WebSocket: Counting });
    await client.opened();
    return { server, Counting, client, lost: client.lost() };
  };

  test(`${name}: close codes say whether to come back, and when`, async (t) => {
    const options = { reconnect: { min: 20, max: 40 } };
    await Promise.all(CODES.map(async ([code, reason, least]) => {
      const server = await serve(t);
      const client = await make(t, server, options);
      await client.opened();
      const lost = client.lost();
      server.last.socket.close(code, reason);
      const { retryMs } = await lost;
      const what = `${code} ${reason}: ${retryMs}`;
      assert.equal(retryMs !== undefined, least !== undefined, what);
      if (least !== undefined) {
        assert.ok(!(retryMs < least || retryMs > least + 40), what);
        await until(() => server.connections.length === 2);
      }
      client.close();
      return server;
    })).then((servers) => {
      const comeBack = servers.map((server) => server.connections.length > 1);
      assert.deepEqual(comeBack, CODES.map(([, , least]) => least !== undefined));
    });
  });

  test(`${name}: offline it waits for the network, and comes back with it`, async (t) => {
    const { page, document, navigator } = fakePage(t);
    const server = await serve(t);
    const Counting = counting();
    // Delays of the timers that have fired.
    const fired = [];
    const { setTimeout } = globalThis;
    t.mock.method(globalThis, 'setTimeout', (run, ms, ...args) => setTimeout(() => (fired.push(ms), run(...args)), ms));
    t.mock.method(Math, 'random', () => 0.5);
    const client = await make(t, server, { reconnect: { min: 7, max: 7 }, WebSocket: Counting });
    await client.opened();
    const lost = client.lost();
    navigator.onLine = false;
    server.cut();
    await lost;
    await until(() => fired.includes(3.5));
    document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(Counting.made, 1, 'nothing is tried, also when the page is hidden');
    navigator.onLine = true;
    const again = client.opened();
    page.dispatchEvent(new Event('online'));
    assert.equal(Counting.made, 2);
    await again;
    client.close();
  });

  test(`${name}: a page that is looked at again does not wait`, async (t) => {
    const { document } = fakePage(t);
    const { server, Counting, client, lost } = await patient(t);
    server.cut();
    await lost;
    document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(Counting.made, 1);
    document.hidden = false;
    const again = client.opened();
    document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(Counting.made, 2);
    await again;
    document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(Counting.made, 2, 'who is connected needs no other connection');
    client.close();
  });

  test(`${name}: neither a look nor the network shortens what the server asked for, and a look is no network`, async (t) => {
    const { page, document, navigator } = fakePage(t, { hidden: false });
    const { server, Counting, client, lost } = await patient(t);
    navigator.onLine = false;
    server.cut();
    await lost;
    document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(Counting.made, 1, 'there is no network');
    navigator.onLine = true;
    const again = client.opened();
    page.dispatchEvent(new Event('online'));
    await again;
    const lostAgain = client.lost();
    server.last.socket.close(1013, 'retry_after_ms: 100000000');
    await lostAgain;
    document.dispatchEvent(new Event('visibilitychange'));
    page.dispatchEvent(new Event('online'));
    assert.equal(Counting.made, 2, 'it is too early');
    client.close();
  });

  test(`${name}: a page of elsewhere is told what may keep it from a local address, and no other`, async (t) => {
    for (const [href, isHinted] of [['https://example.org/', true], ['http://127.0.0.1:80/', false], ['http://localhost:80/', false]]) {
      fakePage(t, { href });
      const server = await serve(t);
      server.isRefusing = true;
      const client = await make(t, server, { reconnect: name === 'ws2s' ? false : { min: 1, max: 8 } });
      const { hint } = await client.lost();
      if (isHinted) assert.match(hint, /Allow the local network, or load the page from 127\.0\.0\.1$/);
      else assert.doesNotMatch(hint, /network/);
      client.close();
    }
  });
}

test('which addresses are told apart from those of everywhere', async (t) => {
  fakePage(t, { href: 'https://example.org/' });
  const Failing = class {
    readyState = 3;
    constructor() {
      setTimeout(() => this.onclose({ code: 1006, reason: '', wasClean: false }));
    }
    close() {}
  };
  for (const host of ['pi', 'pi.local', 'nas.lan', 'a.internal', 'printer.home.arpa', '192.168.1.2', '[fe80::1]', 'elsewhere.org', 'arpa.org']) {
    const client = new WebShare(`ws://${host}/`, { WebSocket: Failing, reconnect: false });
    const { hint } = await event(client, 'close');
    assert.equal(hint !== '', !host.endsWith('.org'), host);
  }
});

test('addresses without a scheme go by that of the page, and others as they are', (t) => {
  const tried = (make) => {
    const { seen, WebSocket } = addresses();
    make(WebSocket);
    return String(seen.flat()[0]).replace(/\?.*/, '');
  };
  const forms = (scheme, given) => [
    [tried((WebSocket) => new WebShare(given + 'pi', 9000, { WebSocket }).close()), `${scheme}pi:9000`],
    [tried((WebSocket) => new WebShare(given + '::1', 9000, { WebSocket }).close()), `${scheme}[::1]:9000`],
    [tried((WebSocket) => new LocalWebSocket('a', undefined, { server: given + 'pi:1', WebSocket }).close()), `${scheme}pi:1/local/a`],
    [tried((WebSocket) => freshPocket(t, { WebSocket }).socket.setup(given + 'pi', 1).connect()), `${scheme}pi:1`],
    [tried((WebSocket) => freshPocket(t, { WebSocket }).socket.makeSocket([given + 'pi', 1])), `${scheme}pi:1`],
    [tried((WebSocket) => new WS2S(given + 'pi:1/ws2s', { WebSocket }).newSocket().close()), `${scheme}pi:1/ws2s`],
    [tried((WebSocket) => new WS2S('/ws2s', { WebSocket }).newSocket().close()), `${scheme}example.org:8443/ws2s`],
    [tried((WebSocket) => new WebShare('/webshare', { WebSocket }).close()), `${scheme}example.org:8443/webshare`],
    [tried((WebSocket) => new LocalWebSocket('a', [], { server: '/', WebSocket }).close()), `${scheme}example.org:8443/local/a`],
    [tried((WebSocket) => freshPocket(t, { WebSocket }).socket.connect('/pocket')), `${scheme}example.org:8443/pocket`],
    [tried((WebSocket) => connectP2p('//pi:1', 'A', { WebSocket }).close()), `${scheme}pi:1/socket.io/`],
    [tried((WebSocket) => connectP2p('.', 'A', { WebSocket }).close()), `${scheme}example.org:8443/socket.io/`],
  ];
  for (const [page, scheme] of [['https', 'wss://'], ['http', 'ws://']]) {
    fakePage(t, { href: `${page}://example.org:8443/a/b` });
    for (const [seen, expected] of forms(scheme, '')) assert.equal(seen, expected);
  }
  fakePage(t, { href: 'https://example.org/' });
  for (const [given, scheme] of [['ws://', 'ws://'], ['wss://', 'wss://'], ['http://', 'ws://'], ['https://', 'wss://']]) {
    assert.equal(tried((WebSocket) => new WebShare(`${given}pi:9000/x`, { WebSocket }).close()), `${scheme}pi:9000/x`);
    assert.equal(tried((WebSocket) => new BroadcastWebSocket('a', [], { server: `${given}pi:1`, WebSocket }).close()), `${scheme}pi:1/broadcast/a`);
    assert.equal(tried((WebSocket) => freshPocket(t, { WebSocket }).socket.makeSocket(`${given}pi:1`)), `${scheme}pi:1`);
    assert.equal(tried((WebSocket) => new WS2S(`${given}pi:1/ws2s`, { WebSocket }).newSocket().close()), `${scheme}pi:1/ws2s`);
    assert.equal(tried((WebSocket) => connectP2p(`${given}pi:1`, 'A', { WebSocket }).close()), `${scheme}pi:1/socket.io/`);
  }
});

test('a network whose server has stopped answering is lost; the other names cannot be asked', async (t) => {
  const server = await fakeServer(t);
  const say = ({ socket }) => socket.send('{"action":"status","source":"1","target":"1"}');
  server.speaks = { open() {}, message: say, close() {} };
  const make = (kind) => {
    const socket = new kind('demo', undefined, { server: server.url, reconnect: { min: 1, max: 8 }, heartbeat: 20 });
    atEnd(t, () => socket.close());
    return socket;
  };
  const network = make(NetworkWebSocket);
  await until(() => network.id);
  await until(() => server.last.received.length > 3);
  assert.equal(server.connections.length, 1, 'who is answered stays');
  server.answer = () => {};
  assert.equal((await event(network, 'lost')).reason, 'no answer');
  server.answer = undefined;
  await event(network, 'open');
  network.close();
  const local = make(LocalWebSocket);
  await event(local, 'open');
  const other = make(NetworkWebSocket);
  await until(() => server.last.received.length > 3);
  assert.deepEqual(server.connections.filter(({ url }) => url.startsWith('/local')).map(({ received }) => received), [[]]);
  other.close();
});

test('a signal ends a name and a device for good', async (t) => {
  const server = await fakeServer(t);
  const control = new AbortController();
  const { signal } = control;
  const socket = new LocalWebSocket('demo', undefined, { server: server.url, signal });
  const devices = await engine(t);
  const line = connectP2p(devices.url, 'A', { WebSocket, signal });
  await Promise.all([event(socket, 'open'), new Promise((resolve) => line.once('connect', resolve))]);
  const ended = [event(socket, 'close'), new Promise((resolve) => line.once('disconnect', resolve))];
  control.abort();
  await Promise.all(ended);
  assert.deepEqual([socket.readyState, line.connected, line.active], [3, false, false]);
  const never = new LocalWebSocket('demo', undefined, { server: server.url, signal });
  await event(never, 'close');
  assert.equal(connectP2p(devices.url, 'A', { WebSocket, signal }).active, false);
  assert.equal(devices.connections.length, 1);
});
