// `import { LocalWebSocket } from '…/client/named.mjs'`: the names of named.js, which must lie beside this file.
import './named.js';
export const { LocalWebSocket, BroadcastWebSocket } = globalThis;
LocalWebSocket.script = BroadcastWebSocket.script = import.meta.url;
