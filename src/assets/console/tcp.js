/** The room "TCP": a terminal of lines to one TCP server, over ws2s. */
import { WS2S } from '../client/ws2s.mjs';
import { element, follower, stateOf } from './dom.js';
import { isAboutToken, subprotocols } from './token.js';

/** Characters that the terminal keeps. */
const KEPT_CHARACTERS = 200_000;

const ENDINGS = { crlf: '\r\n', lf: '\n', none: '' };

/** What the server's codes mean to the person in front of the page. */
const MEANING = {
  2: 'Nobody listens there.',
  4: 'The operator of this server does not allow this target (--bridge-allow).',
  CLOSED: 'The connection to this server was lost.',
  TOO_SLOW: 'More came than this page could take.',
};

const explain = ({ code, response, message }) => MEANING[code] ?? response?.message ?? message;

/** `HOST:PORT`, an IPv6 address in brackets. */
function split(target) {
  const parts = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(target);
  return parts && Number(parts[3]) < 65536 ? [parts[1] ?? parts[2], Number(parts[3])] : undefined;
}

export function tcpRoom(room, { server, role }) {
  const find = (selector) => room.querySelector(selector);
  const showState = stateOf(room);
  const [form, field, connectButton, closeButton] = ['.target-form', '.target', '.connect-button', '.close-button'].map(find);
  const [terminal, error, send, controls] = ['.terminal', '.error', '.send-form', '.send-form fieldset'].map(find);
  const wire = new WS2S(`${server}/ws2s`, { protocols: subprotocols });
  const follow = follower(terminal);
  let socket;
  let kept = 0;
  find('.no-targets').hidden = role.has_targets;

  const fail = (text = '') => {
    error.textContent = text;
    error.hidden = !text;
  };

  /** Appends what was received or sent; neighbours of one kind are one element. */
  const print = (kind, text) => {
    terminal.hidden = send.hidden = false;
    const last = terminal.lastChild;
    if (last?.className === kind && last.textContent.length < 4096) last.textContent += text;
    else terminal.append(element('span', kind, text));
    kept += text.length;
    while (kept > KEPT_CHARACTERS && terminal.children.length > 1) {
      kept -= terminal.firstChild.textContent.length;
      terminal.firstChild.remove();
    }
    follow();
  };

  const show = () => {
    const isThere = Boolean(socket);
    connectButton.hidden = field.readOnly = isThere;
    closeButton.hidden = !isThere;
    controls.disabled = !isThere;
  };

  const leave = (why) => {
    const left = socket;
    socket = undefined;
    left?.close();
    showState('closed', 'not connected');
    if (left && why) print('note', `— ${why}\n`);
    show();
  };

  const connect = async (target) => {
    leave();
    fail();
    field.value = target;
    const place = split(target);
    if (!place) return fail('Write HOST:PORT, such as 127.0.0.1:6379 or [::1]:80.');
    const opened = (socket = wire.newSocket());
    showState('connecting', 'connecting…');
    show();
    controls.disabled = true;
    try {
      await opened.connect(...place);
    } catch (failure) {
      if (opened !== socket) return;
      leave();
      return fail(explain(failure));
    }
    if (opened !== socket) return;
    showState('open', 'connected');
    print('note', `— connected to ${target}\n`);
    show();
    send.elements.line.focus();
    // A character may be cut by the end of a chunk.
    const decoder = new TextDecoder();
    try {
      for await (const bytes of opened) print('received', decoder.decode(bytes, { stream: true }));
      if (opened === socket) leave('the other side closed the connection');
    } catch (failure) {
      if (opened !== socket) return;
      leave('the connection broke');
      fail(explain(failure));
    }
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    connect(field.value.trim());
  });
  closeButton.addEventListener('click', () => {
    leave('you disconnected');
    field.focus();
  });
  send.addEventListener('submit', (event) => {
    event.preventDefault();
    const { line, ending } = send.elements;
    const text = line.value + ENDINGS[ending.value];
    if (!text) return;
    print('sent', `${line.value}\n`);
    const target = socket;
    target.send(text).catch((failure) => target === socket && fail(explain(failure)));
    line.value = '';
  });

  show();
  return {
    enter(target) {
      if (target) connect(target);
    },
  };
}
