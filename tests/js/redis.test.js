/** The redis client of WS2S against peers that say what a test tells them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAST, WS2S } from './support/clients.js';
import { fakeServer } from './support/fake.js';
import { until } from './support/wait.js';
import { respond, tcpServer, ws2sServer } from './support/ws2s.js';

const CALLBACKS = ['onSocketReady', 'onReady', 'onReconnected', 'onResponse', 'onError'];

/** A client of `newRedisCient` that is closed with the test; `log` gets what its callbacks are called with. */
function clientOf(t, server, args, options = {}) {
  const client = new WS2S(server.url, { reconnect: FAST, ...options }).newRedisCient(...args);
  const log = [];
  for (const name of CALLBACKS) client[name] = (...told) => log.push([name, ...told]);
  t.after(() => client.close());
  return { client, log, said: () => log.filter(([name]) => /onResponse|onError/.test(name)) };
}

/** A client of a peer that answers everything with these bytes, in pieces of `size`. */
async function answering(t, reply, size = Infinity) {
  const server = await ws2sServer(t);
  const bytes = Buffer.from(reply);
  const peer = { received: '' };
  const target = await tcpServer(t, (socket) => {
    peer.socket = socket.setNoDelay();
    socket.on('data', (data) => {
      peer.received += data;
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size));
    });
  });
  return { server, target, peer, ...clientOf(t, server, ['127.0.0.1', target.port]) };
}

test('requests look to redis as they should', async (t) => {
  const { client, peer } = await answering(t, '');
  for (const text of ['ping', '  get   name ', "set 'two words' \"it's é\"", 'a"b c"d \'\' ""', 'echo "no end', '\r\n', '', "say it's\there"]) {
    client.request(text);
  }
  client.request('get age\n\nincr age\r\nget age');
  const expected = [
    '*1\r\n$4\r\nping\r\n',
    '*2\r\n$3\r\nget\r\n$4\r\nname\r\n',
    "*3\r\n$3\r\nset\r\n$9\r\ntwo words\r\n$7\r\nit's é\r\n",
    '*3\r\n$5\r\nab cd\r\n$0\r\n\r\n$0\r\n\r\n',
    '*2\r\n$4\r\necho\r\n$6\r\nno end\r\n',
    "*2\r\n$3\r\nsay\r\n$8\r\nits\there\r\n",
    '*2\r\n$3\r\nget\r\n$3\r\nage\r\n*2\r\n$4\r\nincr\r\n$3\r\nage\r\n*2\r\n$3\r\nget\r\n$3\r\nage\r\n',
  ].join('');
  await until(() => peer.received.length >= expected.length);
  assert.equal(peer.received, expected);
});

/** What redis says, what `onResponse` or `onError` is told, and what the promise gives. */
const REPLIES = [
  ['+OK\r\n', ['onResponse', 'OK'], 'OK'],
  [':-42\r\n', ['onResponse', -42], -42],
  ['$6\r\né\r\n\r\n\r\n', ['onResponse', 'é\r\n\r\n'], 'é\r\n\r\n'],
  ['$0\r\n\r\n', ['onResponse', ''], ''],
  ['$-1\r\n', ['onError', 'a null object is recevied form redis server'], null],
  ['*-1\r\n', ['onError', 'a null object is recevied form redis server'], null],
  ['*0\r\n', ['onError', 'an empty result is recevied form redis server'], []],
  ['*3\r\n$1\r\na\r\n:2\r\n$-1\r\n', ['onResponse', '1) a\n2) 2\n3) '], ['a', 2, null]],
  ['*2\r\n*2\r\n+a\r\n*2\r\n+b\r\n+c\r\n+d\r\n', ['onResponse', '1) 1) a\n   2) 1) b\n      2) c\n2) d'], [['a', ['b', 'c']], 'd']],
  ['$3\r\n\ufeff\r\n', ['onResponse', '\ufeff'], '\ufeff'],
];
for (const [reply, told, value] of REPLIES) {
  for (const size of [Infinity, 1]) {
    test(`${JSON.stringify(reply)} in ${size === 1 ? 'single bytes' : 'one piece'}`, async (t) => {
      const { client, said } = await answering(t, reply, size);
      assert.deepEqual(await client.request('any'), value);
      assert.deepEqual(await client.request('again'), value);
      assert.deepEqual(said(), [told, told]);
    });
  }
}

