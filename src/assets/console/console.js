/**
 * The console: starts the panels and reads what the address asks for.
 *
 * `#pair=KEY` pairs with KEY as soon as this client has a key of its own; `#name=NAME` joins `/local/NAME`
 * (`&kind=broadcast`: `/broadcast/NAME`).
 */
import { namePanel } from './name.js';
import { pairPanel } from './pair.js';

/** This server, wherever it is mounted: the console lies directly below its base. */
const server = new URL('.', location.href).href.replace(/^http/, 'ws').replace(/\/$/, '');

/** Makes what shows a connection's state: a word, or the `lost` event that says when the next attempt is. */
function stateOf(panel) {
  const shown = panel.querySelector('.state');
  return (state, what) => {
    shown.dataset.state = state;
    shown.textContent = typeof what === 'string' ? what : lost(what);
  };
}

function lost({ code, reason, retryMs }) {
  // 1006 is what a browser says when it may not or cannot say more.
  const why = reason || (code === 1006 ? '' : `code ${code}`);
  const seconds = Math.max(1, Math.round(retryMs / 1000));
  return `no connection${why && ` (${why})`}, next try in ${seconds} s`;
}

const [pairRoot, nameRoot] = ['pair', 'name'].map((id) => document.getElementById(id));
const pair = pairPanel(pairRoot, `${server}/webshare`, stateOf(pairRoot));
const join = namePanel(nameRoot, server, stateOf(nameRoot));

/** The members of the address's fragment. `+` is a letter here: names may contain it. */
function wishes() {
  const parts = location.hash.slice(1).split('&').map((part) => part.split('='));
  return Object.fromEntries(parts.map(([name, ...value]) => [name, decode(value.join('='))]));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function follow() {
  const { pair: key, name, kind } = wishes();
  if (name) join(name, kind === 'broadcast' ? 'broadcast' : 'local');
  if (!key || !(await pair(key))) return;
  // A key is good for one meeting: reloading the page must not look for a partner that is gone.
  const rest = location.hash.slice(1).split('&').filter((part) => !part.startsWith('pair='));
  history.replaceState(null, '', location.pathname + location.search + (rest.length ? `#${rest.join('&')}` : ''));
}

addEventListener('hashchange', follow);
follow();
