/** The rooms of the console by hand: what a person does with them, in two tabs or in two browsers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { HOSTILE, echoServer, enter, entry, open, pairOfTabs, say } from './support/rooms.js';
import { browser, real } from './support/suite.js';

real('Pair: two tabs relay both ways, text, JSON and files', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = await pairOfTabs(context, server);
  const [firstKey, secondKey] = await Promise.all([first, second].map((page) => page.locator('.key').first().textContent()));
  assert.match(firstKey, /^[0-9a-f]{8,32}$/);
  assert.notEqual(firstKey, secondKey);
  assert.equal(await first.getByLabel('Partner’s key').inputValue(), secondKey);
  assert.equal(await second.getByLabel('Partner’s key').inputValue(), firstKey);
  assert.equal(new URL(second.url()).hash, '#pair', 'a reload does not look for a partner that is gone');

  await say(first, '#pair', 'from the first');
  await entry(second, '#pair', 'in', 'from the first').waitFor();
  await second.getByRole('radio', { name: 'JSON' }).check();
  await say(second, '#pair', '{"a": [1, null]}');
  await entry(first, '#pair', 'in', '{"a":[1,null]}').waitFor();
  await say(second, '#pair', '{oops');
  await second.getByRole('alert').filter({ hasText: 'not JSON' }).waitFor();
  const bytes = randomBytes(100_000);
  await first.locator('#pair input[type=file]').setInputFiles({ name: 'x', mimeType: 'application/octet-stream', buffer: bytes });
  await second.locator('#pair .entry.in.bytes', { hasText: '100,000 bytes' }).waitFor();
  const [download] = await Promise.all([second.waitForEvent('download'), second.getByRole('button', { name: 'Save' }).click()]);
  assert.equal(Buffer.compare(await readFile(await download.path()), bytes), 0);

  await second.getByRole('button', { name: 'Unpair' }).click();
  await first.getByText(`${secondKey} is no longer paired with you.`).waitFor();
  assert.ok(await first.locator('#pair textarea').isDisabled());
});

real('Pair: errors are said in words', async (t) => {
  const server = await jackfield(t);
  const page = await open(await visitor(t, browser), server);
  const own = await page.locator('.key').first().textContent();
  for (const [key, words] of [['0'.repeat(own.length), 'Nobody on this server'], [own, 'your own key']]) {
    await page.getByLabel('Partner’s key').fill(key);
    await page.getByRole('button', { name: 'Pair', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
});

real('Name: tabs and another browser share text, files, and who is there', async (t) => {
  const server = await jackfield(t);
  const [context, other] = [await visitor(t, browser), await visitor(t, browser)];
  const first = await enter(context, server, '#name');
  await first.getByRole('textbox', { name: 'Name' }).fill('Shared.name+1');
  await first.getByRole('button', { name: 'Join' }).click();
  await first.locator('#name .state[data-state=open]').waitFor();
  const [second] = await Promise.all([
    context.waitForEvent('page'),
    first.getByRole('link', { name: 'Join from another tab' }).click(),
  ]);
  await Promise.all([first, second].map((page) => page.getByText('1 other is here.').waitFor()));
  const elsewhere = await open(other, server, '#name=Shared.name+1&kind=broadcast');
  await elsewhere.getByText('No others are here.').waitFor();
  await say(first, '#name', 'two\nlines');
  await entry(second, '#name', 'in', 'two\nlines').waitFor();
  const bytes = randomBytes(1000);
  await second.locator('#name input[type=file]').setInputFiles({ name: 'x', mimeType: 'application/octet-stream', buffer: bytes });
  await first.locator('#name .entry.in.bytes', { hasText: '1,000 bytes' }).waitFor();
  await second.getByRole('button', { name: 'Leave' }).click();
  await first.getByText('No others are here.').waitFor();
  assert.equal(await elsewhere.locator('#name .entry:not(.note)').count(), 0);

  await second.getByRole('textbox', { name: 'Name' }).fill('no/slashes');
  await second.getByRole('button', { name: 'Join' }).click();
  await second.getByRole('alert').filter({ hasText: '1 to 255' }).waitFor();
});

real('Channels: an event reaches the other tab, and its sender is told that the server has it', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const first = await enter(context, server, '#channels');
  await first.getByRole('button', { name: 'Join' }).click();
  await first.locator('#channels .state[data-state=open]').waitFor();
  const [second] = await Promise.all([
    context.waitForEvent('page'),
    first.getByRole('link', { name: 'Join from another tab' }).click(),
  ]);
  await first.getByText('127.0.0.1 joined.').waitFor();
  await second.locator('#channels .state[data-state=open]').waitFor();
  const away = await open(context, server, '#channels=elsewhere');
  await second.getByLabel('Event', { exact: true }).fill('tock');
  await second.getByLabel('Data').fill(`{"now": [1, "${HOSTILE.replaceAll('"', '')}"]}`);
  await second.getByRole('button', { name: 'Signal' }).click();
  await second.locator('.entry.out', { hasText: 'the server has it' }).waitFor();
  await entry(first, '#channels', 'in', 'clock.tock').filter({ hasText: HOSTILE }).waitFor();
  assert.equal(await first.locator('.log img, .log script').count(), 0);
  assert.equal(await away.locator('.entry:not(.note)').count(), 0);
  await second.getByRole('button', { name: 'Leave' }).click();
  await first.getByText('127.0.0.1 left.').waitFor();
});

real('Devices: two tabs pair as devices, and the control center knows', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const first = await enter(context, server, '#devices');
  await first.getByLabel('This tab’s id').fill('kitchen');
  await first.getByRole('button', { name: 'Be a device' }).click();
  await first.locator('#devices .state[data-state=open]').waitFor();
  const [second] = await Promise.all([
    context.waitForEvent('page'),
    first.getByRole('link', { name: 'Open a second device' }).click(),
  ]);
  await Promise.all([first, second].map((page) => page.locator('#devices .unpair-button').waitFor()));
  await say(second, '#devices', 'ring');
  await entry(first, '#devices', 'in', 'ring').waitFor();
  await first.locator('#devices input[type=file]').setInputFiles({ name: 'x', mimeType: 'application/octet-stream', buffer: randomBytes(1000) });
  await second.locator('#devices .entry.in.bytes', { hasText: '1,000 bytes' }).waitFor();

  const third = await open(context, server, `#devices=${encodeURIComponent('<b>door</b>')}`);
  const row = (id) => first.locator('.center tbody tr').filter({ has: first.locator('td:first-child').getByText(id, { exact: true }) });
  await row('kitchen').filter({ hasText: 'paired' }).filter({ hasText: 'websocket' }).waitFor();
  await row('<b>door</b>').filter({ hasText: 'available' }).waitFor();
  await first.getByText('3 connected, 1 available').waitFor();
  assert.equal(await first.locator('.center b').count(), 0);

  await first.locator('#devices .unpair-button').click();
  await second.getByText('kitchen is no longer paired with this device.').waitFor();
  await first.getByRole('button', { name: 'Pair with <b>door</b>' }).click();
  await third.getByText('Paired with kitchen.').waitFor();
  await first.getByLabel('Partner’s id').waitFor();
  await second.getByLabel('Partner’s id').fill('nobody');
  await second.locator('#devices .pair-button').click();
  await second.getByRole('alert').filter({ hasText: 'No device of that id' }).waitFor();
  await third.getByRole('button', { name: 'Leave' }).click();
  await first.getByText('2 connected, 2 available').waitFor();
});

real('TCP: a line goes to an allowed target and its answer comes back; what is not allowed is said', async (t) => {
  const target = await echoServer(t);
  const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
  const page = await enter(await visitor(t, browser), server, '#tcp');
  assert.equal(await page.locator('.no-targets').isVisible(), false);
  const connect = async (text) => {
    await page.getByLabel('Host and port').fill(text);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
  };
  for (const [text, words] of [['redis', 'Write HOST:PORT'], ['127.0.0.1:1', 'does not allow this target']]) {
    await connect(text);
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
  await connect(target.address);
  await page.locator('#tcp .state[data-state=open]').waitFor();
  await page.getByLabel('Line to send').fill(HOSTILE);
  await page.getByLabel('Line to send').press('Enter');
  await page.locator('.terminal .received', { hasText: HOSTILE }).waitFor();
  assert.equal(await page.locator('.terminal img, .terminal script').count(), 0);
  target.end();
  await page.getByText('the other side closed the connection').waitFor();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.locator('#tcp .state[data-state=open]').waitFor();
  await page.getByRole('button', { name: 'Disconnect' }).click();
  await page.locator('#tcp .state[data-state=closed]').waitFor();
});

real('TCP: a server without targets says how to allow one', async (t) => {
  const server = await jackfield(t);
  const page = await enter(await visitor(t, browser), server, '#tcp');
  await page.getByText('--bridge-allow HOST:PORT').waitFor();
});

real('hostile text is shown as text', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = await pairOfTabs(context, server);
  await say(first, '#pair', HOSTILE);
  await entry(second, '#pair', 'in', HOSTILE).waitFor();
  const [member, other] = [await open(context, server, '#name=demo'), await open(context, server, '#name=demo')];
  await member.getByText('1 other is here.').waitFor();
  await say(other, '#name', HOSTILE);
  await entry(member, '#name', 'in', HOSTILE).waitFor();
  for (const page of [second, member]) {
    assert.equal(await page.locator('.room img, .room script').count(), 0);
    assert.equal(await page.locator('.text').first().evaluate((node) => getComputedStyle(node).unicodeBidi), 'isolate');
  }
  const room = await enter(context, server, `#channels=${encodeURIComponent('<img src=x>')}`);
  await room.getByRole('alert').filter({ hasText: 'A room is at most 255 of these' }).waitFor();
});

real('a server that goes away and comes back is noticed and found again, in every room', async (t) => {
  const target = await echoServer(t);
  const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
  const expected = (text) => /WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(text);
  const context = await visitor(t, browser, { expected });
  const [first, second] = await pairOfTabs(context, server);
  const before = await first.locator('.key').first().textContent();
  const name = await open(context, server, '#name=demo');
  const channels = await open(context, server, '#channels=demo');
  const device = await open(context, server, '#devices=kitchen');
  const live = await open(context, server, '#live');
  const tcp = await open(context, server, `#tcp=${target.address}`);
  await server.stop('SIGTERM');
  await tcp.locator('#tcp .state[data-state=closed]').waitFor();
  await tcp.getByText(/the connection broke|the other side closed/).waitFor();
  await first.locator('#pair .state[data-state=lost]', { hasText: 'next try in' }).waitFor();
  await Promise.all([name, channels, device, live].map((page) => page.locator('.room:visible .state[data-state=lost]').waitFor()));
  assert.ok(await first.locator('.own').evaluate((own) => own.inert), 'a key that the server has forgotten is not given away');
  await say(name, '#name', 'waits for the connection');

  const again = await jackfield(t, { port: server.port, args: ['--bridge-allow', target.address] });
  const listener = await open(context, again, '#name=demo');
  await Promise.all([first, second, name, channels, device, live].map((page) => page.locator('.room:visible .state[data-state=open]').waitFor()));
  await first.getByText(/^Connected again\. Your key is now/).waitFor();
  assert.notEqual(await first.locator('.key').first().textContent(), before);
  assert.ok(await first.locator('#pair textarea').isDisabled(), 'the pair is gone');
  await tcp.getByRole('button', { name: 'Connect', exact: true }).click();
  await tcp.locator('#tcp .state[data-state=open]').waitFor();
  await name.getByText('1 other is here.').waitFor();
  await say(name, '#name', 'back');
  await entry(listener, '#name', 'in', 'back').waitFor();
});

real('everything can be done from the keyboard', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = [await open(context, server), await open(context, server)];
  const key = await second.locator('.key').first().textContent();
  await first.bringToFront();
  const focused = () => first.evaluate(() => {
    const { className, name, type, textContent, hash } = document.activeElement;
    return `${hash ?? ''} ${className} ${name} ${type} ${textContent.trim()}`;
  });
  /** Presses Tab until the focus is on what `wanted` describes. */
  const tabTo = async (wanted) => {
    for (let i = 0; i < 40; i += 1) {
      await first.keyboard.press('Tab');
      if (wanted.test(await focused())) return;
    }
    assert.fail(`Tab never reaches ${wanted}`);
  };
  await tabTo(/partner-key/);
  await first.keyboard.type(key);
  await first.keyboard.press('Enter');
  await second.getByRole('button', { name: 'Unpair' }).waitFor();
  await tabTo(/ text textarea/);
  await first.keyboard.type('typed');
  await first.keyboard.press('Shift+Enter');
  await first.keyboard.type('only');
  await first.keyboard.press('Enter');
  await entry(second, '#pair', 'in', 'typed\nonly').waitFor();
  await tabTo(/ form radio/);
  await first.keyboard.press('ArrowRight');
  assert.equal(await first.locator('#pair input[value=json]').isChecked(), true);
  await tabTo(/^#name /);
  await first.keyboard.press('Enter');
  await first.locator('#name').waitFor();
  assert.equal(await first.evaluate(() => document.activeElement.textContent), 'Name', 'the focus goes along');
  await tabTo(/name-field/);
  await first.keyboard.press('Enter');
  await first.locator('#name .state[data-state=open]').waitFor();
  // The pair is still there when its room is entered again.
  await first.goBack();
  await first.getByRole('button', { name: 'Unpair' }).waitFor();
});

real('rooms of protocols that are switched off are not offered', async (t) => {
  const server = await jackfield(t, { args: ['--without', 'webshare', '--without', 'p2p'] });
  const context = await visitor(t, browser);
  const page = await enter(context, server, '#devices');
  await page.locator('#name').waitFor();
  const offered = await page.locator('.rooms a:visible').allTextContents();
  assert.deepEqual(offered.map((text) => text.trim()), ['Name', 'Channels', 'TCP', 'Live']);
});