test('an error of redis is told as text and rejects with its first word; among others it is one of the values', async (t) => {
  const { client, said, peer } = await answering(t, '-ERR unknown command\r\n');
  await assert.rejects(client.request('any'), { code: 'ERR', message: 'WS2S: ERR unknown command' });
  assert.deepEqual(said(), [['onError', 'ERR unknown command']]);
  const both = client.request('x\ny');
  peer.socket.write('*2\r\n+a\r\n-EXEC no\r\n');
  const [first, second] = await both;
  assert.deepEqual([first, second].map((value) => value.code ?? value.length).sort(), [2, 'ERR']);
  await until(() => said().some(([name]) => name === 'onResponse'));
  assert.deepEqual(said().find(([name]) => name === 'onResponse'), ['onResponse', '1) a\n2) EXEC no']);
});

test('replies reach the requests in their order; what nobody asked for is only told', async (t) => {
  const { client, peer, said } = await answering(t, '');
  const requests = [client.request('a'), client.request('b\nc'), client.request('')];
  await until(() => peer.received.includes('c\r\n'));
  peer.socket.write('+1\r\n+2\r\n+3\r\n*3\r\n+message\r\n+channel\r\n+hello\r\n');
  assert.deepEqual(await Promise.all(requests), ['1', ['2', '3'], undefined]);
  await until(() => said().length === 4);
  assert.deepEqual(said().at(-1), ['onResponse', '1) message\n2) channel\n3) hello']);
});

test('a large reply in many pieces is read in time that grows with it', async (t) => {
  const value = 'x'.repeat(20_000_000);
  const { client } = await answering(t, `$${value.length}\r\n${value}\r\n`);
  assert.ok((await client.request('get large')) === value);
});

test('auth goes first, then what waited; callbacks come in the original\'s order', async (t) => {
  const server = await ws2sServer(t);
  let received = '';
  const target = await tcpServer(t, (socket) => {
    socket.on('data', (data) => {
      received += data;
      for (const _ of String(data).matchAll(/\*/g)) socket.write('+OK\r\n');
    });
  });
  const { client, log } = clientOf(t, server, ['127.0.0.1', target.port, 'secret']);
  assert.equal(await client.request('get name'), 'OK');
  assert.equal(received, '*2\r\n$4\r\nauth\r\n$6\r\nsecret\r\n*2\r\n$3\r\nget\r\n$4\r\nname\r\n');
  assert.deepEqual(log.map(([name]) => name), ['onSocketReady', 'onReady', 'onResponse', 'onResponse']);
  assert.equal(typeof new WS2S(server.url).newRedisClient, 'function');
});

test('the ssh arguments reach the server', async (t) => {
  const server = await fakeServer(t);
  server.answer = () => {};
  clientOf(t, server, ['h', 6379, undefined, 'sh', 22, 'su', 'sp']);
  await until(() => server.last?.received.length);
  const { command, ...target } = JSON.parse(server.last.received[0]);
  assert.deepEqual(target, { host: 'h', port: 6379, ssh_host: 'sh', ssh_port: 22, ssh_username: 'su', ssh_password: 'sp' });
});

test('a lost connection is made again; what was sent fails, what is asked meanwhile waits', async (t) => {
  const { client, log, server, peer } = await answering(t, '');
  const unanswered = client.request('get name');
  await until(() => peer.received);
  server.cut();
  await assert.rejects(unanswered, { code: 'CLOSED' });
  const waiting = client.request('get age');
  peer.received = '';
  await until(() => peer.received.includes('age'));
  peer.socket.write(':24\r\n');
  assert.equal(await waiting, 24);
  assert.equal(client.reconnectCount, 1);
  const names = log.map(([name]) => name).filter((name) => name !== 'onError');
  assert.deepEqual(names, ['onSocketReady', 'onReady', 'onSocketReady', 'onReconnected', 'onResponse']);
});

