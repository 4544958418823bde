/** Pages of https: the clients go by wss, to a server with a certificate of `generate cert`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEnd } from '../js/support/end.js';
import { jackfield } from '../js/support/jackfield.js';
import { until } from '../js/support/wait.js';
import { visitor } from './support/browser.js';
import { echoServer } from './support/rooms.js';
import { heads, page } from './support/site.js';
import { browser, real } from './support/suite.js';

/** A server with TLS (and without: the clients must not take that), and its certificate for a page. */
async function secure(t, args) {
  const folder = mkdtempSync(join(tmpdir(), 'jackfield-'));
  atEnd(t, () => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(process.env.JACKFIELD_BIN, ['generate', 'cert', '--cert', cert, '--key', key]);
  const server = await jackfield(t, { args: ['--listen', 'tls+127.0.0.1:0', '--tls-cert', cert, '--tls-key', key, ...args] });
  const host = await until(() => /https:\/\/(127\.0\.0\.1:\d+)\//.exec(server.output())?.[1]);
  return { host, certificate: { cert: readFileSync(cert), key: readFileSync(key) } };
}

/** What says something through each client, given `host:port` without a scheme, and returns the URL it went to. */
const CLIENTS = {
  webshare: ['WebShare', async ({ WebShare }, host) => {
    const share = new WebShare(...host.split(':'), { path: '/webshare' });
    const { key } = await share.getKey();
    return [key.length > 0, share._socket.url];
  }],
  named: ['LocalWebSocket', async ({ LocalWebSocket }, host) => {
    const socket = new LocalWebSocket('a', undefined, { server: host, echo: true });
    socket.send('said');
    const { data } = await new Promise((resolve) => (socket.onmessage = resolve));
    return [data === 'said', socket.url];
  }],
  'pocket.socket': ['pocket', async ({ pocket }, host) => {
    const [socket] = await pocket.socket.setup(`${host}/pocket`).connect();
    const { attr } = await pocket.socket.signal('a', 'b');
    return [attr === 'json', socket.uri];
  }],
  ws2s: ['WS2S', async ({ WS2S }, host, target) => {
    const socket = new WS2S(`${host}/ws2s`).newSocket();
    await socket.connect(target.split(':')[0], Number(target.split(':')[1]));
    await socket.send('said');
    for await (const bytes of socket) return [new TextDecoder().decode(bytes) === 'said', `wss://${host}`];
  }],
  p2p: ['connectP2p', async ({ connectP2p }, host) => {
    const device = connectP2p(`//${host}`, 'a');
    return [(await device.getClientList())[0] === 'a', `wss://${host}`];
  }],
};

for (const [file, [name, say]] of Object.entries(CLIENTS)) {
  for (const [kind, head] of Object.entries(heads(file, name))) {
    real(`${kind}: ${file} in a page of https goes by wss`, async (t) => {
      const target = await echoServer(t);
      const { host, certificate } = await secure(t, ['--bridge-allow', target.address]);
      const context = await visitor(t, browser, { ignoreHTTPSErrors: true });
      const opened = await page(t, context, head, certificate);
      const [isRight, url] = await opened.evaluate(([say, name, host, target]) => {
        const names = { [name]: (window.imported ?? window)[name] };
        return new Function(`return (${say})`)()(names, host, target);
      }, [say.toString(), name, host, target.address]);
      assert.ok(isRight);
      assert.ok(url.startsWith(`wss://${host}`), url);
    });
  }
}
