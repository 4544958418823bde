/** Never run: compiled by `files.test.js`, where a line that says `@ts-expect-error` must not compile. */
import { WebShare as Imported, type WebShareError } from '../../../src/assets/client/webshare.mjs';
import { LocalWebSocket as Local, NetworkWebSocket as Network, type NamedSocket } from '../../../src/assets/client/named.mjs';
import { AddressException as Exception, pocket as imported, type DeliveryError } from '../../../src/assets/client/pocket.socket.mjs';
import { connectP2p as connectImported, p2pClientPlugin as pluginImported, type P2pError, type P2pStream } from '../../../src/assets/client/p2p.mjs';
import { WS2S as ImportedWS2S, type WS2SError, type WS2SSocket } from '../../../src/assets/client/ws2s.mjs';

const share: Imported = new WebShare('host', 9000, true);
new WebShare('host', 9000);
new WebShare('host', 9000, { path: '/webshare', reconnect: { max: 1000 }, queueLimit: 5, binary: true });
new WebShare('wss://host/webshare', { reconnect: false });
share.onrelay = (success, code, body) => console.log(success, code, body.hello);
share.onkey = (_success, _code, { key, previous }) => console.log(key, previous);
share.onlost = ({ retryMs }) => console.log(retryMs + 1);
share.addEventListener('relay', ({ detail }) => console.log(detail));
share.addEventListener('binary', ({ detail }) => console.log(detail.byteLength));
share.addEventListener('anything', () => {});
const onLost: NonNullable<typeof share.onlost> = ({ retryMs }) => console.log(retryMs);
share.addEventListener('lost', onLost);
share.removeEventListener('lost', onLost);
const partner: string = (await share.pair('key')).with;
await share.pair('key').catch((error: WebShareError) => error.code);
share.relay([1, partner], (success, code, body) => console.log(success, code, body));
await share.relayBinary(new Uint8Array(3));
share.relay('x', { signal: AbortSignal.timeout(1), callback: (success) => console.log(success) });
new WebShare('wss://h', { signal: AbortSignal.timeout(1), heartbeat: 0 }).addEventListener('lost', ({ hint }) => console.log(hint.length, share.state === 'waiting'));
// @ts-expect-error there is no such state
share.state === 'lost';
// @ts-expect-error a key is text
share.pair(1);
// @ts-expect-error a URL takes no port
new WebShare('wss://host', 9000, 1);

const socket: NamedSocket = new Local('demo');
LocalWebSocket('demo', ['protocol'], { server: 'ws://host:1', echo: true });
BroadcastWebSocket.server = 'ws://host:1';
socket.onmessage = ({ data }) => console.log(data);
socket.addEventListener('drop', ({ data, code }) => console.log(data, code));
socket.onconnect = () => console.log(socket.peerCount + LocalWebSocket.OPEN);
const onDrop: NonNullable<typeof socket.ondrop> = ({ code }) => console.log(code);
socket.removeEventListener('drop', onDrop);
socket.send(new Blob([]));
socket.close(3000, 'why');
new Local('demo', undefined, { signal: AbortSignal.timeout(1), heartbeat: 0 }).onlost = ({ hint, retryMs }) => console.log(hint.length, retryMs + 1);
const both: [Local, LocalWebSocket] = [socket, socket];
const network: NetworkWebSocket = new Network('demo', undefined, { reconnect: false });
network.onconnect = ({ detail: { target } }) => target.send(network.id + target.id);
network.removeEventListener('connect', network.onconnect);
network.addEventListener('disconnect', ({ detail }) => console.log(detail.target.readyState));
network.peers[0]?.addEventListener('message', ({ data }) => console.log(data.length));
NetworkWebSocket('demo').send('text');
// @ts-expect-error text only
network.send(new Uint8Array(3));
// @ts-expect-error a name is needed
new Local();
// @ts-expect-error read-only
socket.readyState = 1;

