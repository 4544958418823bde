/** WS2S in a real browser, against servers of the test: over a WebSocketStream and over a plain WebSocket. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { until } from '../js/support/wait.js';
import { echo, source, tcpServer, ws2sServer } from '../js/support/ws2s.js';
import { launch, visitor } from './support/browser.js';
import { heads, page } from './support/site.js';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const HEADS = heads('ws2s', 'WS2S');
const KINDS = ['WebSocketStream', 'WebSocket'];

/** A page with a socket `window.socket`, connected to a TCP server that hands its connections to `accept`. */
async function connected(t, kind, accept, { head = HEADS.classic, ...options } = {}) {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, accept);
  const context = await visitor(t, browser, { expected: (text) => /WebSocket connection to/.test(text) });
  const opened = await page(t, context, head);
  await opened.evaluate(async ([url, port, kind, options]) => {
    const { WS2S } = window.imported ?? window;
    if (kind === 'WebSocket') options.WebSocket = WebSocket;
    const Stream = window.WebSocketStream;
    window.streams = 0;
    window.WebSocketStream = class extends Stream {
      constructor(...args) {
        super(...args);
        window.streams += 1;
      }
    };
    window.log = [];
    window.socket = new WS2S(url, options).newSocket();
    for (const name of ['onReady', 'onOpen', 'onClose', 'onError']) window.socket[name] = (told) => log.push([name, told?.code]);
    await window.socket.connect('127.0.0.1', port);
  }, [server.url, target.port, kind, options]);
  assert.equal(await opened.evaluate(() => window.streams), kind === 'WebSocket' ? 0 : 1, 'it is what it is meant to be');
  return { server, target, opened };
}

/** Waits until a count stands still: twenty looks in a row that see the same. */
async function still(count) {
  for (let same = 0, before; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = await count();
    same = now === before ? same + 1 : 0;
    before = now;
  }
}

for (const kind of KINDS) {
  for (const [way, head] of Object.entries(HEADS)) {
    test(`${way}, ${kind}: bytes go both ways, to callbacks and to a reader`, { timeout: 60_000 }, async (t) => {
      const { opened, server } = await connected(t, kind, echo, { head });
      const told = await opened.evaluate(async () => {
        const { socket } = window;
        const all = Uint8Array.from({ length: 256 }, (_, i) => i);
        const read = async (count) => {
          const got = [];
          for await (const bytes of socket) if (got.push(...bytes) >= count) break;
          return got;
        };
        await socket.send('né😀');
        const text = await read(7);
        await socket.sendb(all.subarray(1, 255));
        const bytes = await read(254);
        const viaCallback = new Promise((resolve) => (socket.onRecv = resolve));
        await socket.send('x');
        const first = await viaCallback;
        const refused = await socket.connect('forbidden', 1).catch((error) => error.code);
        await socket.close();
        const late = await socket.send('late').catch((error) => error.code);
        return { text, bytes, first: [first instanceof Uint8Array, ...first], refused, late, log: window.log };
      });
      assert.equal(Buffer.from(told.text).toString(), 'né😀');
      assert.deepEqual(told.bytes, Array.from({ length: 254 }, (_, i) => i + 1));
      assert.deepEqual(told.first, [true, 120]);
      assert.deepEqual([told.refused, told.late], [4, 'CLOSED']);
      assert.deepEqual(told.log.map(([name]) => name), ['onReady', 'onOpen', 'onError', 'onClose']);
      await until(() => server.connections.length === 1);
    });
  }

  test(`${kind}: what the peer said before it closed is read; a server that goes away is an error`, { timeout: 60_000 }, async (t) => {
    const { opened } = await connected(t, kind, (peer) => peer.end('x'.repeat(300_000)));
    const counts = await opened.evaluate(async () => {
      let got = 0;
      for await (const bytes of window.socket) got += bytes.length;
      return [got, ...window.log.map(([name]) => name)];
    });
    assert.deepEqual(counts, [300_000, 'onReady', 'onOpen', 'onClose']);

    const other = await connected(t, kind, echo);
    const reading = other.opened.evaluate(async () => {
      try {
        for await (const bytes of window.socket) window.last = bytes;
      } catch (error) {
        return error.code;
      }
    });
    other.server.cut();
    assert.equal(await reading, 'CLOSED');
    await other.opened.waitForFunction(() => window.log.some(([name]) => name === 'onClose'));
  });

  test(`${kind}: a server that is not there is told`, { timeout: 60_000 }, async (t) => {
    const { opened, server } = await connected(t, kind, echo);
    server.isRefusing = true;
    const told = await opened.evaluate(async ([url, kind]) => {
      const socket = new WS2S(url, kind === 'WebSocket' ? { WebSocket } : {}).newSocket();
      const names = [];
      socket.onError = () => names.push('onError');
      const closed = new Promise((resolve) => (socket.onClose = resolve));
      const code = await socket.connect('h', 1).catch((error) => error.code);
      await closed;
      return [code, ...names];
    }, [server.url, kind]);
    assert.deepEqual(told, ['CLOSED', 'onError']);
  });
}

