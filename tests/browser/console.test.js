/** The console by hand: what a person does with it, in two tabs. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { NO_SERVER, jackfield } from '../js/support/jackfield.js';
import { launch, picture, visitor } from './support/browser.js';

const HOSTILE = '<img src=x onerror=alert(1)><script>alert(2)</script>';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 60_000 }, body);

let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch();
});
after(() => browser?.close());

/** Opens the console and waits until it knows its key. */
async function open(context, server, hash = '') {
  const page = await context.newPage();
  await page.goto(`${server.http}/console${hash}`);
  await page.locator('#pair .state[data-state=open]').waitFor();
  return page;
}

/** Two tabs that the link of the first one has paired. */
async function pairOfTabs(context, server) {
  const first = await open(context, server);
  const [second] = await Promise.all([context.waitForEvent('page'), first.getByRole('link', { name: 'Open a partner tab' }).click()]);
  await Promise.all([first, second].map((page) => page.getByRole('button', { name: 'Unpair' }).waitFor()));
  return [first, second];
}

const say = async (page, panel, text) => {
  await page.locator(`${panel} textarea`).fill(text);
  await page.locator(`${panel} textarea`).press('Enter');
};

const entry = (page, panel, direction, text) => page.locator(`${panel} .entry.${direction} .text`, { hasText: text });

real('two tabs pair by a link and relay both ways', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = await pairOfTabs(context, server);
  const [firstKey, secondKey] = await Promise.all([first, second].map((page) => page.locator('.key').textContent()));
  assert.match(firstKey, /^[0-9a-f]{8,32}$/);
  assert.notEqual(firstKey, secondKey);
  assert.equal(await first.getByLabel('Partner’s key').inputValue(), secondKey);
  assert.equal(await second.getByLabel('Partner’s key').inputValue(), firstKey);
  assert.equal(new URL(second.url()).hash, '', 'a reload does not look for a partner that is gone');

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
  await picture(first, 'paired');
  await picture(second, 'paired-error');

  await second.getByRole('button', { name: 'Unpair' }).click();
  await first.getByText(`${secondKey} is no longer paired with you.`).waitFor();
  assert.ok(await first.locator('#pair textarea').isDisabled());
});

real('hostile text is shown as text', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = await pairOfTabs(context, server);
  await say(first, '#pair', HOSTILE);
  await entry(second, '#pair', 'in', HOSTILE).waitFor();
  for (const page of [first, second]) {
    await page.goto(`${server.http}/console#name=demo`);
    await page.reload();
    await page.locator('#name .state[data-state=open]').waitFor();
  }
  await first.getByText('1 other is here.').waitFor();
  await say(second, '#name', HOSTILE);
  await entry(first, '#name', 'in', HOSTILE).waitFor();
  for (const page of [first, second]) {
    assert.equal(await page.locator('.log img, .log script').count(), 0);
  }
});

real('tabs share a name: text, files, and who is there', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second, elsewhere] = await Promise.all([
    open(context, server, '#name=Shared.name+1'),
    open(context, server, '#name=Shared.name+1'),
    open(context, server, '#name=Shared.name+1&kind=broadcast'),
  ]);
  await elsewhere.getByText('No others are here.').waitFor();
  await Promise.all([first, second].map((page) => page.getByText('1 other is here.').waitFor()));
  await say(first, '#name', 'two\nlines');
  await entry(second, '#name', 'in', 'two\nlines').waitFor();
  const bytes = randomBytes(1000);
  await second.locator('#name input[type=file]').setInputFiles({ name: 'x', mimeType: 'application/octet-stream', buffer: bytes });
  await first.locator('#name .entry.in.bytes', { hasText: '1,000 bytes' }).waitFor();
  await picture(first, 'name');
  await second.getByRole('button', { name: 'Leave' }).click();
  await first.getByText('No others are here.').waitFor();
  assert.equal(await elsewhere.locator('#name .entry:not(.note)').count(), 0);

  await second.getByRole('textbox', { name: 'Name' }).fill('no/slashes');
  await second.getByRole('button', { name: 'Join' }).click();
  await second.getByRole('alert').filter({ hasText: '1 to 255' }).waitFor();
});

real('errors are said in words', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const page = await open(context, server);
  const own = await page.locator('.key').textContent();
  for (const [key, words] of [['0'.repeat(own.length), 'Nobody on this server'], [own, 'your own key']]) {
    await page.getByLabel('Partner’s key').fill(key);
    await page.getByRole('button', { name: 'Pair', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
  await picture(page, 'wrong-key');
});

real('a server that goes away and comes back is noticed and found again', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { expected: (text) => /WebSocket|ERR_CONNECTION_REFUSED/.test(text) });
  const [first, second] = await pairOfTabs(context, server);
  const before = await first.locator('.key').textContent();
  await first.goto(`${first.url()}#name=demo`);
  await first.locator('#name .state[data-state=open]').waitFor();
  await server.stop('SIGTERM');
  await first.locator('#pair .state[data-state=lost]', { hasText: 'next try in' }).waitFor();
  await first.locator('#name .state[data-state=lost]').waitFor();
  await picture(first, 'lost');
  await say(first, '#name', 'waits for the connection');

  const again = await jackfield(t, { port: server.port });
  const listener = await open(context, again, '#name=demo');
  await first.locator('#pair .state[data-state=open]').waitFor();
  await first.getByText(/^Connected again\. Your key is now/).waitFor();
  assert.notEqual(await first.locator('.key').textContent(), before);
  assert.ok(await first.locator('#pair textarea').isDisabled(), 'the pair is gone');
  await second.locator('#pair .state[data-state=open]').waitFor();
  await first.getByText('1 other is here.').waitFor();
  await say(first, '#name', 'back');
  await entry(listener, '#name', 'in', 'back').waitFor();
});

real('everything can be done from the keyboard', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const [first, second] = [await open(context, server), await open(context, server)];
  const key = await second.locator('.key').textContent();
  await first.bringToFront();
  const focused = () => first.evaluate(() => {
    const { className, name, type, textContent } = document.activeElement;
    return `${className} ${name} ${type} ${textContent.trim()}`;
  });
  /** Presses Tab until the focus is on what `wanted` describes. */
  const tabTo = async (wanted) => {
    for (let i = 0; i < 30; i += 1) {
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
  await tabTo(/file/);
  await tabTo(/name-field/);
  await first.keyboard.press('Enter');
  await first.locator('#name .state[data-state=open]').waitFor();
});

for (const [name, options] of Object.entries({
  phone: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  light: { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
})) {
  real(`pages fit the window: ${name}`, async (t) => {
    const server = await jackfield(t);
    const context = await visitor(t, browser, options);
    const page = await open(context, server, '#name=demo');
    await page.locator('#name .state[data-state=open]').waitFor();
    await say(page, '#name', 'x'.repeat(500));
    for (const path of ['/console', '/']) {
      if (path === '/') await page.goto(`${server.http}/`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${path} is ${overflow} px too wide`);
      await picture(page, `${name}${path === '/' ? '-here' : ''}`);
    }
  });
}

real('the first page leads to what it names', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const page = await context.newPage();
  await page.goto(server.http);
  const links = await page.locator('a').evaluateAll((all) => all.map((link) => link.href));
  assert.ok(links.length >= 6);
  for (const link of [...links, `${server.http}/favicon.ico`]) {
    const response = await context.request.get(link);
    assert.equal(response.status(), 200, link);
  }
  await page.getByRole('link', { name: 'the console' }).click();
  await page.locator('#pair .state[data-state=open]').waitFor();
});
