/** A certificate of `generate cert`, and programs that are told to trust it: ws and our clients over wss://, fetch's kin. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAST, LocalWebSocket, WebSocket, named } from './support/clients.js';
import { NO_SERVER, jackfield } from './support/jackfield.js';
import { event, until } from './support/wait.js';

/** A server with TLS: where that is, the certificate, and a WebSocket constructor that trusts it. */
async function secure(t) {
  const folder = mkdtempSync(join(tmpdir(), 'jackfield-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(process.env.JACKFIELD_BIN, ['generate', 'cert', '--cert', cert, '--key', key]);
  const args = ['--listen', 'tls+127.0.0.1:0', '--tls-cert', cert, '--tls-key', key];
  const server = await jackfield(t, { args });
  const address = await until(() => /https:\/\/(127\.0\.0\.1:\d+)\//.exec(server.output())?.[1]);
  const ca = readFileSync(cert);
  const Trusting = class extends WebSocket {
    constructor(url, protocols, options) {
      super(url, protocols, { ca, ...options });
    }
  };
  return { address, ca, Trusting };
}

test('a page and a message of our client over TLS', { skip: NO_SERVER }, async (t) => {
  const { address, ca, Trusting } = await secure(t);
  const [status, protocol] = await new Promise((resolve, reject) => {
    const request = https.get(`https://${address}/`, { ca }, (response) => {
      const protocol = response.socket.getProtocol();
      response.resume();
      response.once('end', () => resolve([response.statusCode, protocol]));
    });
    request.once('error', reject);
  });
  assert.deepEqual([status, protocol], [200, 'TLSv1.3']);

  const options = { server: `wss://${address}`, WebSocket: Trusting, reconnect: FAST };
  const [one, other] = [1, 2].map(() => named(t, LocalWebSocket, 'demo', undefined, options));
  await Promise.all([event(one, 'open'), event(other, 'open')]);
  const said = event(other, 'message');
  const long = 'long '.repeat(100_000);
  one.send(long);
  assert.equal((await said).data, long);
});

test('a client that was not told to trust it goes no further', { skip: NO_SERVER }, async (t) => {
  const { address } = await secure(t);
  const socket = new WebSocket(`wss://${address}/local/demo`);
  const { error } = await event(socket, 'error');
  assert.match(error.code, /SELF_SIGNED|UNABLE_TO_VERIFY/);
});

test('TLS 1.2 is spoken and 1.1 is not', { skip: NO_SERVER }, async (t) => {
  const { address, ca } = await secure(t);
  const reached = (options) => new Promise((resolve) => {
    const socket = new WebSocket(`wss://${address}/local/demo`, { ca, ...options });
    socket.once('open', () => resolve(socket._socket.getProtocol()) || socket.terminate());
    socket.once('error', (error) => resolve(error.code));
  });
  assert.equal(await reached({ maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  assert.match(await reached(old), /PROTOCOL_VERSION|HANDSHAKE_FAILURE|EPROTO|UNSUPPORTED/);
});