test('WebSocketStream: a slow reader stops the peer, and gets everything', { timeout: 120_000 }, async (t) => {
  const chunk = randomBytes(65_536);
  const flood = source(chunk);
  const { opened } = await connected(t, 'WebSocketStream', flood);
  await opened.evaluate(() => {
    Object.assign(window, { got: 0, goal: 1, pieces: [], turn: Promise.resolve() });
    (async () => {
      for await (const bytes of window.socket) {
        window.got += bytes.length;
        window.pieces.push(bytes);
        while (window.got >= window.goal) await new Promise((resolve) => (window.goOn = resolve));
      }
    })();
  });
  let got;
  for (const goal of [8e6, 16e6, 24e6, 32e6, 40e6]) {
    await still(() => flood.written);
    got = await opened.evaluate(() => window.got);
    assert.ok(flood.written - got < 24e6, `${flood.written - got} bytes are on the way`);
    await opened.evaluate((goal) => {
      window.goal = goal;
      window.goOn();
    }, goal);
    await opened.waitForFunction((goal) => window.got >= goal, goal);
  }
  await still(() => flood.written);
  const digest = await opened.evaluate(async () => {
    const whole = await new Blob(window.pieces).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
    return [whole.byteLength, ...digest];
  });
  const wanted = createHash('sha256');
  for (let left = digest[0]; left > 0; left -= chunk.length) wanted.update(chunk.subarray(0, Math.min(left, chunk.length)));
  assert.deepEqual(digest.slice(1), [...wanted.digest()]);

  // What goes the other way is not held up by what nobody reads, and the end neither.
  await opened.evaluate(() => window.socket.send('x'));
  await opened.evaluate(() => window.socket.close());
  assert.deepEqual(await opened.evaluate(() => window.log.map(([name]) => name)), ['onReady', 'onOpen', 'onClose']);
});

test('WebSocketStream: a peer that does not read stops the writer, also when nobody reads here', { timeout: 120_000 }, async (t) => {
  for (const isFlooding of [false, true]) {
    const { opened } = await connected(t, 'WebSocketStream', (peer) => {
      peer.pause();
      if (isFlooding) source(Buffer.alloc(65_536, 120))(peer);
    });
    await opened.evaluate(() => {
      window.sent = 0;
      const part = 'x'.repeat(65_536);
      (async () => {
        for (;;) {
          await window.socket.send(part);
          window.sent += part.length;
        }
      })().catch(() => {});
    });
    await still(() => opened.evaluate(() => window.sent));
    const sent = await opened.evaluate(() => window.sent);
    assert.ok(sent > 0 && sent < 32e6, `${sent} bytes were taken`);
    await opened.close();
  }
});

test('WebSocket: a reader that is too slow is told so, and the socket is closed', { timeout: 60_000 }, async (t) => {
  const { opened } = await connected(t, 'WebSocket', source(Buffer.alloc(65_536, 120)), { maxBuffer: 2_000_000 });
  await opened.waitForFunction(() => window.log.some(([name]) => name === 'onClose'));
  const told = await opened.evaluate(async () => {
    let got = 0;
    try {
      for await (const bytes of window.socket) got += bytes.length;
    } catch (error) {
      return { got, code: error.code, message: error.message, log: window.log };
    }
  });
  assert.ok(told.got > 1_900_000 && told.got <= 2_000_000, `${told.got} bytes were kept`);
  assert.equal(told.code, 'TOO_SLOW');
  assert.match(told.message, /2000000 bytes.*maxBuffer/);
  assert.deepEqual(told.log.map(([name, code]) => [name, name === 'onError' && code]), [['onReady', false], ['onOpen', false], ['onError', 'TOO_SLOW'], ['onClose', false]]);
});
