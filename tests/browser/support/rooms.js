/** The console as people use it. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { atEnd } from '../../js/support/end.js';

/** Markup, and characters that turn the direction of what is beside them. */
export const HOSTILE = '<img src=x onerror=alert(1)><script>alert(2)</script>\u202e\u2066';

/** Options of a server that links its channels with those it is told of, and announces nothing. */
export const LINKED = ['--lan', 'on', '--lan-interface', 'none'];

/** Opens the console in a room of its own tab. */
export async function enter(context, server, hash) {
  const page = await context.newPage();
  await page.goto(`${server.http}/console${hash}`);
  await page.locator('.room:visible').waitFor();
  return page;
}

/** Opens the console in a room that connects by itself, and waits for it. */
export async function open(context, server, hash = '#pair') {
  const page = await enter(context, server, hash);
  await page.locator('.room:visible .state[data-state=open]').waitFor();
  return page;
}

/** Two tabs that the link of the first one has paired. */
export async function pairOfTabs(context, server) {
  const first = await open(context, server);
  const [second] = await Promise.all([
    context.waitForEvent('page'),
    first.getByRole('link', { name: 'Open a partner tab' }).click(),
  ]);
  await Promise.all([first, second].map((page) => page.getByRole('button', { name: 'Unpair' }).waitFor()));
  return [first, second];
}

/** Types a message and presses Enter. */
export async function say(page, room, text) {
  await page.locator(`${room} textarea`).fill(text);
  await page.locator(`${room} textarea`).press('Enter');
}

/** A message in a log. */
export const entry = (page, room, direction, text) =>
  page.locator(`${room} .entry.${direction} .text`, { hasText: text });

/** A TCP server that sends back what it gets; ends with the test. */
export async function echoServer(t) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return { address: `127.0.0.1:${server.address().port}`, end: () => sockets.forEach((socket) => socket.end()) };
}

/**
 * What everybody needs of a page, seen or heard: every control has a name and nothing is below the touch of a finger,
 * ids are unique, headings come in order, the page is in a language and fits its window.
 */
export async function expectAccessible(page, what) {
  const faults = await page.evaluate(() => {
    const isShown = (node) => node.checkVisibility({ visibilityProperty: true });
    const nameOf = (node) => {
      const labelled = (node.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id));
      const texts = [
        node.getAttribute('aria-label'),
        ...labelled.map((label) => label?.textContent),
        ...[...(node.labels ?? [])].map((label) => label.textContent),
        node.matches('input, select, textarea, meter') ? '' : node.textContent,
        node.getAttribute('alt'),
      ];
      return texts.find((text) => text?.trim()) ?? '';
    };
    const named = 'a[href], button, input, select, textarea, meter, [tabindex="0"], [role=img], [role=log], nav, main section';
    const faults = [];
    for (const node of [...document.querySelectorAll(named)].filter(isShown)) {
      if (!nameOf(node)) faults.push(`no name: ${node.outerHTML.slice(0, 120)}`);
    }
    for (const node of [...document.querySelectorAll('button, .button, select, input:not([type=radio], [type=file])')].filter(isShown)) {
      const { width, height } = node.getBoundingClientRect();
      if (width < 24 || height < 24) faults.push(`small (${width} x ${height}): ${node.outerHTML.slice(0, 120)}`);
    }
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => faults.push(`twice: #${id}`));
    let level = 0;
    for (const heading of [...document.querySelectorAll('h1, h2, h3, h4')].filter(isShown)) {
      const now = Number(heading.tagName[1]);
      if (now > level + 1) faults.push(`h${now} after h${level}: ${heading.textContent}`);
      level = now;
    }
    if (!document.documentElement.lang) faults.push('no language');
    if (!document.title) faults.push('no title');
    const overflow = document.documentElement.scrollWidth - innerWidth;
    if (overflow > 0) faults.push(`${overflow} px too wide`);
    return faults;
  });
  assert.deepEqual(faults, [], what);
}

/** The contrast of texts with what is behind them (WCAG 2.2, 1.4.3): those below 4.5. */
export async function expectContrast(page, what) {
  const faults = await page.evaluate(() => {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((each) => (each /= 255) <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = numbers(getComputedStyle(at).backgroundColor);
        if (colour[3] !== 0) return colour;
      }
      return [255, 255, 255];
    };
    const faults = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const node = text.parentElement;
      if (!text.data.trim() || !node.checkVisibility() || node.closest('template, noscript, svg, :disabled')) continue;
      const [a, b] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) faults.add(`${contrast.toFixed(2)}: ${node.className} ${text.data.trim().slice(0, 30)}`);
    }
    return [...faults];
  });
  assert.deepEqual(faults, [], what);
}
