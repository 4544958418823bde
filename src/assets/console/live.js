/** The room "Live": what the server does, asked for once a second while somebody looks. Administrators only. */
import { Chart } from './chart.js';
import { ClientTable, channelName } from './clienttable.js';
import { compact, element, number, size, span, stateOf } from './dom.js';
import { askForToken, fields } from './token.js';

const EVERY_MS = 1000;

/** How fast a counter grew between two snapshots, per second; `undefined` where that cannot be said. */
function rate(before, now, name) {
  const seconds = before && (now.clock_ms - before.clock_ms) / 1000;
  const grown = before && now.counters[name] - before.counters[name];
  return seconds > 0 && grown >= 0 ? grown / seconds : undefined;
}

/** A power of two at or above so many bytes. */
const roundBytes = (bytes) => 2 ** Math.ceil(Math.log2(Math.max(bytes, 1024)));

/** A whole number of connections, for the top of a scale. */
const roundCount = (count) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(count, 10)));
  return Math.ceil(count / power) * power || power;
};

/** What the limits are on, for people; of others the option's own words are shown. */
const LIMITS = {
  '--max-connections': 'Connections',
  '--max-per-address': 'Connections from one address',
  '--max-memory': 'Memory',
  '--max-queue': 'Longest queue',
  '--max-bridges': 'Bridges',
  '--max-bridges-per-address': 'Bridges from one address',
  '--max-links': 'Links',
  '--max-proxies': 'Servers found on the network',
};

/** How a value of this option is written. */
function unitOf(option) {
  if (/memory|queue|max-message|max-head$|max-name/.test(option)) return size;
  if (/timeout|interval|idle/.test(option)) return (ms) => (ms < 1000 ? `${number(ms)} ms` : span(ms / 1000));
  return number;
}

/** The row of a limit, and what in it changes. */
function limitRow(option) {
  const row = element('tr');
  const name = LIMITS[option] ?? option.replace(/^--(max-)?/, '').replaceAll('-', ' ');
  const head = element('th', '', name);
  head.scope = 'row';
  const [bar, value, refused] = [element('meter'), element('td', 'number'), element('td', 'number refused')];
  const [barCell, optionCell] = [element('td', 'share'), element('td')];
  barCell.append(bar);
  optionCell.append(element('code', 'quiet', option));
  row.append(head, barCell, value, refused, optionCell);
  return { row, name, bar, value, refused };
}

