/** The room "Name": membership in one name. */
import { BroadcastWebSocket, LocalWebSocket } from '../client/named.mjs';
import { Conversation } from './conversation.js';
import { lost, over, stateOf } from './dom.js';
import { isAboutToken, subprotocols } from './token.js';

export function nameRoom(panel, { server }) {
  const showState = stateOf(panel);
  const find = (selector) => panel.querySelector(selector);
  const [form, kind, field] = ['.name-form', '.kind', '.name-field'].map(find);
  const [presence, another] = ['.presence [role=status]', '.another'].map(find);
  const [joinButton, leaveButton] = ['.join-button', '.leave-button'].map(find);
  let socket;
  panel.classList.add('name-only');
  const talk = new Conversation(panel, (as, data) => {
    socket.send(data);
    talk.message('out', as, data);
  });

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
    let joined;
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
      talk.note(`Joined ${path}.`);
    });
    on('lost', (event) => showState('lost', lost(event)));
    on('close', (event) => {
      socket = undefined;
      showState('closed', isAboutToken(event.reason) ? 'no token' : over(event));
      talk.note('The server closed the connection for good.');
    });
    on('connect', () => {});
    on('disconnect', () => {});
    on('drop', () => talk.fail('Too much is waiting for the connection: that last message will not be sent.'));
    on('message', ({ data }) => {
      if (typeof data === 'string') talk.message('in', 'text', data);
      else talk.message('in', 'bytes', new Uint8Array(data));
    });
    show();
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    join(field.value.trim(), kind.value);
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
