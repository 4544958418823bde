/** The page of clients: its snippets name this server, and can be copied; sizes are written as people write them. */
import { copyText } from './copy.js';
import { bytesOf } from './dom.js';

/** This server, wherever it is mounted. */
const base = new URL('..', location.href).href.replace(/\/$/, '');

for (const version of document.querySelectorAll('.version')) {
  version.textContent = version.textContent.replace(/^(\S+) · (\d+) bytes$/, (_, name, bytes) => `version ${name} · ${bytesOf(Number(bytes))}`);
}

for (const snippet of document.querySelectorAll('.snippet')) {
  const code = snippet.querySelector('code');
  const button = snippet.querySelector('.copy');
  code.textContent = code.textContent.replaceAll(/(["'])\//g, `$1${base}/`);
  button.hidden = false;
  button.addEventListener('click', () => copyText(code.textContent, code, button));
}
