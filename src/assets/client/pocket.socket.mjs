// `import { pocket } from '…/client/pocket.socket.mjs'`: the names of pocket.socket.js, which must lie beside this file.
import './pocket.socket.js';
export const { pocket, AddressException } = globalThis;
