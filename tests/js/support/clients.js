/** The clients under test, as a module would import them, with `ws` where node has no WebSocket of its own. */
import WebSocket from 'ws';
import { atEnd } from './end.js';
import { WebShare } from '../../../src/assets/client/webshare.mjs';
import { BroadcastWebSocket, LocalWebSocket, NetworkWebSocket } from '../../../src/assets/client/named.mjs';
import { AddressException, pocket } from '../../../src/assets/client/pocket.socket.mjs';
import { WS2S } from '../../../src/assets/client/ws2s.mjs';

for (const client of [WebShare, LocalWebSocket, BroadcastWebSocket, NetworkWebSocket, pocket, WS2S]) client.WebSocket = WebSocket;

/** Retries so fast that a test need not wait for them. */
export const FAST = { min: 1, max: 8 };

/** Makes a WebShare that is closed with the test. */
export function webshare(test, ...args) {
  const client = new WebShare(...args);
  atEnd(test, () => client.close());
  return client;
}

/** Makes a named socket that is closed with the test. */
export function named(test, kind, ...args) {
  const client = new kind(...args);
  atEnd(test, () => client.close());
  return client;
}

/** A WebSocket constructor that connects nowhere and remembers the addresses it was given. */
export function addresses() {
  const seen = [];
  const Recorder = class {
    readyState = 0;
    constructor(url, protocols) {
      seen.push(protocols === undefined ? url : [url, protocols]);
    }
    close() {
      this.readyState = 3;
    }
  };
  return { seen, WebSocket: Recorder };
}

export { AddressException, WebSocket, WebShare, LocalWebSocket, BroadcastWebSocket, NetworkWebSocket, WS2S, pocket };
