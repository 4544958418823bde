/** The room "TCP": a terminal of lines to one TCP server, over ws2s, or by the name that the operator has given it. */
import { WS2S } from '../client/ws2s.mjs';
import { cause, element, follower, stateOf } from './dom.js';
import { aboutToken, lacksToken, subprotocols, token } from './token.js';

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

/** How the server ends its words about a target that the token does not have; the target's name may say anything. */
const NOT_PERMITTED = /[^,]*token does not permit it \(tcp\)$/;

/** What went wrong, in words. Where it was the token, not the target, that is said, and a token asked for. */
const explain = ({ code, response, message }) => {
  if (aboutToken(response?.reason ?? NOT_PERMITTED.exec(response?.message)?.[0].trim())) {
    return token ? 'This tab’s token does not permit that: use another one.' : 'This server asks for a token first.';
  }
  return MEANING[code] ?? response?.message ?? message;
};

/** `HOST:PORT`, an IPv6 address in brackets. */
function split(target) {
  const parts = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(target);
  return parts && Number(parts[3]) < 65536 ? [parts[1] ?? parts[2], Number(parts[3])] : undefined;
}

/** What may be the name of a target (--bridge-name). */
const NAME = /^[\w.-]+$/;

/** A failure as those of `WS2S` are: `response` is what the server said. */
const broken = (message, response) => Object.assign(new Error(message), { response });

/**
 * A target by its name, with what the room needs of a socket of `WS2S`. Messages are at most so many bytes long. Nothing
 * waits here: the page takes all that comes.
 */
function named(url, most) {
  const socket = new WebSocket(url, subprotocols ?? []);
  socket.binaryType = 'arraybuffer';
  const chunks = [];
  let wake = () => {};
  let end;
  const encoder = new TextEncoder();
  socket.onmessage = ({ data }) => {
    chunks.push(typeof data === 'string' ? encoder.encode(data) : new Uint8Array(data));
    wake();
  };
  const opened = new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = (event) => {
      end = event;
      // Whoever opened it is told at once, whoever reads when all has been read.
      reject(broken('No target has that name (--bridge-name), or the server does not answer.', event));
      wake();
    };
  });
  return {
    connect: () => opened,
    async send(text) {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length; at += most) socket.send(bytes.subarray(at, at + most));
    },
    close: () => socket.close(),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (chunks.length) yield chunks.shift();
        else if (!end) await new Promise((resolve) => (wake = resolve));
        else if (end.code === 1000) return;
        else throw broken(cause(end) || MEANING.CLOSED, end);
      }
    },
  };
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
  if (role.has_target_names) find('.target-label').textContent = 'Host and port, or a name';

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
    const isName = !place && role.has_target_names && NAME.test(target);
    if (!place && !isName) {
      return fail(`Write HOST:PORT, such as 127.0.0.1:6379 or [::1]:80${role.has_target_names ? ', or a name (--bridge-name)' : ''}.`);
    }
    if (lacksToken(role)) return fail('This server asks for a token first.');
    const opened = (socket = isName ? named(`${server}/tcp/${target}`, role.max_message) : wire.newSocket());
    showState('connecting', 'connecting…');
    show();
    controls.disabled = true;
    try {
      await opened.connect(...(place ?? []));
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