export function liveRoom(room, { base, role }) {
  const find = (selector) => room.querySelector(selector);
  const showState = stateOf(room);
  if (!role.is_admin) {
    showState('closed', 'administrators only');
    find('.for-others').hidden = false;
    find('.show-token').addEventListener('click', () => {
      askForToken('A token that says “admin” opens this room.');
      document.querySelector('.token-form input').focus();
    });
    return undefined;
  }

  const [everything, charts, limits, error, about] =
    ['.everything', '.charts', '.limits tbody', '.clients-panel .error', '.about-server'].map(find);
  const perSecond = (value) => `${compact(value)}/s`;
  const messages = new Chart(charts, 'Messages', ['received', 'delivered'], perSecond);
  const traffic = new Chart(charts, 'Bytes', ['received', 'delivered'], (value) => `${size(value)}/s`, roundBytes);
  const people = new Chart(charts, 'Connections', ['open', 'paused'], compact, roundCount);
  const memory = new Chart(charts, 'Memory', ['resident', 'queued'], size, roundBytes);
  const clients = new ClientTable(find('.clients-panel'), { close: (...which) => close(...which), look: () => ask() });
  /** What each limit is shown with. */
  const shownLimits = new Map();
  let before;
  let timer;
  let isEntered = false;

  const fail = (text = '') => {
    error.textContent = text;
    error.hidden = !text;
  };

  const close = async (id, address) => {
    fail();
    try {
      const response = await fetch(`${base}/api/close?client=${encodeURIComponent(id)}`, {
        method: 'POST',
        headers: { 'X-Jackfield': '1', ...fields },
      });
      const { closed } = await response.json();
      if (!closed) fail(`${address} has gone already.`);
    } catch {
      fail(`The server does not answer: ${address} may still be there.`);
    }
    ask();
  };

  const showList = (name, items, total, write, nothing) => {
    const list = find(`.${name}-list`);
    list.previousElementSibling.querySelector('.count').textContent =
      total > items.length ? `${number(items.length)} of ${number(total)}` : number(total);
    const made = items.map((item) => {
      const row = element('li');
      const [about, ...what] = write(item);
      const who = element('span', 'who');
      who.append(...what);
      row.append(who, ...(about ? [element('span', 'quiet', about)] : []));
      return row;
    });
    list.replaceChildren(...(made.length ? made : [element('li', 'quiet', nothing)]));
  };

  /** The limits stay where they are and get new values, so that whoever reads them is not interrupted. */
  const showLimit = ({ option, used, limit, refused }) => {
    let shown = shownLimits.get(option);
    if (!shown) {
      shown = limitRow(option);
      limits.append(shown.row);
      shownLimits.set(option, shown);
    }
    const write = unitOf(option);
    const most = limit ? write(limit) : 'no limit';
    const text = used === undefined ? most : `${write(used)} of ${most}`;
    // What has no bound has no share of it either.
    shown.bar.hidden = used === undefined || !limit;
    Object.assign(shown.bar, { min: 0, max: limit || 1, high: limit * 0.8, optimum: 0, value: used ?? 0 });
    shown.bar.setAttribute('aria-label', `${shown.name}: ${text}`);
    shown.value.textContent = text;
    shown.refused.textContent = refused ? `refused ${number(refused)}` : '';
  };

  const show = (now, filter) => {
    const at = now.clock_ms / 1000;
    const { gauges } = now;
    everything.hidden = false;
    everything.classList.remove('is-stale');
    messages.add(at, [rate(before, now, 'messages_received'), rate(before, now, 'writes')]);
    traffic.add(at, [rate(before, now, 'received_bytes'), rate(before, now, 'sent_bytes')]);
    people.add(at, [gauges.connections, gauges.paused_connections]);
    memory.add(at, [now.resident_bytes, gauges.queued_bytes]);
    now.limits.forEach(showLimit);
    clients.show(now, filter);
    const names = new Map(now.clients.map((client) => [client.id, client.address]));
    const named = (text) => element('bdi', 'mono', text ?? 'somebody');
    const name = (id) => named(names.get(id) ?? id);
    const paired = ({ clients, devices }) => clients.map((id, i) => (devices?.[i] ? named(devices[i]) : name(id)));
    const members = (count) => `${number(count)} ${count === 1 ? 'member' : 'members'}`;
    const waiting = (bytes) => (bytes ? `, ${size(bytes)} waiting` : '');
    showList('channels', now.channels, gauges.channels, (channel) => [
      members(channel.members), element('bdi', 'mono', channelName(channel.name)),
    ], 'Nobody is on a name or in a room.');
    showList('pairs', now.pairs, gauges.pairs, (pair) => {
      const [one, other] = paired(pair);
      return [pair.protocol, one, ' and ', other];
    }, 'Nobody is paired.');
    showList('bridges', now.bridges, gauges.bridges + gauges.dials, (bridge) => [
      `${bridge.is_open ? span(bridge.since_s) : 'dialling'}${waiting(bridge.queued)}`,
      name(bridge.client), ' to ', element('bdi', 'mono', bridge.target),
    ], 'No client is connected to a TCP server.');
    showList('links', now.links, now.links.length, (link) => [
      `${link.state}, ${span(link.since_s)}${waiting(link.queued)}`,
      element('bdi', 'mono', channelName(link.channel)), ' with ', element('bdi', 'mono', link.peer),
    ], 'No other server is linked.');
    before = now;
    about.textContent = `Version ${now.version}, up ${span(now.uptime_s)}. Nothing is measured while nobody looks.`;
    showState(now.is_draining ? 'lost' : 'open', now.is_draining ? 'stopping' : 'live');
  };

  const ask = async () => {
    clearTimeout(timer);
    if (!isEntered || document.visibilityState === 'hidden') return;
    const { filter } = clients;
    try {
      const query = filter && `?q=${encodeURIComponent(filter)}`;
      const response = await fetch(`${base}/api/live${query}`, { headers: fields });
      if (!response.ok) throw new Error('refused');
      const told = await response.json();
      // Somebody who types has asked for others meanwhile.
      if (filter !== clients.filter) return;
      show(told, filter);
    } catch {
      before = undefined;
      everything.classList.add('is-stale');
      showState('lost', 'the server does not answer, tries again');
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
