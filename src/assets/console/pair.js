/** The panel "Pair": one WebShare, its key, its partner. */
import { WebShare } from '../client/webshare.mjs';
import { Conversation } from './conversation.js';

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

/** Starts the panel; `url` is the server's WebShare. Returns what pairs with a key as soon as that is possible. */
export function pairPanel(panel, url, showState) {
  const find = (selector) => panel.querySelector(selector);
  const [key, copy, link] = ['.key', '.copy', '.open-partner'].map(find);
  const [form, field] = ['.partner-form', '.partner-key'].map(find);
  const [pairButton, unpairButton] = ['.pair-button', '.unpair-button'].map(find);
  const share = new WebShare(url, { binary: true });
  const talk = new Conversation(panel, (as, data) => {
    const failed = talk.message('out', as, data);
    const sent = as === 'bytes' ? share.relayBinary(data) : share.relay(data);
    sent.catch((error) => failed(explain(error)));
  });

  const showPair = () => {
    const isPaired = Boolean(share.pairedTo);
    field.readOnly = isPaired;
    if (isPaired) field.value = share.pairedTo;
    pairButton.hidden = isPaired;
    unpairButton.hidden = !isPaired;
    talk.isEnabled = isPaired;
  };
  const pair = async (target) => {
    talk.fail();
    field.value = target;
    try {
      await share.pair(target);
      return true;
    } catch (error) {
      talk.fail(explain(error));
      return false;
    }
  };

  share.addEventListener('key', ({ detail }) => {
    key.textContent = detail.key;
    link.href = `#pair=${encodeURIComponent(detail.key)}`;
    link.hidden = copy.disabled = pairButton.disabled = false;
    if (detail.previous) talk.note(`Connected again. Your key is now ${detail.key}; before it was ${detail.previous}.`);
    showState('open', 'connected');
  });
  share.addEventListener('lost', (event) => {
    showState('lost', event);
    pairButton.disabled = true;
    showPair();
  });
  share.addEventListener('pair', ({ detail }) => {
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

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    pair(field.value.trim());
  });
  unpairButton.addEventListener('click', async () => {
    const partner = share.pairedTo;
    await share.unpair().then(() => talk.note(`You left ${partner}.`), (error) => talk.fail(explain(error)));
    field.value = '';
    showPair();
    field.focus();
  });
  copy.addEventListener('click', async () => {
    copy.textContent = (await copyText(share.key, key)) ? 'Copied' : 'Selected: copy it now';
    setTimeout(() => (copy.textContent = 'Copy'), 2000);
  });
  return pair;
}

/** Copies, or where the browser forbids it (a page without TLS), selects what is to be copied. */
async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(shown);
    return document.execCommand('copy');
  }
}
