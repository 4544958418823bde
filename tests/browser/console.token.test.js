/** The console of a server that asks for tokens: says so, takes one, shows it from every room, and forgets it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NO_SERVER, guarded } from '../js/support/jackfield.js';
import { launch, visitor } from './support/browser.js';
import { echoServer, enter, entry, open, pairOfTabs, say } from './support/rooms.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 60_000 }, body);

/** A name that leads to this machine, by which nobody is an administrator. */
const HOST = 'console.test';

let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch(`--host-resolver-rules=MAP ${HOST} 127.0.0.1`);
});
after(() => browser?.close());

/** Shows a token by the form that asks for it. */
async function show(page, token) {
  await page.getByText('This server asks for a token.').waitFor();
  await page.getByRole('textbox', { name: /^Token/ }).fill(token);
  await page.getByRole('button', { name: 'Use it' }).click();
}

real('every room works under a token that permits it, and not without', async (t) => {
  const target = await echoServer(t);
  const server = await guarded(t, '--bridge-allow', target.address);
  const token = server.token('--pair', '--publish', '*', '--subscribe', '*', '--device', '*', '--tcp', '*');
  const context = await visitor(t, browser);
  const without = await enter(context, server, '#pair');
  await without.getByText('This server asks for a token.').waitFor();
  await without.getByText('jackfield token make --key').waitFor();
  assert.ok(await without.locator('#pair .pair-button').isDisabled());
  await without.close();

  // The storage of a tab is its own: each shows the token itself, or inherits it from the tab that opened it.
  await context.addInitScript((value) => location.protocol === 'http:' && sessionStorage.setItem('jackfield token', value), token);
  const [first, second] = await pairOfTabs(context, server);
  await say(first, '#pair', 'hello');
  await entry(second, '#pair', 'in', 'hello').waitFor();
  for (const hash of ['#name=demo', '#channels=demo', '#devices=kitchen']) {
    const room = await open(context, server, hash);
    await room.getByText('Every room shows this tab’s token').waitFor();
    await room.close();
  }
  const tcp = await open(context, server, `#tcp=${target.address}`);
  await tcp.getByLabel('Line to send').fill('PING');
  await tcp.getByLabel('Line to send').press('Enter');
  await tcp.locator('.received', { hasText: 'PING' }).waitFor();
});

real('a token that is not accepted is said to be so, and another may be shown; it is forgotten on demand', async (t) => {
  const server = await guarded(t);
  const context = await visitor(t, browser);
  const page = await enter(context, server, '#pair');
  const good = server.token('--pair');
  await show(page, 'not a token!');
  assert.ok(await page.getByRole('textbox', { name: /^Token/ }).evaluate((field) => !field.validity.valid));
  await page.getByRole('textbox', { name: /^Token/ }).fill(`${good.slice(0, -8)}AAAAAAAA`);
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByText('the token is not accepted').first().waitFor();
  await page.getByRole('textbox', { name: /^Token/ }).fill(good);
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.locator('#pair .state[data-state=open]').waitFor();
  await page.reload();
  await page.locator('#pair .state[data-state=open]').waitFor();
  await page.getByRole('button', { name: 'Forget it' }).click();
  await page.getByText('This server asks for a token.').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

real('whoever is no administrator is told how to become one; a token opens Live', async (t) => {
  const server = await guarded(t, '--allow-host', HOST, '--anonymous', 'all');
  const named = { http: server.http.replace('127.0.0.1', HOST) };
  const context = await visitor(t, browser);
  const page = await enter(context, named, '#live');
  await page.getByText('Only administrators see what goes on here.').waitFor();
  assert.equal(await page.locator('.rooms [href="#live"]').isVisible(), false);
  assert.equal(await page.locator('.token-form').isVisible(), false, 'who may do everything without one is asked for nothing');
  await page.getByRole('button', { name: 'Use a token…' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'token');
  await page.keyboard.type(server.token('--admin', '--pair'));
  await page.keyboard.press('Enter');
  await page.locator('#live .state[data-state=open]').waitFor();
  await page.locator('.rooms [href="#live"]').waitFor();
  const victim = await open(context, named, '#name=victim');
  await page.bringToFront();
  const row = page.locator('.clients-panel tbody tr', { hasText: '/local/victim' });
  await row.getByRole('button').click();
  await victim.locator('#name .state').filter({ hasText: 'administrator' }).waitFor();
});
