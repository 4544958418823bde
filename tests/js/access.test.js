/** Tokens as clients show them: ours by their option, a browser's WebSocket by its subprotocols, Socket.IO by `auth`. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { connectP2p } from '../../src/assets/client/p2p.mjs';
import { BroadcastWebSocket, FAST, WebSocket, WS2S, named, pocket, webshare } from './support/clients.js';
import { atEnd } from './support/end.js';
import { guarded, NO_SERVER } from './support/jackfield.js';
import { event, until } from './support/wait.js';

const require = createRequire(import.meta.url);
const skip = NO_SERVER;

/** How a connection ends: `[code, reason]`. */
const end = (socket) => new Promise((resolve) => (socket.onclose = ({ code, reason }) => resolve([code, reason])));

test('a page shows its token as a subprotocol beside a real one, or says it first', { skip }, async (t) => {
  const { ws, token } = await guarded(t);
  const all = token('--publish', '*', '--subscribe', '/local/*');
  const constructors = [WebSocket, globalThis.WebSocket].filter(Boolean);
  for (const Socket of constructors) {
    const open = async (...args) => {
      const socket = new Socket(`${ws}/local/demo`, ...args);
      atEnd(t, () => socket.close());
      await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
      return socket;
    };
    const listener = await open(['jackfield', `jackfield.token.${all}`]);
    assert.equal(listener.protocol, 'jackfield');
    const speaker = await open();
    speaker.send(JSON.stringify({ token: all }));
    const heard = new Promise((resolve) => (listener.onmessage = ({ data }) => resolve(data)));
    speaker.send('hello');
    assert.equal(await heard, 'hello');
    const wrong = await open(['jackfield', `jackfield.token.${all.slice(0, -8)}AAAAAAAA`]);
    assert.deepEqual(await end(wrong), [1008, 'the token is not accepted']);
  }
});

test('our clients have an option for it', { skip }, async (t) => {
  const { ws, token } = await guarded(t);
  const [alice, bob] = [0, 1].map(() => webshare(t, `${ws}/webshare`, { token: token('--pair'), reconnect: FAST }));
  await Promise.all([alice, bob].map((client) => until(() => client.key)));
  await alice.pair(bob.key);
  const relayed = new Promise((resolve) => (bob.onrelay = (ok, code, body) => resolve(body)));
  await alice.relay({ hello: 1 });
  assert.deepEqual(await relayed, { hello: 1 });

  const both = ['jackfield', `jackfield.token.${token('--publish', '/broadcast/a', '--subscribe', '/broadcast/a')}`];
  const members = [0, 1].map(() => named(t, BroadcastWebSocket, 'a', both, { server: ws }));
  await Promise.all(members.map((member) => event(member, 'open')));
  members[0].send('hi');
  assert.equal((await event(members[1], 'message')).data, 'hi');

  const socket = new WS2S(`${ws}/ws2s`, { protocols: ['jackfield', `jackfield.token.${token('--tcp', '*')}`] }).newSocket();
  await new Promise((resolve) => (socket.onReady = resolve));
  socket.close();

  pocket.token = token('--publish', '/pocket/', '--subscribe', '/pocket/');
  atEnd(t, () => delete pocket.token);
  atEnd(t, () => pocket.socket.close());
  const room = await pocket.socket.connect(`${ws}/pocket`);
  assert.ok(room);
});

test('Socket.IO clients have `auth`, older ones fields', { skip }, async (t) => {
  const { http, token } = await guarded(t);
  const lamp = token('--device', 'lamp-*');
  for (const major of [3, 4]) {
    for (const transports of [['websocket'], ['polling']]) {
      const io = require(`socket.io-client-${major}`);
      const options = { forceNew: true, reconnection: false, transports, query: { clientId: `lamp-${major}-${transports}` } };
      const socket = (io.io ?? io)(http, { ...options, auth: { token: lamp } });
      atEnd(t, () => socket.close());
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
      const wrong = (io.io ?? io)(http, { ...options, query: { clientId: 'other' }, auth: { token: lamp } });
      atEnd(t, () => wrong.close());
      const error = await new Promise((resolve) => wrong.once('connect_error', resolve));
      assert.match(error.message, /not permitted: .*\(device\)/);
    }
  }
  const io = require('socket.io-client-2');
  const extraHeaders = { Authorization: `Bearer ${lamp}` };
  const old = io(http, {
    query: { deviceId: 'lamp-2' },
    forceNew: true,
    transportOptions: { polling: { extraHeaders }, websocket: { extraHeaders } },
  });
  atEnd(t, () => old.close());
  await new Promise((resolve, reject) => old.once('connect', resolve).once('error', reject).once('connect_error', reject));

  const own = connectP2p(http, 'lamp-own', { auth: { token: lamp }, WebSocket });
  atEnd(t, () => own.disconnect());
  await until(() => own.connected);
});
