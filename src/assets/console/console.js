/**
 * The console: leads to its rooms, each of which begins when it is entered first and goes on while others are looked at.
 *
 * The address says which: `#pair`, `#name`, `#channels`, `#devices`, `#tcp`, `#live`. `#pair=KEY` pairs with KEY as soon
 * as this client has a key of its own; `#name=NAME` joins `/local/NAME` (`&kind=broadcast`: `/broadcast/NAME`);
 * `#channels=ROOM` joins a pocket room; `#devices=ID` is that device (`&pair=ID`: and pairs with another);
 * `#tcp=HOST:PORT` connects, or `#tcp=NAME` of --bridge-name.
 */
import { channelsRoom } from './channels.js';
import { devicesRoom } from './devices.js';
import { liveRoom } from './live.js';
import { nameRoom } from './name.js';
import { pairRoom } from './pair.js';
import { tcpRoom } from './tcp.js';
import { fields, watchForToken } from './token.js';

/** This server, wherever it is mounted: the console lies directly below its base. */
const base = new URL('.', location.href).href.replace(/\/$/, '');

/** Each makes a room of its section and returns `{enter(value, wishes), leave()}`, where it has anything to do then. */
const MAKERS = { pair: pairRoom, name: nameRoom, channels: channelsRoom, devices: devicesRoom, tcp: tcpRoom, live: liveRoom };
const rooms = {};
let current;

const server = base.replace(/^http/, 'ws');

/** What this person may see: told by the server, which does not rely on it. */
const role = fetch(`${base}/console/role`, { headers: fields })
  .then((response) => response.json())
  .catch(() => ({ is_admin: false, asks_for_tokens: true, has_targets: true, max_message: Infinity, without: [] }));

/** What a room is for, where that can be switched off. */
const PROTOCOLS = { pair: 'webshare', name: 'named', channels: 'pocket', devices: 'p2p', tcp: 'ws2s' };
const isOn = (name, { without }) => !without.includes(PROTOCOLS[name]);

/** The members of the address's fragment. `+` is a letter here: names may contain it. */
function wishes() {
  const parts = location.hash.slice(1).split('&').map((part) => part.split('='));
  return new Map(parts.map(([name, ...value]) => [name, value.length ? decode(value.join('=')) : undefined]));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function follow() {
  const asked = wishes();
  const told = await role;
  const known = Object.keys(MAKERS).filter((name) => isOn(name, told));
  const name = [...asked.keys()].find((name) => known.includes(name)) ?? known[0];
  const isEntered = name !== current;
  if (isEntered) {
    rooms[current]?.leave?.();
    for (const section of document.querySelectorAll('.room')) section.hidden = section.id !== name;
    for (const link of document.querySelectorAll('.rooms a')) {
      if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.title = `jackfield console: ${document.querySelector(`#${name} h2`).textContent}`;
  }
  const isMoved = isEntered && current !== undefined;
  current = name;
  const section = document.getElementById(name);
  rooms[name] ??= MAKERS[name](section, { base, server, role: told });
  // Who uses a keyboard or a screen reader goes on in the room.
  if (isMoved) section.querySelector('h2').focus({ preventScroll: true });
  if (isMoved) scrollTo(0, 0);
  rooms[name]?.enter?.(asked.get(name), asked);
}

role.then((told) => {
  for (const link of document.querySelectorAll('.rooms a')) {
    const name = link.hash.slice(1);
    link.hidden = name === 'live' ? !told.is_admin : !isOn(name, told);
  }
  watchForToken(server, told.asks_for_tokens && location.hash && !wishes().has('pair'));
});
addEventListener('hashchange', follow);
follow();