pocket.socket.setup('127.0.0.1:8001').on('socket', (name) => console.log(name)).connect();
pocket.socket.setup(['a', 'b'], [8001, '8002'], 'flat', 'overflow').list('mix').toArray().join();
pocket.socket.setup({ local: ['a', 1], dev: { ip: 'b', port: 2 } }, 'overflow').isSetup();
pocket.socket.setup('127.0.0.1', 8001, null, 'flat');
imported.socket.connect(pocket.socket.connection.list(), 'broadcast').then(([socket]) => socket.connected);
imported.socket.connect('flat');
pocket.socket.on('socket', 'open', ({ socket }) => socket.sendJson('a.b', [1]));
pocket.socket.on('socket', 'drop', ({ code, data }) => console.log(code === 'CLOSED', data));
pocket.socket.on('socket', 'connected', ({ address, port }, socket) => console.log(address, port + 1, socket.uri));
pocket.socket.on('clock', 'tick', ({ data, __channel }) => console.log(data.now, __channel.length));
pocket.socket.on('clock', 'tick', (_, socket) => socket.close(3000, 'why')).signal('clock', 'tock');
pocket.socket.signal('a', 'b', (receipt) => console.log(receipt.time.length));
pocket.socket.signal('a', 'b', 5, (receipt, socket) => console.log(receipt.attr, socket.uri));
const deliveryCode: string = await pocket.socket.signal('a', 'b').then(({ attr }) => attr, ({ code }: DeliveryError) => code);
const ids = pocket.socket.sendToAll(deliveryCode, { any: 1 });
if (ids) pocket.socket.on(ids[0] ?? '', (_nothing, receipt) => console.log(receipt.time));
pocket.socket.makeSocket('pi:1', (happened) => console.log(happened)).onclose = ({ code }) => console.log(code);
pocket.socket.makeSocket(['pi', 1]).binaryType = 'arraybuffer';
pocket.socket.signal('a', 'b', {}, null, { signal: AbortSignal.timeout(1) });
pocket.socket.on('socket', 'reconnect', ({ hint }) => console.log(hint.length));
pocket.reconnect = { max: 1000 };
console.log(new Exception('why') instanceof AddressException);
// @ts-expect-error an address has another form
pocket.socket.makeSocket(1);
// @ts-expect-error there is no such list
pocket.socket.connection.list('other');

const tcp: WS2SSocket = new ImportedWS2S('ws://pi:9009/ws2s', { maxBuffer: 1e6 }).newSocket();
tcp.onRecv = (bytes) => console.log(bytes.byteLength);
tcp.onError = (error) => console.log(error);
await tcp.connect('h', 80, 'ssh', 22).catch((error: WS2SError) => error.code === 2 && error.response.message);
await tcp.send('GET /').then(() => tcp.sendb(new Uint8Array(3)));
for await (const bytes of tcp) console.log(bytes.length);
await tcp.close();
const redis = new WS2S(new URL('ws://pi:3613')).newRedisCient('h', 6379, 'auth');
redis.onReconnected = () => console.log(redis.reconnectCount + 1);
redis.onResponse = (value) => console.log(value);
const reply: string = await redis.request('get name');
await new WS2S('ws://pi').newRedisClient(reply, 1).close();
await tcp.send('x', { signal: AbortSignal.timeout(1) });
await tcp.connect('h', 80, { signal: AbortSignal.timeout(1) });
new WS2S('ws://h').newSocket({ signal: AbortSignal.timeout(1) });
await redis.request('get x', { signal: AbortSignal.timeout(1) });
// @ts-expect-error a port is a number
tcp.connect('h', '80');
// @ts-expect-error text, or sendb
tcp.send(new Uint8Array(3));

const phone = connectImported('https://pi:9009', 'phone', { reconnect: { max: 5000 }, auth: { token: 'x' }, accept: (id) => id !== 'x' });
phone.on('disconnect', (reason, detail) => console.log(reason === 'ping timeout', detail?.code));
phone.on('connect_error', ({ message, data, hint, retryMs }) => console.log(message, data, hint.length, retryMs ?? 0, phone.active));
connectP2p('https://pi', 'x', { signal: AbortSignal.timeout(1) });
phone.once('anything', (first: number) => console.log(first)).emit('anything', 1, () => {});
const isPaired: true = await phone.registerP2pTarget('lamp', { timeout: 500, signal: AbortSignal.timeout(1000) });
phone.registerP2pTarget('lamp', {}, () => {}, (error: P2pError) => console.log(error.code, isPaired)).catch(() => {});
phone.emit2('switch', 1, (answer: string) => console.log(answer)).emitTo('lamp', 'switch').close();
const [first]: string[] = await phone.getClientList();
console.log(await phone.call2('ask'), await phone.callTo(first, 'ask', 1), phone.targetDeviceId?.length);
const stream: P2pStream = await phone.addP2pStream('lamp', 'channel', { initStreamTimeout: 5 });
stream.on('data', async (chunk) => stream.write(chunk)).once('error', ({ message }) => console.log(message));
await stream.end(new Uint8Array(3));
phone.onAddP2pStream('channel', (accepted, args) => accepted.destroy(new Error(String(args))), {});
phone.onRegisterP2pStream((accepted) => accepted.close());
console.log((await phone.registerP2pStream())?.destroyed, await phone.provideService('s', () => {}, (why) => why.length));
class FakeSocket {
  disconnect() {}
}
const lamp = pluginImported(new FakeSocket(), 'lamp', { timeout: 0, restore: false });
lamp.onAddP2pTarget((id) => console.log(id.length));
lamp.disconnect();
p2pClientPlugin(new FakeSocket());
connectP2p(new URL('ws://pi'), 'b').unregisterP2pTarget();
// @ts-expect-error an id is a string
phone.emitTo(1, 'event');
// @ts-expect-error a listener is needed
phone.onP2pTargetDisconnect();
