/**
 * The token of this tab, for servers that ask for one: every client of the console shows it.
 *
 * It lies in the storage of the tab, so that it outlives a reload, is not in the address, and is gone with the tab.
 */
import { stateOf } from './dom.js';

const PLACE = 'jackfield token';

/** What a JWT is made of, which is also what may stand in a subprotocol and in a field. */
const JWT = /^[\w.-]+$/;

/** The token, if this tab has one. */
export const token = stored();

/** The subprotocols that show it. */
export const subprotocols = token && ['jackfield', `jackfield.token.${token}`];

/** The fields that show it. */
export const fields = token ? { Authorization: `Bearer ${token}` } : {};

function stored() {
  try {
    return sessionStorage.getItem(PLACE) ?? undefined;
  } catch {
    // Storage may be forbidden: then there is no token.
    return undefined;
  }
}

function store(value) {
  if (value) sessionStorage.setItem(PLACE, value);
  else sessionStorage.removeItem(PLACE);
  // Every room begins anew under it.
  location.reload();
}

const form = document.querySelector('.token-form');
const [why, line, forget] = ['.why', 'label', '.forget'].map((selector) => form.querySelector(selector));
const showState = stateOf(form);

/** Asks for a token, and says why. */
export function askForToken(reason) {
  why.textContent = reason;
  line.hidden = form.querySelector('.primary').hidden = false;
  forget.hidden = !token;
  showState('lost', token ? 'not accepted' : 'none yet');
  form.classList.remove('is-used');
  form.hidden = false;
}

/**
 * What was wrong with the token of a connection that is over for this reason, in words for its state, and asks for
 * another; `undefined` where it was not about a token.
 */
export function aboutToken(reason) {
  if (!/token/.test(reason ?? '')) return undefined;
  if (!token) {
    askForToken('This server asks for a token. Without one only what its operator allows to everybody works.');
    return 'no token';
  }
  if (/expired/.test(reason)) {
    askForToken('This tab’s token has expired. Ask the operator for a new one.');
    return 'the token has expired';
  }
  const isNotPermitted = /permit/.test(reason);
  askForToken(isNotPermitted
    ? `This tab’s token does not permit what you tried. The server says: ${reason}.`
    : `The server says of this tab’s token: ${reason}.`);
  return isNotPermitted ? 'not permitted by the token' : 'the token is not accepted';
}

/**
 * Whether nothing would come of a connection, as this server asks everybody for a token and this tab has none: then it
 * asks for one. Such a connection opens all the same and is silent, so that it would look like one that works.
 */
export function lacksToken({ needs_token }) {
  if (needs_token && !token) aboutToken('no token');
  return needs_token && !token;
}

/**
 * Says that this tab has a token, if it has. With `isAsked` it finds out whether the server is content with that, and asks
 * for a token if it is not; the room Pair finds that out by itself.
 */
export function watchForToken(server, isAsked) {
  if (token) {
    why.textContent = 'Every room shows this tab’s token to the server.';
    line.hidden = form.querySelector('.primary').hidden = true;
    forget.hidden = form.hidden = false;
    form.classList.add('is-used');
    showState('open', 'in use');
  }
  if (!isAsked) return;
  // Whoever may connect gets an answer; others are told why not.
  const probe = new WebSocket(`${server}/webshare`, subprotocols ?? []);
  probe.onopen = () => probe.send('{"command":"key"}');
  probe.onmessage = () => probe.close();
  probe.onclose = ({ code, reason }) => {
    if (code === 1008 && (!token || /not accepted/.test(reason))) aboutToken(reason);
  };
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const field = form.elements.token;
  const value = field.value.trim();
  field.setCustomValidity(JWT.test(value) ? '' : 'A token is letters, digits, and . _ -');
  if (field.reportValidity()) store(value);
});
form.elements.token.addEventListener('input', ({ target }) => target.setCustomValidity(''));
forget.addEventListener('click', () => store(undefined));
