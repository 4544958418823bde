/** The console without a mouse, without a screen, without motion: what is reached, what is told, what keeps still. */
import assert from 'node:assert/strict';
import { guarded, jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { echoServer, enter, entry, open } from './support/rooms.js';
import { DESKTOP, PHONE } from './support/windows.js';
import { browser, real } from './support/suite.js';

/** What a keyboard can do: presses Tab until the focus is on what `selector` finds. */
async function tabTo(page, selector) {
  for (let i = 0; i < 80; i += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`Tab never reaches ${selector}`);
}

/** Selects all that a field has, and types instead. */
async function type(page, text) {
  await page.keyboard.press('Control+A');
  await page.keyboard.type(text);
}

real('keyboard: a channel is joined, an event signalled, and the room left', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const listener = await open(context, server, '#channels=typed');
  const page = await enter(context, server, '#channels');
  await tabTo(page, '.room-field');
  await type(page, 'typed');
  await page.keyboard.press('Enter');
  await page.locator('#channels .state[data-state=open]').waitFor();
  await tabTo(page, '[name=event]');
  await type(page, 'tock');
  await tabTo(page, '[name=data]');
  await type(page, '{"by": "keyboard"}');
  await page.keyboard.press('Enter');
  await entry(listener, '#channels', 'in', 'clock.tock').filter({ hasText: 'keyboard' }).waitFor();
  await tabTo(page, '#channels .leave-button');
  await page.keyboard.press('Enter');
  await page.locator('#channels .state[data-state=closed]').waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.matches('.room-field')), 'the focus is not lost with the button');
});

real('keyboard: a device is made, paired from the list, and talked to', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const door = await open(context, server, '#devices=door');
  const page = await enter(context, server, '#devices');
  await tabTo(page, '.own-id');
  await type(page, 'typed');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Pair with door' }).waitFor();
  await tabTo(page, '.center td button');
  await page.keyboard.press('Enter');
  await door.getByText('Paired with typed.').waitFor();
  await page.getByText('Paired with door.').waitFor();
  await tabTo(page, '#devices textarea');
  await page.keyboard.type('ring');
  await page.keyboard.press('Enter');
  await entry(door, '#devices', 'in', 'ring').waitFor();
  await tabTo(page, '#devices .unpair-button');
  await page.keyboard.press('Space');
  await door.getByText('typed is no longer paired with this device.').waitFor();
});

real('keyboard: a line goes to a TCP server, and what came is read by scrolling', async (t) => {
  const target = await echoServer(t);
  const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
  const page = await enter(await visitor(t, browser), server, '#tcp');
  await tabTo(page, '.target');
  await page.keyboard.type(target.address);
  await page.keyboard.press('Enter');
  await page.locator('#tcp .state[data-state=open]').waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.name === 'line'), 'who has connected goes on by typing');
  await page.keyboard.type('PING');
  await page.keyboard.press('Enter');
  await page.locator('.received', { hasText: 'PING' }).waitFor();
  await tabTo(page, '.terminal');
  await tabTo(page, '[name=ending]');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.locator('[name=ending]').inputValue(), 'lf');
  await tabTo(page, '.close-button');
  await page.keyboard.press('Enter');
  await page.locator('#tcp .state[data-state=closed]').waitFor();
});

real('keyboard: a client is closed in Live, and the focus stays in the table', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const member = await open(context, server, '#name=demo');
  const page = await open(context, server, '#live');
  await page.getByRole('row', { name: /\/local\/demo/ }).waitFor();
  await page.locator('tr', { hasText: '/local/demo' }).evaluate((row) => (row.id = 'wanted'));
  await tabTo(page, '#wanted button');
  await page.keyboard.press('Enter');
  await member.locator('#name .state:not([data-state=open])').waitFor();
  await page.locator('#wanted', { hasText: 'gone' }).waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.matches('#wanted button')));
});

