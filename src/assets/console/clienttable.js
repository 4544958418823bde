/**
 * The table of clients in the room "Live": a row for each, which stays with it while it is looked at, and a field to find
 * those that are not among the first.
 */
import { element, number, size, span } from './dom.js';

/** What the server calls them, and what people do. */
const STATES = {
  open: 'open',
  paused: 'paused',
  dialing: 'dialling',
  polling: 'polling',
  linking: 'linking',
  'proxy header': 'says who it is',
  request: 'loads pages',
  closing: 'closing',
};

/** Where a client's address is from. */
const DERIVED = {
  socket: 'direct',
  'proxy-protocol': 'by PROXY header',
  forwarded: 'by forwarding field',
  proxy: 'a trusted proxy itself',
};

/** The cells of a row, by their headings on a phone. */
const CELLS = ['Address', 'Does', 'State', 'Here for', 'Received', 'Sent', 'Waiting', ''];

/** What the server looks for is at most so long, in bytes. */
const MAX_FILTER = 255;

/** A channel as its members know it. */
export const channelName = (name) => name.replace(/^pocket room /, 'room ').replace(/^room $/, 'the room without a name');

export class ClientTable {
  #panel;
  #field;
  #body;
  #toggle;
  #close;
  /** The rows that are shown, by their clients' ids. */
  #rows = new Map();
  #showsAll = false;
  /** What the rows were asked for with. */
  #shownFilter = '';

