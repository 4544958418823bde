/** A pocket of its own for each test: the file keeps its sockets and listeners in one global. */
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import WebSocket from 'ws';
import { atEnd } from './end.js';

const FILE = new URL('../../../src/assets/client/pocket.socket.js', import.meta.url);
const SCRIPT = new vm.Script(readFileSync(FILE, 'utf8'), { filename: 'pocket.socket.js' });

/** Loads the file anew, with `options` set; its connections end with the test. */
export function freshPocket(test, options) {
  delete globalThis.pocket;
  SCRIPT.runInThisContext();
  const { pocket } = globalThis;
  Object.assign(pocket, { WebSocket, ...options });
  atEnd(test, () => pocket.socket.close());
  return pocket;
}

/** Loads the file once more into the same page. */
export const loadAgain = () => SCRIPT.runInThisContext();

/** The events of the channel `socket`, in the order in which they come: `[name, data, socket]`. */
export function told(pocket, ...names) {
  const seen = [];
  pocket.socket.on('socket', (...event) => (!names.length || names.includes(event[0])) && seen.push(event));
  return seen;
}
