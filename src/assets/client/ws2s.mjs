// `import { WS2S } from '…/client/ws2s.mjs'`: the names of ws2s.js, which must lie beside this file.
import './ws2s.js';
export const { WS2S } = globalThis;
