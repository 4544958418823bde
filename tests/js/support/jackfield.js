/** The real server: the binary that JACKFIELD_BIN names, on a free port. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEnd } from './end.js';

/** Why tests that need it are skipped; `false` when it is there. */
export const NO_SERVER = process.env.JACKFIELD_BIN ? false : 'JACKFIELD_BIN is not set: NOT tested against the real server';

/** Starts one and waits until it says where it listens; ends with the test. */
export async function jackfield(test, { port = 0, args = [] } = {}) {
  const child = spawn(process.env.JACKFIELD_BIN, ['--listen', `127.0.0.1:${port}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const stop = (signal = 'SIGKILL') => {
    child.kill(signal);
    return exited;
  };
  atEnd(test, () => stop());

  let output = '';
  const started = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        const url = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(output);
        if (url) resolve(Number(url[1]));
      });
    }
    child.once('error', reject);
    exited.then(({ code, signal }) => reject(new Error(`ended (${code ?? signal}) before it listened:\n${output}`)));
  });
  const listening = await started;
  return {
    port: listening,
    http: `http://127.0.0.1:${listening}`,
    ws: `ws://127.0.0.1:${listening}`,
    stop,
    output: () => output,
  };
}

/** A server that asks for tokens; `token(...options)` makes one. */
export async function guarded(t, ...args) {
  const folder = mkdtempSync(join(tmpdir(), 'jackfield-token-'));
  atEnd(t, () => rmSync(folder, { recursive: true }));
  const key = join(folder, 'key');
  writeFileSync(key, 'a secret of more than thirty-two characters\n', { mode: 0o600 });
  const server = await jackfield(t, { args: ['--token-key', key, ...args] });
  const token = (...rights) =>
    execFileSync(process.env.JACKFIELD_BIN, ['token', 'make', '--key', key, ...rights], { encoding: 'utf8' }).trim();
  return { ...server, token };
}
