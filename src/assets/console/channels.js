/** The room "Channels": a pocket room, its events, and receipts for ours. */
import { pocket } from '../client/pocket.socket.mjs';
import { cause, cut, element, follower, lengthOf, lost, over, stateOf, tooLong } from './dom.js';
import { aboutToken, lacksToken, token } from './token.js';

/** Entries that the log keeps, and characters of one that are shown. */
const ENTRIES = 500;
const SHOWN_CHARACTERS = 4096;

/** Characters that are shown of an event's name, and of an address, both of which are anybody's. */
const SHOWN_NAME = 200;
const SHOWN_ADDRESS = 64;

export function channelsRoom(room, { server, role }) {
  const find = (selector) => room.querySelector(selector);
  const showState = stateOf(room);
  const [form, field, joinButton, leaveButton] = ['.room-form', '.room-field', '.join-button', '.leave-button'].map(find);
  const [presence, another, log, error] = ['.presence [role=status]', '.another', '.log', '.error'].map(find);
  const [signal, controls] = ['.signal-form', '.signal-form fieldset'].map(find);
  const follow = follower(log);
  let socket;
  if (token) pocket.token = token;

  const append = (entry) => {
    log.hidden = signal.hidden = false;
    log.append(entry);
    while (log.children.length > ENTRIES) log.firstChild.remove();
    follow();
  };
  const note = (text) => append(element('li', 'entry note', text));
  const fail = (text = '') => {
    error.textContent = text;
    error.hidden = !text;
  };

  /** An event that came (`in`) or is sent (`out`). Returns what says how that went. */
  const show = (direction, name, data) => {
    const entry = element('li', `entry ${direction} json`);
    const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '');
    const body = element('span', 'text');
    body.append(element('b', 'event-name', cut(name, SHOWN_NAME)), element('bdi', '', cut(text, SHOWN_CHARACTERS)));
    const about = element('span', 'about');
    about.append(element('span', '', new Date().toLocaleTimeString()));
    entry.append(body, about);
    const outcome = element('span');
    append(entry);
    return (how, isBad = false) => {
      entry.classList.toggle('failed', isBad);
      outcome.textContent = how;
      about.append(outcome);
    };
  };

  const showJoined = () => {
    const isJoined = Boolean(socket);
    joinButton.hidden = field.readOnly = isJoined;
    leaveButton.hidden = another.hidden = !isJoined;
    controls.disabled = !isJoined;
    if (isJoined) signal.hidden = false;
    else presence.textContent = '';
  };

  const leave = () => {
    const left = socket;
    socket = undefined;
    left?.close();
    showState('closed', 'not joined');
    showJoined();
  };

  const join = (name) => {
    leave();
    fail();
    field.value = name;
    if (!/^[\w.+=*-]{0,255}$/.test(name)) {
      return fail('A room is at most 255 of these: letters without accents, digits, and . _ + = * -');
    }
    another.href = `#channels=${encodeURIComponent(name)}`;
    if (lacksToken(role)) return showState('closed', 'no token');
    /** Whether there is a connection, and whether there was one before. */
    let [isOpen, wasOpen] = [false, false];
    const joined = pocket.socket.makeSocket(`${server}/pocket${name && `?room=${encodeURIComponent(name)}`}`);
    socket = joined;
    showState('connecting', 'connecting…');
    showJoined();
    joined.addEventListener('open', () => {
      if (joined !== socket) return;
      showState('open', 'joined');
      const place = name ? `the room ${name}` : 'the room of those who name none';
      note(`${wasOpen ? 'Connected again: back in' : 'Joined'} ${place}.`);
      isOpen = wasOpen = true;
    });
    joined.addEventListener('close', (event) => {
      if (joined !== socket) return;
      const why = cause(event);
      if (joined.readyState !== WebSocket.CLOSED) {
        if (isOpen && why) note(`The connection was lost: ${why}.`);
        isOpen = false;
        return;
      }
      socket = undefined;
      showJoined();
      showState('closed', aboutToken(event.reason) ?? over(event));
      note(`The server closed the connection for good${why && `: ${why}`}.`);
    });
    joined.addEventListener('message', ({ data }) => joined === socket && heard(data));
  };

  const heard = (data) => {
    let told;
    try {
      told = Object(typeof data === 'string' && JSON.parse(data));
    } catch {
      told = {};
    }
    // Pushes of the server; receipts have found their callback.
    if (told.socket === 'connected') presence.textContent = `${cut(String(told.address), SHOWN_ADDRESS)} joined.`;
    else if (told.socket === 'disconnected') presence.textContent = `${cut(String(told.address), SHOWN_ADDRESS)} left.`;
    else if (typeof told.message === 'string') show('in', told.message, told.data);
    else if (!Object.hasOwn(told, 'socket')) show('in', '(no event)', typeof data === 'string' ? data : 'bytes');
  };

  pocket.socket.on('socket', 'reconnect', (told) => {
    if (told.socket === socket) showState('lost', lost(told));
  });
  pocket.socket.on('socket', 'drop', (told) => {
    if (told.socket === socket) fail('Too much is waiting for the connection: that last event will not be sent.');
  });

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    join(field.value.trim());
    // The button that was pressed is gone.
    if (socket) signal.elements.data.focus();
  });
  leaveButton.addEventListener('click', () => {
    note('You left.');
    leave();
    field.focus();
  });
  signal.addEventListener('submit', (event) => {
    event.preventDefault();
    fail();
    const { channel, event: name, data } = signal.elements;
    const message = `${channel.value}.${name.value}`;
    let value = data.value;
    try {
      value = JSON.parse(data.value);
    } catch {
      // Text it is.
    }
    const size = lengthOf(JSON.stringify([message, value])) + 100;
    if (size > role.max_message) return fail(tooLong(size, role.max_message));
    const tell = show('out', message, value);
    if (!socket.connected) tell('waits for the connection');
    pocket.socket.signal(channel.value, name.value, value, socket).then(
      () => tell('the server has it'),
      ({ code }) => tell(`not confirmed (${code})`, true),
    );
  });

  showJoined();
  return {
    enter(name) {
      if (name !== undefined) join(name);
    },
  };
}
