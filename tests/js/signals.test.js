/** An AbortSignal takes back what is under way, and keeps nothing that is over. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { LocalWebSocket, WS2S, WebSocket, named, webshare } from './support/clients.js';
import { connectP2p } from './support/devices.js';
import { atEnd } from './support/end.js';
import { fakeServer } from './support/fake.js';
import { freshPocket } from './support/fresh.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { event, until } from './support/wait.js';
import { tcpServer, ws2sServer } from './support/ws2s.js';

const real = (name, body) => test(name, { skip: NO_SERVER }, body);
const listeners = (signal) => getEventListeners(signal, 'abort').length;
const NAME = { name: 'AbortError' };

/** A socket of ws2s that is connected to a TCP server, and what that has received. */
async function connected(t, options) {
  const server = await ws2sServer(t);
  let received = '';
  const { port } = await tcpServer(t, (tcp) => tcp.on('data', (data) => (received += data)));
  const socket = new WS2S(server.url).newSocket();
  atEnd(t, () => socket.close());
  await socket.connect('127.0.0.1', port, ...(options ? [options] : []));
  return { socket, port, received: () => received };
}

test('ws2s: a signal that comes after the connection changes nothing', async (t) => {
  const control = new AbortController();
  const { socket, received } = await connected(t, { signal: control.signal });
  assert.equal(listeners(control.signal), 0);
  control.abort();
  await socket.send('still here');
  await until(() => received() === 'still here');
});

test('ws2s: what is aborted before it is sent is not sent', async (t) => {
  const { socket, received } = await connected(t);
  await assert.rejects(socket.send('never', { signal: AbortSignal.abort() }), NAME);
  await assert.rejects(socket.sendb(new Uint8Array(3), { signal: AbortSignal.abort() }), NAME);
  await socket.send('sent');
  await until(() => received() === 'sent');
});

test('ws2s: a dial that is called off rejects, and so ends its socket', async (t) => {
  const server = await ws2sServer(t);
  const socket = new WS2S(server.url).newSocket();
  await new Promise((resolve) => (socket.onReady = resolve));
  const control = new AbortController();
  const over = new Promise((resolve) => (socket.onClose = resolve));
  const dial = socket.connect('127.0.0.1', 1, { signal: control.signal });
  control.abort();
  await assert.rejects(dial, NAME);
  await over;
});

test('ws2s: a redis request that is aborted is not made, or waits no more', async (t) => {
  const server = await ws2sServer(t);
  let received = '';
  const { port } = await tcpServer(t, (tcp) => tcp.on('data', (data) => (received += data)));
  const client = new WS2S(server.url).newRedisClient('127.0.0.1', port);
  atEnd(t, () => client.close());
  await new Promise((resolve) => (client.onReady = resolve));
  await assert.rejects(client.request('GET never', { signal: AbortSignal.abort() }), NAME);
  const control = new AbortController();
  const asked = client.request('GET silence', { signal: control.signal });
  await until(() => received.includes('silence'));
  control.abort();
  await assert.rejects(asked, NAME);
  assert.ok(!received.includes('never'));
});

test('a signal that outlives sockets holds none of them', async (t) => {
  const { signal } = new AbortController();
  const [server, tcp] = [await fakeServer(t), await ws2sServer(t)];
  const sockets = [
    webshare(t, server.url, { signal }),
    named(t, LocalWebSocket, 'demo', undefined, { server: server.url, signal }),
    connectP2p(server.url, 'A', { WebSocket, signal }),
    new WS2S(tcp.url).newSocket({ signal }),
  ];
  await until(() => server.connections.length === 3 && tcp.connections.length === 1);
  assert.equal(listeners(signal), 4);
  sockets.forEach((socket) => socket.close());
  await until(() => listeners(signal) === 0);
});

real('a signal that outlives requests holds none of them', async (t) => {
  const { signal } = new AbortController();
  const server = await jackfield(t);
  const share = webshare(t, `${server.ws}/webshare`);
  await event(share, 'key');
  const pocket = freshPocket(t, { WebSocket });
  const [socket] = await pocket.socket.connect(`${server.ws}/pocket`);
  const asked = Array.from({ length: 3 }, () => [
    share.getKey({ signal }),
    share.pair('00000000', { signal }).catch(() => {}),
    pocket.socket.signal('a', 'b', {}, socket, { signal }),
  ]);
  assert.equal(listeners(signal), 9);
  await Promise.all(asked.flat());
  await until(() => listeners(signal) === 0);
});

for (const [name, make] of [
  ['webshare', (t, url) => webshare(t, url, { reconnect: false })],
  ['named', (t, url) => named(t, LocalWebSocket, 'demo', undefined, { server: url, reconnect: false })],
  ['ws2s', (t, url) => {
    const socket = new WS2S(url).newSocket();
    const told = new EventTarget();
    socket.onClose = () => told.dispatchEvent(new Event('close'));
    return told;
  }],
]) {
  test(`${name}: a server that takes the connection and never answers is given up`, async (t) => {
    const { setTimeout } = globalThis;
    t.mock.method(globalThis, 'setTimeout', (run, ms, ...args) => setTimeout(run, ms === 10000 ? 20 : ms, ...args));
    const { port } = await tcpServer(t, () => {});
    await event(make(t, `ws://127.0.0.1:${port}`), 'close');
  });
}
