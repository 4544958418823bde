// `import { LocalWebSocket } from '…/client/named.mjs'`: the names of named.js, which must lie beside this file.
import './named.js';
export const { LocalWebSocket, BroadcastWebSocket, NetworkWebSocket } = globalThis;
LocalWebSocket.script = BroadcastWebSocket.script = NetworkWebSocket.script = import.meta.url;
