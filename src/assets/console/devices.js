/** The room "Devices": this tab as a device with a partner, and for administrators the list of all devices. */
import { connectP2p } from '../client/p2p.mjs';
import { Conversation } from './conversation.js';
import { cause, element, lengthOf, number, over, span, stateOf } from './dom.js';
import { aboutToken, fields, token } from './token.js';

/** The event by which two consoles talk, which is always heard; another is when it is the one to send. */
const EVENT = 'message';

/** Events that the library and the server keep for themselves: their listeners are not ours to add. */
const RESERVED =
  /^(connect|connecting|connect_\w+|disconnect(ing)?|error|newListener|removeListener|reconnect.*|ping|pong|P2P_.*|SERVER_\w+|ADD_TARGET|TARGET_DISCONNECT|CREATE_STREAM.*|PEER_STREAM_DESTROYED|MULTI_API_.*|DEVICES_CHANGED)$/;

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
  const newId = () => `tab-${Math.random().toString(36).slice(2, 6)}`;
  own.value = newId();

  const eventField = find('.event-field');
  /** The event that is sent, and heard beside `message`. */
  let event = EVENT;
  const nameOf = (name) => (name === EVENT ? '' : name);

  /** Shows data as they came, under the name of their event. */
  const hear = (data, name) => {
    if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
      talk.message('in', 'bytes', new Uint8Array(data.buffer ?? data, data.byteOffset, data.byteLength), name);
    } else talk.message('in', typeof data === 'string' ? 'text' : 'json', data ?? null, name);
  };
  const send = (as, data) => {
    const tell = talk.message('out', as, data, nameOf(event));
    const asked = event;
    device.call2(asked, data).then(
      (answer) => answer === undefined || answer === null || hear(answer, `answer to ${asked}`),
      // A program may take an event and answer nothing.
      (error) => (error.code === 'TIMEOUT' ? tell('no answer', false) : tell(MEANING[error.code] ?? error.message)),
    );
  };
  // The attachments of an event count with it.
  const sizeOf = (as, data) =>
    lengthOf(JSON.stringify([event, partner, as === 'bytes' ? null : data])) + (as === 'bytes' ? data.length : 0) + 100;
  const talk = new Conversation(find('.talk'), send, sizeOf, role.max_message);
  const eventLine = find('.event-line');
  eventLine.hidden = false;
  find('.talk .file').after(eventLine);

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

  /** It is over for good, and why that is stays to be read. */
  const end = (why) => {
    leave();
    showState('closed', why);
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
    nameAnother();
    const joined = connectP2p(server, id, token ? { auth: { token } } : {});
    device = joined;
    /** The server has said that another one has the id. */
    let isTaken = false;
    showState('connecting', 'connecting…');
    const on = (event, listener) => joined.on(event, (...args) => joined === device && listener(...args));
    on('connect', () => {
      showState('open', 'connected');
      show();
      look();
    });
    on('connect_error', (error) => {
      const why = aboutToken(error.message);
      if (!joined.active) end(why ?? `refused: ${error.message}`);
      else showState('lost', why ?? (/^(transport|xhr|websocket)/.test(error.message) ? 'no connection, tries again' : `refused: ${error.message}`));
    });
    on('disconnect', (reason, detail) => {
      const why = cause(detail);
      if (!joined.active) {
        if (why) talk.note(`The connection is over: ${why}.`);
        return end(aboutToken(why) ?? (why ? over(detail) : isTaken ? 'over: the id is taken' : 'over: the server ended it'));
      }
      if (why) talk.note(`The connection was lost: ${why}.`);
      showState('lost', 'no connection, tries again');
      show();
    });
    on('error', (error) => talk.fail(error.message));
    on('SERVER_ERROR', (text) => {
      isTaken ||= /Duplicated (client|device)Id/.test(text);
      talk.fail(isTaken ? 'Another device has this id.' : String(text));
    });
    on('P2P_REGISTER_SUCCESS', (id) => setPartner(id ?? joined.targetClientId));
    on('P2P_DISCONNECT', () => setPartner(undefined));
    on('P2P_UNREGISTER', () => setPartner(undefined));
    on(EVENT, listenerOf(EVENT));
    listen();
    show();
    return joined;
  };

  const listenerOf = (name) => (...all) => {
    const ack = typeof all.at(-1) === 'function' ? all.pop() : undefined;
    hear(all.length > 1 ? all : all[0], nameOf(name));
    ack?.();
  };

  /** Hears the event that is to be sent, too, and no longer the one before. */
  let heard;
  const listen = () => {
    if (heard) heard.on.off(heard.name, heard.listener);
    heard = undefined;
    if (!device || event === EVENT || RESERVED.test(event)) return;
    heard = { on: device, name: event, listener: listenerOf(event) };
    device.on(event, heard.listener);
  };

  /** Another id each time, as the one before may be taken by then. */
  const nameAnother = () => {
    another.href = `#devices=${encodeURIComponent(newId())}&pair=${encodeURIComponent(own.value)}`;
  };

  const pair = async (id) => {
    const asking = device;
    talk.fail();
    target.value = id;
    try {
      await asking.registerP2pTarget(id);
      if (asking !== device) return false;
      setPartner(id);
      return true;
    } catch (error) {
      // Why it is no device any more has been said.
      if (asking === device) talk.fail(MEANING[error.code] ?? error.message);
      return false;
    }
  };

  /** As `pair`, for who has pressed a button, which is gone then. */
  const pairAndTalk = async (id) => {
    if (await pair(id)) talk.focus();
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
        button.addEventListener('click', () => pairAndTalk(each.id));
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
    const joined = join(own.value.trim());
    // The button that was pressed is gone.
    if (joined) target.focus();
  });
  // Before the browser follows it, by whichever button or key.
  for (const type of ['pointerdown', 'click']) another.addEventListener(type, nameAnother);
  eventField.addEventListener('change', () => {
    event = eventField.value.trim() || EVENT;
    eventField.value = event;
    listen();
  });
  leaveButton.addEventListener('click', () => {
    leave();
    own.focus();
  });
  pairForm.addEventListener('submit', (event) => {
    event.preventDefault();
    pairAndTalk(target.value.trim());
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
