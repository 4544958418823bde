/** The room "Live": what the server does, asked for once a second while somebody looks. Administrators only. */
import { Chart } from './chart.js';
import { compact, element, number, size, span, stateOf } from './dom.js';

const EVERY_MS = 1000;

/** What the server calls them, and what people do. */
const STATES = { open: 'open', paused: 'paused', dialing: 'dialling', polling: 'polling', request: 'request', closing: 'closing' };
const DERIVED = { socket: 'direct' };

/** A channel as its members know it. */
const channelName = (name) => name.replace(/^pocket room /, 'room ').replace(/^room $/, 'the room without a name');

/** How fast a counter grew between two snapshots, per second; `undefined` where that cannot be said. */
function rate(before, now, name) {
  const seconds = before && (now.clock_ms - before.clock_ms) / 1000;
  const grown = before && now.counters[name] - before.counters[name];
  return seconds > 0 && grown >= 0 ? grown / seconds : undefined;
}

export function liveRoom(room, { base }) {
  const find = (selector) => room.querySelector(selector);
  const showState = stateOf(room);
  const [charts, limits, clients, error] = ['.charts', '.limits dl', '.clients-panel tbody', '.error'].map(find);
  const perSecond = (value) => `${compact(value)}/s`;
  const messages = new Chart(charts, 'Messages', ['received', 'delivered'], perSecond);
  const traffic = new Chart(charts, 'Bytes', ['received', 'delivered'], (value) => `${size(value)}/s`);
  const people = new Chart(charts, 'Connections', ['open', 'paused'], compact);
  const memory = new Chart(charts, 'Memory', ['resident', 'queued'], size);
  /** The rows of clients that are shown, by their id. */
  const rows = new Map();
  let before;
  let timer;
  let isEntered = false;

  const fail = (text = '') => {
    error.textContent = text;
    error.hidden = !text;
  };

  const close = async (id, address, button) => {
    button.disabled = true;
    fail();
    try {
      const response = await fetch(`${base}/api/close?client=${encodeURIComponent(id)}`, {
        method: 'POST',
        headers: { 'X-Jackfield': '1' },
      });
      const { closed } = await response.json();
      if (!closed) fail(`${address} has gone already.`);
    } catch {
      fail(`The server does not answer: ${address} may still be there.`);
    }
    ask();
  };

  /** A row that stays with its client, so that a button does not move away under a finger or lose the focus. */
  const rowOf = (client) => {
    const row = element('tr');
    const [address, does, state, since, queue, act] = ['Address', 'Does', 'State', 'Here for', 'Queue', ''].map((name) => {
      const cell = element('td');
      cell.dataset.name = name;
      row.append(cell);
      return cell;
    });
    since.className = queue.className = 'number';
    act.className = 'act';
    address.append(element('bdi', 'mono', client.address));
    const derived = DERIVED[client.derived] ?? client.derived;
    address.append(element('span', 'quiet derived', derived));
    does.className = 'wide';
    const button = element('button', 'small danger', 'Close');
    button.type = 'button';
    button.setAttribute('aria-label', `Close ${client.address}`);
    button.addEventListener('click', () => close(client.id, client.address, button));
    if (client.protocol) act.append(button);
    return { row, does, state, since, queue };
  };

  const showClients = ({ clients: listed, gauges }) => {
    const names = new Map(listed.map((client) => [client.id, client.address]));
    for (const client of listed) {
      const known = rows.get(client.id) ?? rowOf(client);
      rows.set(client.id, known);
      known.does.replaceChildren(element('span', '', client.protocol ?? 'http'));
      if (client.channel !== undefined) known.does.append(' ', element('bdi', 'mono', channelName(client.channel)));
      if (client.partner) known.does.append(' with ', element('bdi', 'mono', names.get(client.partner) ?? client.partner));
      known.state.className = `is-${client.state}`;
      known.state.textContent = STATES[client.state] ?? client.state;
      if (client.waits_for) known.state.append(` until ${names.get(client.waits_for) ?? 'a target'} reads`);
      known.since.textContent = span(client.since_s);
      known.queue.textContent = size(client.queued);
    }
    for (const id of rows.keys()) if (!names.has(id)) rows.delete(id);
    const wanted = listed.map((client) => rows.get(client.id).row);
    const isSame = wanted.length === clients.children.length && wanted.every((row, i) => row === clients.children[i]);
    if (!isSame) clients.replaceChildren(...wanted);
    const total = gauges.connections - gauges.bridges - gauges.dials;
    find('.clients-panel .count').textContent =
      total > listed.length ? `${number(listed.length)} of ${number(total)}` : number(total);
  };

  const showList = (name, items, total, write, nothing) => {
    const list = find(`.${name}-list`);
    list.previousElementSibling.querySelector('.count').textContent =
      total > items.length ? `${number(items.length)} of ${number(total)}` : number(total);
    const made = items.map((item) => {
      const row = element('li');
      row.append(...write(item));
      return row;
    });
    list.replaceChildren(...(made.length ? made : [element('li', 'quiet', nothing)]));
  };

  const showLimits = (told) => {
    const made = told.flatMap(({ what, used, limit, option }) => {
      const write = what.includes('bytes') ? size : number;
      const bar = element('meter');
      Object.assign(bar, { min: 0, max: limit, high: limit * 0.8, optimum: 0, value: used });
      bar.setAttribute('aria-label', `${what}: ${write(used)} of ${write(limit)}`);
      const term = element('dt', '', what.replace(', bytes', ''));
      const description = element('dd');
      description.append(bar, element('span', '', `${write(used)} of ${write(limit)}`), element('code', 'quiet', option));
      return [term, description];
    });
    limits.replaceChildren(...made);
  };

  const show = (now) => {
    const at = now.clock_ms / 1000;
    const { gauges } = now;
    messages.add(at, [rate(before, now, 'messages_received'), rate(before, now, 'writes')]);
    traffic.add(at, [rate(before, now, 'received_bytes'), rate(before, now, 'sent_bytes')]);
    people.add(at, [gauges.connections, gauges.paused_connections]);
    memory.add(at, [now.resident_bytes, gauges.queued_bytes]);
    showLimits(now.limits);
    showClients(now);
    const names = new Map(now.clients.map((client) => [client.id, client.address]));
    const name = (id) => element('bdi', 'mono', names.get(id) ?? id);
    const members = (count) => `${number(count)} ${count === 1 ? 'member' : 'members'}`;
    showList('channels', now.channels, gauges.channels, (channel) => [
      element('bdi', 'mono', channelName(channel.name)),
      element('span', 'quiet', members(channel.members)),
    ], 'Nobody is on a name or in a room.');
    showList('pairs', now.pairs, gauges.pairs, ([one, other]) => [name(one), ' and ', name(other)], 'Nobody is paired.');
    showList('bridges', now.bridges, gauges.bridges, (bridge) => [
      name(bridge.client), ' to ', element('bdi', 'mono', bridge.target),
      element('span', 'quiet', `${bridge.is_open ? span(bridge.since_s) : 'dialling'}, ${size(bridge.queued)} wait`),
    ], 'No client is connected to a TCP server.');
    showList('links', now.links, now.links.length, (link) => [
      element('bdi', 'mono', channelName(link.channel)), ' with ', element('bdi', 'mono', link.peer),
      element('span', 'quiet', `${link.state}, ${span(link.since_s)}, ${size(link.queued)} wait`),
    ], 'No other server of the local network is linked.');
    before = now;
    showState('open', `version ${now.version}, up ${span(now.uptime_s)}`);
  };

  const ask = async () => {
    clearTimeout(timer);
    if (!isEntered || document.visibilityState === 'hidden') return;
    try {
      const response = await fetch(`${base}/api/live`);
      if (!response.ok) throw new Error('refused');
      show(await response.json());
    } catch {
      before = undefined;
      showState('lost', 'the server does not answer');
    }
    clearTimeout(timer);
    timer = setTimeout(ask, EVERY_MS);
  };

  document.addEventListener('visibilitychange', ask);
  return {
    enter() {
      isEntered = true;
      ask();
    },
    leave() {
      isEntered = false;
      clearTimeout(timer);
    },
  };
}
