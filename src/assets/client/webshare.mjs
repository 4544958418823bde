// `import { WebShare } from '…/client/webshare.mjs'`: the names of webshare.js, which must lie beside this file.
import './webshare.js';
export const { WebShare } = globalThis;
