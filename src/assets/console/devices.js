/** The room "Devices": this tab as a device with a partner, and for administrators the list of all devices. */
import { connectP2p } from '../client/p2p.mjs';
import { Conversation } from './conversation.js';
import { element, number, span, stateOf } from './dom.js';
import { fields, isAboutToken, token } from './token.js';

/** The event by which two consoles talk; any other that comes is shown with its name. */
const EVENT = 'message';

const EVERY_MS = 1000;

/** What a failure means to the person in front of the page. */
const MEANING = {
  BUSY: 'This device has another partner.',
  LOST: 'The connection was lost before the answer came.',
  SELF: 'That is this device itself. Enter another one’s id.',
  TIMEOUT: 'That device does not answer.',
  UNAVAILABLE: 'No device of that id is here and free.',
};

const STATES = { available: 'available', held: 'waits for its id', paired: 'paired', nameless: 'without an id' };

export function devicesRoom(room, { base, server, role }) {
  const find = (selector) => room.querySelector(selector);
  const showState = stateOf(room);
  const [form, own, joinButton, leaveButton] = ['.device-form', '.own-id', '.join-button', '.leave-button'].map(find);
  const [pairForm, target, pairButton, unpairButton] = ['.target-form', '.target-id', '.pair-button', '.unpair-button'].map(find);
  const [another, center, list] = ['.another', '.center', '.center tbody'].map(find);
  let device;
  let partner;
  let timer;
  let isEntered = false;
  own.value = `tab-${Math.random().toString(36).slice(2, 6)}`;

  const talk = new Conversation(find('.talk'), (as, data) => {
    const failed = talk.message('out', as, data);
    device.call2(EVENT, data).catch((error) => failed(MEANING[error.code] ?? error.message));
  });

  const show = () => {
    const isDevice = Boolean(device);
    joinButton.hidden = own.readOnly = isDevice;
    leaveButton.hidden = pairForm.hidden = another.parentElement.hidden = !isDevice;
    pairButton.hidden = target.readOnly = Boolean(partner);
    unpairButton.hidden = !partner;
    pairButton.disabled = !device?.connected;
    talk.isEnabled = Boolean(partner);
    if (partner) target.value = partner;
  };

  const setPartner = (id) => {
    if (id === partner) return;
    if (id) talk.note(`Paired with ${id}.`);
    else {
      talk.note(`${partner} is no longer paired with this device.`);
      target.value = '';
    }
    partner = id;
    show();
    look();
  };

  const leave = () => {
    const left = device;
    device = undefined;
    left?.close();
    if (partner) setPartner(undefined);
    showState('closed', 'not a device yet');
    show();
  };

  const join = (id) => {
    leave();
    talk.fail();
    own.value = id;
    another.href = `#devices=${encodeURIComponent(`tab-${Math.random().toString(36).slice(2, 6)}`)}&pair=${encodeURIComponent(id)}`;
    const joined = connectP2p(server, id, token ? { auth: { token } } : {});
    device = joined;
    showState('connecting', 'connecting…');
    const on = (event, listener) => joined.on(event, (...args) => joined === device && listener(...args));
    on('connect', () => {
      showState('open', 'connected');
      show();
      look();
    });
    on('connect_error', (error) => {
      if (isAboutToken(error.message)) showState('lost', 'no token');
      else showState('lost', /^(transport|xhr|websocket)/.test(error.message) ? 'no connection, tries again' : `refused: ${error.message}`);
    });
    on('disconnect', (reason) => {
      showState('lost', 'no connection, tries again');
      if (/^io /.test(reason)) leave();
      show();
    });
    on('error', (error) => talk.fail(error.message));
    on('SERVER_ERROR', (text) => talk.fail(text));
    on('P2P_REGISTER_SUCCESS', (id) => setPartner(id ?? joined.targetClientId));
    on('P2P_DISCONNECT', () => setPartner(undefined));
    on('P2P_UNREGISTER', () => setPartner(undefined));
    on(EVENT, (data, ack) => {
      if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
        talk.message('in', 'bytes', new Uint8Array(data.buffer ?? data, data.byteOffset, data.byteLength));
      } else talk.message('in', typeof data === 'string' ? 'text' : 'json', data);
      if (typeof ack === 'function') ack();
    });
    show();
    return joined;
  };

  const pair = async (id) => {
    talk.fail();
    target.value = id;
    try {
      await device.registerP2pTarget(id);
      setPartner(id);
    } catch (error) {
      talk.fail(MEANING[error.code] ?? error.message);
    }
  };

  /** Says it once: a screen reader repeats whatever is written again. */
  const tell = (text) => {
    const told = center.querySelector('[role=status]');
    if (told.textContent !== text) told.textContent = text;
  };

  const showDevices = ({ devices }) => {
    const made = devices.map((each) => {
      const row = element('tr');
      const cell = (name, ...content) => {
        const made = element('td');
        made.dataset.name = name;
        made.append(...content);
        row.append(made);
        return made;
      };
      cell('Id', element('bdi', 'mono', each.id ?? '–')).className = 'wide';
      cell('State', STATES[each.state] ?? each.state).className = `plain-cell is-${each.state}`;
      cell('Partner', ...(each.partner === undefined || each.partner === null ? [] : [element('bdi', 'mono', each.partner)]));
      cell('Transport', each.transport).className = 'plain-cell';
      cell('Address', element('bdi', 'mono', each.address ?? '–')).className = 'address plain-cell';
      cell('Here for', span(Math.max(0, (Date.now() - each.since) / 1000))).className = 'number';
      const act = cell('');
      act.className = 'act';
      if (each.state === 'available' && device?.connected && !partner && each.id !== device.clientId) {
        const button = element('button', 'small', 'Pair');
        button.type = 'button';
        button.setAttribute('aria-label', `Pair with ${each.id}`);
        button.addEventListener('click', () => pair(each.id));
        act.append(button);
      }
      return row;
    });
    if (!made.length) {
      const cell = element('td', 'quiet', 'No device is connected.');
      cell.colSpan = 7;
      made.push(element('tr'));
      made[0].append(cell);
    }
    list.replaceChildren(...made);
    const free = devices.filter(({ state }) => state === 'available').length;
    tell(`${number(devices.length)} connected, ${number(free)} available`);
  };

  /** The list and what it depends on, as text: it is drawn anew only where that has changed, so that focus stays. */
  let drawn;
  const look = async () => {
    clearTimeout(timer);
    if (!role.is_admin || !isEntered || document.visibilityState === 'hidden') return;
    try {
      const told = await (await fetch(`${base}/api/devices`, { headers: fields })).json();
      center.classList.remove('is-stale');
      const minute = Math.floor(Date.now() / 10_000);
      const key = JSON.stringify([told, device?.clientId, device?.connected, partner, minute]);
      if (key !== drawn) showDevices(told);
      drawn = key;
    } catch {
      tell('the server does not answer');
      center.classList.add('is-stale');
      drawn = undefined;
    }
    clearTimeout(timer);
    timer = setTimeout(look, EVERY_MS);
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    join(own.value.trim());
  });
  leaveButton.addEventListener('click', () => {
    leave();
    own.focus();
  });
  pairForm.addEventListener('submit', (event) => {
    event.preventDefault();
    pair(target.value.trim());
  });
  unpairButton.addEventListener('click', async () => {
    await device.unregisterP2pTarget().catch(() => {});
    setPartner(undefined);
    target.focus();
  });
  document.addEventListener('visibilitychange', look);
  center.hidden = !role.is_admin;
  show();

  return {
    enter(id, wishes) {
      isEntered = true;
      look();
      if (!id || device?.clientId === id) return;
      const joined = join(id);
      const wanted = wishes.get('pair');
      if (wanted) joined.once('connect', () => pair(wanted));
    },
    leave() {
      isEntered = false;
      clearTimeout(timer);
    },
  };
}
