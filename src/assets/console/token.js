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

/** Whether a connection that is over, for this reason, was one without a token that is worth something. */
export function isAboutToken(reason) {
  const isOne = /token/.test(reason ?? '');
  if (isOne) {
    askForToken(token
      ? `The server says of this tab’s token: ${reason}. It may have expired, or not permit what you tried.`
      : 'This server asks for a token. Without one only what its operator allows to everybody works.');
  }
  return isOne;
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
    if (code === 1008 && (!token || /not accepted/.test(reason))) isAboutToken(reason);
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
