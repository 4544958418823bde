/** The room "Pair": one WebShare, its key as text and as a QR code, its partner. */
import { WebShare } from '../client/webshare.mjs';
import { Conversation } from './conversation.js';
import { copyText } from './copy.js';
import { cause, lengthOf, lost, over, stateOf } from './dom.js';
import { draw } from './qr.js';
import { aboutToken, token } from './token.js';

/** What the server's codes mean to the person in front of the page. */
const MEANING = {
  ALREADY_PAIRED: 'That client, or this one, is already paired.',
  CANNOT_SELF_PAIR: 'That is your own key. Enter the one of your partner.',
  CLOSED: 'The connection was lost before the answer came.',
  INVALID_KEY: 'That is not a key.',
  NOT_PAIRED: 'Nobody is paired with this client.',
  QUEUE_FULL: 'Too much is waiting for the connection already.',
  TARGET_NOT_FOUND: 'Nobody on this server has that key.',
};

const explain = ({ code, body }) => {
  if (code !== 'RATE_LIMITED') return MEANING[code] ?? code;
  const seconds = Math.ceil((body?.retry_after_ms ?? 1000) / 1000);
  return `Too many wrong keys came from your address. Try again in ${seconds} s.`;
};

/** A phone that reads the code cannot reach what only this machine can. */
const isLoopback = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** Why a phone cannot follow the code of a page that is only for this machine, and what helps. */
const forPhones = (isOnNetwork) => (isOnNetwork
  ? 'Opens on this machine only. For a phone, open this page at this machine’s address in the network.'
  : 'Opens on this machine only. For a phone, serve the network (--listen) and open this page under that address.');

/** The key in what somebody has typed or pasted: a link that pairs with it, or the key as it was read out. */
const keyIn = (text) => {
  const [, linked = text] = /#pair=([^&]*)/.exec(text) ?? [];
  return linked.replaceAll(/\s/g, '').toLowerCase();
};

export function pairRoom(panel, { server, role }) {
  const find = (selector) => panel.querySelector(selector);
  const showState = stateOf(panel);
  const [jack, key, copyKey, copyLink, link, figure] = ['.jack', '.key', '.copy-key', '.copy-link', '.open-partner', '.qr'].map(find);
  const [form, field] = ['.partner-form', '.partner-key'].map(find);
  const [pairButton, unpairButton, error, again] = ['.pair-button', '.unpair-button', '.partner-form .error', '.again'].map(find);
  /** Whether the link is to where other machines find this page, which the server tells those of its own machine. */
  const isElsewhere = isLoopback && role.network !== undefined;
  let shared = '';
  /** One WebShare through all its connections; another only after that is over for good. */
  let share;
  let isOver = false;
  const send = (as, data) => {
    const failed = talk.message('out', as, data);
    const sent = as === 'bytes' ? share.relayBinary(data) : share.relay(data);
    sent.catch((error) => failed(explain(error)));
  };
  // Around what is relayed there are the words of the protocol.
  const sizeOf = (as, data) => (as === 'bytes' ? data.length : lengthOf(JSON.stringify(data)) + 100);
  const talk = new Conversation(panel, send, sizeOf, role.max_message);

  /** What is wrong with pairing is said where that is done. */
  const fail = (text = '') => {
    error.textContent = text;
    error.hidden = !text;
  };
  /** A key is of no use while the server does not know it. */
  const showKey = (isKnown) => {
    jack.classList.toggle('is-lost', !isKnown);
    find('.own').inert = figure.inert = !isKnown;
    pairButton.disabled = copyKey.disabled = copyLink.disabled = !isKnown;
  };
  const showPair = () => {
    const isPaired = Boolean(share.pairedTo);
    jack.classList.toggle('is-paired', isPaired);
    field.readOnly = isPaired;
    if (isPaired) field.value = share.pairedTo;
    pairButton.hidden = isPaired;
    unpairButton.hidden = !isPaired;
    talk.isEnabled = isPaired;
    again.hidden = !isOver;
  };
  /** What ended a connection is gone from the state as soon as there is another. */
  const noteLoss = (event) => {
    const why = cause(event);
    if (why && !jack.classList.contains('is-lost')) talk.note(`The connection was lost: ${why}.`);
  };
  const pair = async (text) => {
    const target = keyIn(text);
    fail();
    field.value = target;
    try {
      await share.pair(target);
      return true;
    } catch (failure) {
      fail(explain(failure));
      return false;
    }
  };

  const connect = () => {
    isOver = false;
    again.hidden = true;
    showState('connecting', 'connecting…');
    share = new WebShare(`${server}/webshare`, { binary: true, token });
    share.addEventListener('key', ({ detail }) => {
      key.textContent = detail.key;
      link.href = `#pair=${encodeURIComponent(detail.key)}`;
      // This machine's own tabs stay where they are; others need an address that they reach.
      shared = isElsewhere ? role.network + link.hash : link.href;
      link.hidden = false;
      showKey(true);
      figure.hidden = !draw(figure.querySelector('svg'), shared);
      figure.querySelector('figcaption').textContent = isLoopback && !isElsewhere
        ? forPhones(role.is_on_network)
        : 'A camera opens this page, paired.';
      if (detail.previous) talk.note(`Connected again. Your key is now ${detail.key}; before it was ${detail.previous}.`);
      showState('open', 'connected');
    });
    share.addEventListener('lost', (event) => {
      showState('lost', lost(event));
      noteLoss(event);
      showKey(false);
      showPair();
    });
    share.addEventListener('close', (event) => {
      const told = aboutToken(event.reason);
      showState('closed', told ?? over(event));
      noteLoss(event);
      showKey(false);
      // Under the same token it would only be refused again.
      isOver = !told;
      showPair();
    });
    share.addEventListener('pair', ({ detail }) => {
      fail();
      talk.fail();
      talk.note(`Paired with ${detail.with}.`);
      showPair();
    });
    share.addEventListener('unpair', ({ detail }) => {
      talk.note(`${detail.with} is no longer paired with you.`);
      field.value = '';
      showPair();
    });
    share.addEventListener('relay', ({ detail }) => {
      talk.message('in', typeof detail === 'string' ? 'text' : 'json', detail);
    });
    share.addEventListener('binary', ({ detail }) => talk.message('in', 'bytes', detail));
    share.addEventListener('commanderror', ({ detail }) => {
      talk.fail(`The server refused: ${detail?.error ?? 'no reason given'}.`);
    });
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    // The button that was pressed is gone.
    pair(field.value).then((isPaired) => isPaired && talk.focus());
  });
  unpairButton.addEventListener('click', async () => {
    const partner = share.pairedTo;
    await share.unpair().then(() => talk.note(`You left ${partner}.`), (failure) => fail(explain(failure)));
    field.value = '';
    showPair();
    field.focus();
  });
  find('.again-button').addEventListener('click', () => {
    connect();
    field.focus();
  });
  copyKey.addEventListener('click', () => copyText(share.key, key, copyKey));
  copyLink.addEventListener('click', () => copyText(shared, key, copyLink));
  connect();

  return {
    async enter(target) {
      if (target && isOver) connect();
      if (!target || !(await pair(target))) return;
      // A key is good for one meeting: reloading the page must not look for a partner that is gone.
      if (location.hash.startsWith('#pair=')) history.replaceState(null, '', '#pair');
    },
  };
}