test('a peer that closes is connected to again', async (t) => {
  const { client, log, peer } = await answering(t, '+OK\r\n');
  await client.request('a');
  peer.socket.end();
  await until(() => log.some(([name]) => name === 'onReconnected'));
  assert.equal(await client.request('b'), 'OK');
  assert.ok(!log.some(([name]) => name === 'onError'));
});

test('after nine attempts it is over, and told', async (t) => {
  const server = await ws2sServer(t);
  const { client, log } = clientOf(t, server, ['127.0.0.1', 1]);
  const waiting = client.request('get name');
  await assert.rejects(waiting, { code: 'CLOSED' });
  assert.equal(server.connections.length, 10);
  assert.equal(client.reconnectCount, 9);
  const errors = log.filter(([name]) => name === 'onError').map(([, error]) => error);
  assert.deepEqual(errors.slice(0, 10).map(({ code, message }) => [code, message]), Array(10).fill([2, 'connection refused']));
  await until(() => log.at(-1)[1] === 'connection loss, max reconnect times reached');
  await assert.rejects(client.request('late'), { code: 'CLOSED' });
});

test('a connection that lasted starts the count anew', async (t) => {
  const { client, log, server } = await answering(t, '+OK\r\n');
  await client.request('a');
  server.cut();
  await until(() => log.some(([name]) => name === 'onReconnected'));
  assert.equal(client.reconnectCount, 1);
  const later = Date.now() + FAST.max + 1;
  t.mock.method(Date, 'now', () => later);
  server.cut();
  await until(() => log.filter(([name]) => name === 'onReconnected').length === 2);
  assert.equal(client.reconnectCount, 1);
});

test('without reconnect, and after close, there is no other attempt', async (t) => {
  const server = await ws2sServer(t);
  const target = await tcpServer(t, (socket) => socket.resume());
  const { client, log } = clientOf(t, server, ['127.0.0.1', target.port], { reconnect: false });
  const request = client.request('a');
  await until(() => log.some(([name]) => name === 'onReady'));
  server.cut();
  await assert.rejects(request, { code: 'CLOSED' });
  await until(() => log.at(-1)[1] === 'connection loss, max reconnect times reached');
  assert.equal(server.connections.length, 1);

  const other = clientOf(t, server, ['127.0.0.1', target.port], { reconnect: { min: 1e6, max: 1e6 } });
  await until(() => other.log.some(([name]) => name === 'onReady'));
  server.cut();
  const waiting = other.client.request('a');
  await other.client.close();
  await assert.rejects(waiting, { code: 'CLOSED' });
  assert.equal(server.connections.length, 2);
  assert.ok(!other.log.some(([name]) => name === 'onError'));
});

for (const strange of ['HTTP/1.1 400 Bad Request\r\n', '$x\r\n', '*9999999999\r\n', 'x'.repeat(70_000), '*1\r\n'.repeat(20_000)]) {
  test(`${JSON.stringify(strange.slice(0, 12))}… is no redis: told, and given up`, async (t) => {
    const { client, log } = await answering(t, strange);
    client.request('a');
    await until(() => log.filter(([name, error]) => name === 'onError' && error instanceof Error).length);
    await until(() => client.reconnectCount > 0);
  });
}

test('a server of another kind is told', async (t) => {
  const server = await fakeServer(t);
  server.answer = (connection) => respond(connection, 6, 'ssh');
  const { log } = clientOf(t, server, ['h', 1]);
  await until(() => log.filter(([name]) => name === 'onError').length > 1);
  assert.deepEqual(log.find(([name]) => name === 'onError')[1], { success: false, code: 6, message: 'ssh' });
});