for (const [kind, options] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  real(`${kind}: what has the focus can be seen, all the way through every room`, async (t) => {
    const server = await jackfield(t);
    const context = await visitor(t, browser, options);
    await open(context, server, '#devices=door');
    const pages = ['#pair', '#name=demo', '#channels=demo', '#devices=kitchen', '#live'].map((hash) => open(context, server, hash));
    for (const page of await Promise.all(pages)) {
      await page.bringToFront();
      const wanted = await page.evaluate(() => {
        const controls = 'a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, [tabindex="0"]';
        const all = [...document.querySelectorAll(controls)].filter((node) => node.checkVisibility() && !node.matches(':disabled'));
        // Of the forms of a message only the one that is chosen takes the focus.
        return all.filter((node) => node.type !== 'radio' || node.checked).length;
      });
      const reached = new Set();
      for (let i = 0; i < wanted + 5; i += 1) {
        await page.keyboard.press('Tab');
        const seen = await page.evaluate(() => {
          const node = document.activeElement;
          if (node === document.body) return undefined;
          const box = node.getBoundingClientRect();
          const shown = node.matches('[type=file], [type=radio]') ? node.closest('label') : node;
          const ring = [shown, node.nextElementSibling].some((each) => each && getComputedStyle(each).outlineStyle !== 'none');
          const [x, y] = [box.left + box.width / 2, box.top + Math.min(box.height, innerHeight) / 2];
          const over = document.elementFromPoint(x, y);
          const isCovered = !over || !(node.contains(over) || over.contains(node) || shown.contains(over));
          return { html: node.outerHTML.slice(0, 100), ring, isCovered, id: [...document.querySelectorAll('*')].indexOf(node) };
        });
        if (!seen) continue;
        assert.ok(seen.ring, `no ring: ${seen.html}`);
        assert.ok(!seen.isCovered, `covered: ${seen.html}`);
        reached.add(seen.html);
      }
      assert.ok(reached.size >= Math.min(wanted, 12), `${page.url()}: ${reached.size} of ${wanted}`);
    }
  });

  real(`${kind}: a screen reader finds landmarks, headings, logs, tables and their cells`, async (t) => {
    const target = await echoServer(t);
    const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
    const context = await visitor(t, browser, options);
    const expected = {
      '#pair': ['region Pair', 'StaticText connected', 'button Copy key', 'link Open a partner tab', 'textbox Partner’s key', 'image QR code of the link that pairs with this key'],
      '#name=demo': ['region Name', 'log Messages', 'textbox Message', 'button Leave', 'StaticText joined'],
      '#channels=demo': ['region Channels', 'log Events', 'textbox Event', 'button Signal', 'link Join from another tab'],
      '#devices=kitchen': ['region Devices', 'table ', 'columnheader Address', 'row ', 'cell ', 'StaticText 1 connected, 1 available'],
      [`#tcp=${target.address}`]: ['region TCP', 'log What was sent and received', 'combobox Ends with', 'textbox Line to send'],
      '#live': ['region Live', 'table Limits', 'meter ', 'table ', 'columnheader Does', 'cell ', 'image Messages', 'StaticText live'],
    };
    await open(context, server, '#name=there');
    for (const [hash, wanted] of Object.entries(expected)) {
      const page = await open(context, server, hash);
      if (hash === '#devices=kitchen') await page.getByText('1 connected, 1 available').waitFor();
      if (hash === '#live') await page.locator('.clients-panel td').first().waitFor();
      const devtools = await context.newCDPSession(page);
      const { nodes } = await devtools.send('Accessibility.getFullAXTree');
      const told = nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => `${role?.value} ${name?.value ?? ''}`);
      for (const each of ['banner ', 'main ', 'navigation Rooms', 'heading jackfield console', ...wanted]) {
        assert.ok(told.some((node) => node.startsWith(each)), `${kind} ${hash}: no "${each}" in\n${told.join('\n')}`);
      }
      const nameless = nodes.filter(({ ignored, role, name }) =>
        !ignored && ['button', 'link', 'textbox', 'combobox', 'meter', 'log', 'image', 'radio'].includes(role?.value) && !name?.value?.trim());
      assert.deepEqual(nameless.map(({ role }) => role.value), [], hash);
      await page.close();
    }
  });
}

real('a screen reader is told what changes, and not the same every second', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const live = await open(context, server, '#live');
  const devices = await open(context, server, '#devices=kitchen');
  await devices.getByText('1 connected, 1 available').waitFor();
  for (const [page, path] of [[live, '/api/live'], [devices, '/api/devices']]) {
    await page.bringToFront();
    const answer = () => page.waitForResponse((response) => response.url().endsWith(path));
    await answer();
    await page.evaluate(() => {
      window.changes = [];
      const note = (records) => records.forEach(({ target }) => window.changes.push((target.closest ?? (() => target.parentElement)).call(target, '*')?.outerHTML));
      for (const region of document.querySelectorAll('[role=status], [role=alert], [role=log], [aria-live]')) {
        new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
      }
    });
    for (let i = 0; i < 4; i += 1) await answer();
    assert.deepEqual(await page.evaluate(() => window.changes), [], path);
  }
  await open(context, server, '#devices=door');
  await devices.bringToFront();
  await devices.getByText('2 connected, 2 available').waitFor();
  assert.ok((await devices.evaluate(() => window.changes)).length > 0);
});

real('whoever wants no motion gets none', async (t) => {
  const expected = (text) => /WebSocket|ERR_CONNECTION_REFUSED/.test(text);
  const server = await jackfield(t);
  for (const [reducedMotion, moves] of [['reduce', false], ['no-preference', true]]) {
    const context = await visitor(t, browser, { reducedMotion, expected });
    // A connection that never comes about shows what moves while it is waited for.
    await context.addInitScript(() => {
      window.WebSocket = class extends EventTarget {
        send() {}
        close() {}
      };
    });
    const page = await enter(context, server, '#pair');
    const dot = () => page.evaluate(() => document.getAnimations().length);
    assert.equal((await dot()) > 0, moves, reducedMotion);
    const times = await page.evaluate(() => [...document.querySelectorAll('*')].map((node) => getComputedStyle(node).transitionDuration));
    assert.equal(times.some((time) => time !== '0s'), moves, reducedMotion);
  }
});

real('the form for a token is reached and sent by keyboard', async (t) => {
  const server = await guarded(t);
  const page = await enter(await visitor(t, browser), server, '#pair');
  await page.getByText('This server asks for a token.').waitFor();
  await tabTo(page, '[name=token]');
  await page.keyboard.type(server.token('--pair'));
  await page.keyboard.press('Enter');
  await page.locator('#pair .state[data-state=open]').waitFor();
});
