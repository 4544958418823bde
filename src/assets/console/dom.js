/** What the rooms build pages of. Everything that came from outside becomes text, never markup. */

/** An element with a class and a text. */
export const element = (tag, className = '', text = '') => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
};

/** An SVG element with attributes. */
export const drawn = (tag, attributes = {}) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

const count = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });

/** 2,048 */
export const number = (value) => count.format(value);

/** 12.3K */
export const compact = (value) => short.format(value);

/** "1 byte", "2,048 bytes". */
export const bytesOf = (size) => `${number(size)} ${size === 1 ? 'byte' : 'bytes'}`;

/** "512 B", "1.5 MiB". */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) [bytes, at] = [bytes / 1024, at + 1];
  return `${bytes >= 100 || at === 0 || Number.isInteger(bytes) ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

/** "12 s", "3 min", "2 h 5 min", "4 d 1 h". */
export function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** As much of a text from outside as is shown: so many characters at most. */
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** Bytes of a text as it is sent. */
export const lengthOf = (text) => new TextEncoder().encode(text).length;

/** Why so many bytes are not sent, in words: the server, which takes `most` (--max-message), would close the connection. */
export const tooLong = (size, most) =>
  `This is too long: it would be ${bytesOf(size)}, and this server takes ${number(most)} at once (--max-message).`;

/** Shows a connection's state, a word for people beside one for the style; once, as a screen reader says it again. */
export const stateOf = (room) => {
  const shown = room.querySelector('.state');
  return (state, text) => {
    shown.dataset.state = state;
    if (shown.textContent !== text) shown.textContent = text;
  };
};

/** Why a connection was lost, in words; nothing where that is not known. */
export function cause({ code, reason } = {}) {
  // 1006 is what a browser says when it may not or cannot say more, and 1005 that nobody said anything.
  return reason || (!code || code === 1006 || code === 1005 ? '' : `code ${code}`);
}

/** When a lost connection is tried again, in words. */
export function lost({ code, reason, retryMs }) {
  const why = cause({ code, reason });
  const seconds = Math.max(1, Math.round(retryMs / 1000));
  return `no connection${why && ` (${why})`}, next try in ${seconds} s`;
}

/** Why a connection is not tried again, in words. */
export const over = ({ code, reason }) => `over: ${reason || `code ${code}`}`;

/** Keeps an element scrolled to its end, until a person scrolls up. */
export function follower(log) {
  let isFollowing = true;
  const follow = () => isFollowing && (log.scrollTop = log.scrollHeight);
  log.addEventListener('scroll', () => {
    isFollowing = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  });
  new ResizeObserver(follow).observe(log);
  return follow;
}
