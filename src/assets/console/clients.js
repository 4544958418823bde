/** The page of clients: its snippets name this server, and can be copied. */
import { copyText } from './copy.js';

/** This server, wherever it is mounted. */
const base = new URL('..', location.href).href.replace(/\/$/, '');

for (const snippet of document.querySelectorAll('.snippet')) {
  const code = snippet.querySelector('code');
  const button = snippet.querySelector('.copy');
  code.textContent = code.textContent.replaceAll(/(["'])\/client\//g, `$1${base}/client/`);
  button.hidden = false;
  button.addEventListener('click', () => copyText(code.textContent, code, button));
}
