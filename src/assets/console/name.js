/** The room "Name": membership in one name. */
import { BroadcastWebSocket, LocalWebSocket } from '../client/named.mjs';
import { Conversation } from './conversation.js';
import { cause, lengthOf, lost, over, stateOf } from './dom.js';
import { aboutToken, lacksToken, subprotocols } from './token.js';

export function nameRoom(panel, { server, role }) {
  const showState = stateOf(panel);
  const find = (selector) => panel.querySelector(selector);
  const [form, kind, field] = ['.name-form', '.kind', '.name-field'].map(find);
  const [presence, another] = ['.presence [role=status]', '.another'].map(find);
  const [joinButton, leaveButton] = ['.join-button', '.leave-button'].map(find);
  let socket;
  panel.classList.add('name-only');
  /** What says how each message went that has been written since the connection was lost. */
  const waiting = [];
  let isDropped = false;
  const send = (as, data) => {
    const tell = talk.message('out', as, data);
    isDropped = false;
    socket.send(data);
    if (isDropped) return tell('not sent');
    if (socket.readyState === LocalWebSocket.OPEN) return;
    tell('waits for the connection', false);
    waiting.push(tell);
  };
  const sizeOf = (as, data) => (as === 'bytes' ? data.length : lengthOf(data));
  const talk = new Conversation(panel, send, sizeOf, role.max_message);
  const settle = (how, isBad) => waiting.splice(0).forEach((tell) => tell(how, isBad));

  const show = () => {
    const isJoined = Boolean(socket);
    joinButton.hidden = kind.disabled = field.readOnly = isJoined;
    leaveButton.hidden = !isJoined;
    talk.isEnabled = isJoined;
    const others = socket?.peerCount ?? 0;
    const isOpen = socket?.readyState === LocalWebSocket.OPEN;
    const told = others === 1 ? '1 other is here.' : `${others || 'No'} others are here.`;
    presence.textContent = isOpen ? told : '';
    another.hidden = !isOpen;
  };

  const leave = () => {
    socket?.close();
    socket = undefined;
    settle('not sent');
    showState('closed', 'not joined');
    show();
  };

  const join = (name, reach = 'local') => {
    leave();
    talk.fail();
    field.value = name;
    kind.value = reach;
    another.href = `#name=${name}${reach === 'broadcast' ? '&kind=broadcast' : ''}`;
    const path = `/${reach}/${name}`;
    if (lacksToken(role)) return showState('closed', 'no token');
    let joined;
    /** Whether there is a connection, and whether there was one before. */
    let [isOpen, wasOpen] = [false, false];
    try {
      joined = new (reach === 'broadcast' ? BroadcastWebSocket : LocalWebSocket)(name, subprotocols, { server });
    } catch {
      return talk.fail('A name is 1 to 255 of these: letters without accents, digits, and . _ + = * -');
    }
    socket = joined;
    joined.binaryType = 'arraybuffer';
    showState('connecting', 'connecting…');
    // Events of a name that was left are nobody's any more.
    const on = (type, listener) => joined.addEventListener(type, (event) => {
      if (joined !== socket) return;
      listener(event);
      show();
    });
    on('open', () => {
      showState('open', 'joined');
      talk.note(`${wasOpen ? 'Connected again: back in' : 'Joined'} ${path}.`);
      isOpen = wasOpen = true;
      settle('sent', false);
    });
    on('lost', (event) => {
      showState('lost', lost(event));
      if (isOpen && cause(event)) talk.note(`The connection was lost: ${cause(event)}.`);
      isOpen = false;
    });
    on('close', (event) => {
      socket = undefined;
      settle('not sent');
      showState('closed', aboutToken(event.reason) ?? over(event));
      talk.note(`The server closed the connection for good${cause(event) && `: ${cause(event)}`}.`);
    });
    on('connect', () => {});
    on('disconnect', () => {});
    on('drop', ({ code }) => {
      isDropped = true;
      if (code === 'QUEUE_FULL') talk.fail('Too much is waiting for the connection: that last message will not be sent.');
    });
    on('message', ({ data }) => {
      if (typeof data === 'string') talk.message('in', 'text', data);
      else talk.message('in', 'bytes', new Uint8Array(data));
    });
    show();
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    join(field.value.trim(), kind.value);
    // The button that was pressed is gone.
    if (socket) talk.focus();
  });
  leaveButton.addEventListener('click', () => {
    talk.note('You left.');
    leave();
    field.focus();
  });
  show();
  return {
    enter(name, wishes) {
      if (name) join(name, wishes.get('kind') === 'broadcast' ? 'broadcast' : 'local');
    },
  };
}
