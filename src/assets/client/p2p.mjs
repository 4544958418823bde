// `import { connectP2p } from '…/client/p2p.mjs'`: the names of p2p.js, which must lie beside this file.
import './p2p.js';
export const { p2pClientPlugin, connectP2p } = globalThis;