  /** `close(id, address)` is what the button of a row does; `look()` asks for clients at once, as others are meant now. */
  constructor(panel, { close, look }) {
    this.#panel = panel;
    this.#field = this.#makeField();
    this.#field.addEventListener('input', look);
    this.#body = panel.querySelector('tbody');
    this.#toggle = panel.querySelector('.plain-toggle');
    this.#close = close;
    this.#toggle.addEventListener('click', () => {
      this.#showsAll = !this.#showsAll;
      this.#toggle.setAttribute('aria-expanded', String(this.#showsAll));
      this.#showToggle();
    });
  }

  /** What is looked for: a text as the server takes it, empty for everybody. */
  get filter() {
    let text = this.#field.value.trim();
    while (new TextEncoder().encode(text).length > MAX_FILTER) text = [...text].slice(0, -1).join('');
    return text;
  }

  #makeField() {
    const label = element('label');
    const field = element('input');
    Object.assign(field, { type: 'search', name: 'filter', maxLength: MAX_FILTER, autocomplete: 'off', spellcheck: false });
    field.autocapitalize = 'none';
    field.placeholder = 'Address, protocol, channel, device or key';
    label.append(element('span', 'label', 'Find clients'), field);
    this.#panel.querySelector('header').after(label);
    return field;
  }

  /** Shows a snapshot of the server that was asked for with `filter`. */
  show({ clients, clients_found: found, bridges, links, gauges }, filter) {
    const names = new Map(clients.map((client) => [client.id, client.address]));
    const targets = new Map(bridges.map((bridge) => [bridge.client, bridge.target]));
    const hasBytes = clients.some((client) => client.received_bytes !== undefined);
    this.#panel.classList.toggle('has-bytes', hasBytes);
    for (const client of clients) {
      if (!this.#rows.has(client.id)) this.#rows.set(client.id, this.#rowOf(client));
      this.#fill(this.#rows.get(client.id), client, names, targets);
    }
    this.#place(clients, found > clients.length, filter !== this.#shownFilter);
    this.#shownFilter = filter;
    // What this server has dialled is no client of it.
    const dialled = links.filter(({ state }) => state === 'dialled').length;
    const total = gauges.connections - gauges.bridges - gauges.dials - dialled;
    const shown = total > clients.length ? `${number(clients.length)} of ${number(total)}` : number(total);
    this.#panel.querySelector('.count').textContent =
      filter && found > clients.length ? `${shown}, ${number(found)} match` : shown;
    this.#showToggle();
  }

  #rowOf({ id, address, derived }) {
    const row = element('tr', 'is-plain');
    const cells = CELLS.map((name) => {
      const cell = element('td');
      cell.dataset.name = name;
      row.append(cell);
      return cell;
    });
    const [who, does, state, since, received, sent, queue, act] = cells;
    who.className = 'address';
    does.className = 'wide';
    since.className = queue.className = 'number';
    received.className = sent.className = 'number io';
    act.className = 'act';
    who.append(element('bdi', 'mono', address), ' ', element('span', 'derived', DERIVED[derived] ?? derived));
    const button = element('button', 'small danger', 'Close');
    button.type = 'button';
    button.setAttribute('aria-label', `Close ${address}`);
    button.addEventListener('click', () => {
      // A button that is disabled would lose the focus.
      if (button.ariaDisabled === 'true') return;
      button.ariaDisabled = 'true';
      this.#close(id, address);
    });
    button.hidden = true;
    act.append(button);
    return { row, does, state, since, received, sent, queue, button };
  }

  #fill({ row, does, state, since, received, sent, queue, button }, client, names, targets) {
    // What has loaded a page may become a client, and one that polls is none between two polls.
    if (client.protocol) {
      row.classList.remove('is-plain');
      button.hidden = false;
    }
    const what = [element('span', '', client.protocol ?? 'http')];
    const name = client.channel === undefined ? client.device : channelName(client.channel);
    if (name !== undefined) what.push(' ', element('bdi', 'mono', name));
    const partner = client.partner_device ?? names.get(client.partner) ?? client.partner;
    if (partner !== undefined) what.push(' with ', element('bdi', 'mono', partner));
    if (targets.has(client.id)) what.push(' to ', element('bdi', 'mono', targets.get(client.id)));
    does.replaceChildren(...what);
    state.className = `plain-cell is-${client.state}`;
    state.textContent = STATES[client.state] ?? client.state;
    if (client.waits_for !== undefined) state.append(` until ${names.get(client.waits_for) ?? 'a target'} reads`);
    since.textContent = span(client.since_s);
    received.textContent = size(client.received_bytes ?? 0);
    sent.textContent = size(client.sent_bytes ?? 0);
    queue.textContent = client.queued ? size(client.queued) : '';
  }

  /**
   * Puts the rows in the server's order, but not while somebody points at them or has the focus there: then those that
   * are new come last, and those that have gone say so, and nothing moves away under a finger. `isPart` says
   * that there are more than `clients`, so that one of the others may be there still; `isOther` that others were asked for.
   */
  #place(clients, isPart, isOther) {
    const isHeld = !isOther && (this.#body.matches(':focus-within') || (matchMedia('(hover: hover)').matches && this.#body.matches(':hover')));
    const present = new Set(clients.map(({ id }) => id));
    for (const [id, { row, state, button }] of this.#rows) {
      if (present.has(id)) continue;
      if (isHeld) {
        state.className = 'plain-cell quiet';
        state.textContent = isPart ? 'no longer listed' : 'gone';
        if (!isPart) button.ariaDisabled = 'true';
        continue;
      }
      row.remove();
      this.#rows.delete(id);
    }
    const wanted = clients.map(({ id }) => this.#rows.get(id).row);
    if (isHeld) this.#body.append(...wanted.filter((row) => !row.parentElement));
    else if (wanted.some((row, i) => row !== this.#body.children[i])) this.#body.replaceChildren(...wanted);
  }

  /** Connections that only load pages are many and say little: they are folded away. */
  #showToggle() {
    const folded = [...this.#rows.values()].filter(({ row }) => row.classList.contains('is-plain'));
    for (const { row } of folded) row.hidden = !this.#showsAll;
    this.#toggle.hidden = !folded.length;
    const what = folded.length === 1 ? '1 connection that loads' : `${number(folded.length)} connections that load`;
    this.#toggle.textContent = `${this.#showsAll ? 'Hide' : 'Show'} ${what} pages`;
    const hasNone = folded.length === this.#rows.size && !this.#showsAll;
    this.#panel.querySelector('.table').hidden = hasNone;
  }
}
