/**
 * A log of messages with a composer below it: what the panels of the console share.
 *
 * Everything that came from outside becomes text through `textContent`, never markup.
 */

import { bytesOf, cut, element, follower, lengthOf, tooLong } from './dom.js';

/** What the log keeps: entries, and bytes that can still be saved. The oldest go first. */
const ENTRIES = 500;
const KEPT_BYTES = 64 * 1024 * 1024;

/** Characters of one message that are shown, and bytes of a binary one. */
const SHOWN_CHARACTERS = 16 * 1024;
const SHOWN_BYTES = 32;

/** Characters of an event's name that are shown. */
const SHOWN_NAME = 200;

export class Conversation {
  #entries = [];
  #keptBytes = 0;
  #panel;
  #log;
  #error;
  #controls;
  #text;
  #follow;
  #most;
  #sizeOf;

  /**
   * Appends itself to a panel. `send(form, data)` gets `text` and a string, `json` and a value, or `bytes` and a
   * `Uint8Array`; what it throws is shown. `sizeOf(form, data)` says how many bytes the server gets then: what is more
   * than `most` (--max-message), which would end the connection, is refused here.
   */
  constructor(panel, send, sizeOf, most) {
    const template = document.getElementById('conversation').content.cloneNode(true);
    this.#log = template.querySelector('.log');
    this.#error = template.querySelector('.error');
    this.#controls = template.querySelector('fieldset');
    const form = template.querySelector('form');
    const text = (this.#text = form.elements.text);
    this.#sizeOf = sizeOf;
    this.#most = most;
    const file = form.querySelector('input[type=file]');
    this.#panel = template.querySelector('.conversation');
    panel.append(template);

    this.#follow = follower(this.#log);
    text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (!text.value) return;
      this.#attempt(() => {
        const as = form.elements.form.value;
        const data = as === 'json' ? parse(text.value) : text.value;
        this.#expectFit(sizeOf(as, data));
        send(as, data);
        text.value = '';
      });
      text.focus();
    });
    file.addEventListener('change', async () => {
      const [chosen] = file.files;
      if (!chosen) return;
      // A file that is too long is not even read.
      if (!this.#attempt(() => this.#expectFit(chosen.size))) return file.value = '';
      const bytes = new Uint8Array(await chosen.arrayBuffer());
      file.value = '';
      this.#attempt(() => {
        this.#expectFit(this.#sizeOf('bytes', bytes));
        send('bytes', bytes);
      });
    });
  }

  /** Puts the cursor where a message is written. */
  focus() {
    this.#text.focus();
  }

  /** Whether there is anybody to send to. */
  set isEnabled(value) {
    this.#controls.disabled = !value;
    this.#showIdle();
  }

  /** A line of ours between the messages. */
  note(text) {
    this.#append(element('li', 'entry note', text), 0);
  }

  /** Shows what is wrong until it is right again (without a text: now). */
  fail(text = '') {
    this.#error.textContent = text;
    this.#error.hidden = !text;
  }

  /**
   * A message that came (`in`) or was sent (`out`), with a name where it has one. Returns what says how that went, which
   * may change; as failed, unless told otherwise.
   */
  message(direction, form, data, name = '') {
    const entry = element('li', `entry ${direction} ${form}`);
    const about = element('span', 'about');
    about.append(element('span', '', new Date().toLocaleTimeString()));
    let kept = 0;
    const body = element('span', 'text');
    if (name) body.append(element('b', 'event-name', cut(name, SHOWN_NAME)));
    entry.append(body);
    if (form === 'bytes') {
      kept = data.length;
      const hex = Array.from(data.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
      body.append(hex + (data.length > SHOWN_BYTES ? ' …' : ''));
      about.append(element('span', '', `binary, ${bytesOf(data.length)}`));
      const save = element('button', '', 'Save');
      save.type = 'button';
      save.addEventListener('click', () => saveAs('message.bin', data));
      about.append(save);
    } else {
      const text = form === 'json' ? JSON.stringify(data) : data;
      body.append(cut(text, SHOWN_CHARACTERS));
      const size = bytesOf(lengthOf(text));
      about.append(element('span', '', form === 'json' ? `JSON, ${size}` : size));
      if (text.length > SHOWN_CHARACTERS) about.append(element('span', '', 'shown in part'));
    }
    const outcome = element('span');
    entry.append(about);
    this.#append(entry, kept);
    return (how, isBad = true) => {
      entry.classList.toggle('failed', isBad);
      outcome.textContent = how;
      about.append(outcome);
    };
  }

  #attempt(action) {
    this.fail();
    try {
      action();
      return true;
    } catch (error) {
      this.fail(error.message);
      return false;
    }
  }

  #expectFit(size) {
    if (size > this.#most) throw new Error(tooLong(size, this.#most));
  }

  #append(node, kept) {
    this.#entries.push({ node, kept });
    this.#keptBytes += kept;
    this.#log.append(node);
    while (this.#entries.length > ENTRIES || (this.#keptBytes > KEPT_BYTES && this.#entries.length > 1)) {
      const oldest = this.#entries.shift();
      this.#keptBytes -= oldest.kept;
      oldest.node.remove();
    }
    this.#showIdle();
    this.#follow();
  }

  /** Nothing is shown of it before there is somebody to talk to. */
  #showIdle() {
    this.#panel.classList.toggle('is-idle', this.#controls.disabled && !this.#entries.length);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

function saveAs(name, bytes) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  // The download has its own reference by the next turn of the loop.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
