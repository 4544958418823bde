/** What administrators see of the console and others do not. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NO_SERVER, jackfield } from '../js/support/jackfield.js';
import { launch, visitor } from './support/browser.js';
import { page } from './support/site.js';
import { echoServer, entry, open, pairOfTabs, say } from './support/rooms.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 60_000 }, body);

let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch();
});
after(() => browser?.close());

real('Live: clients, pairs, channels and bridges are shown as they come and go, and a client is closed', async (t) => {
  const target = await echoServer(t);
  const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
  const context = await visitor(t, browser);
  const live = await open(context, server, '#live');
  await live.getByText('Nobody is paired.').waitFor();
  const [first] = await pairOfTabs(context, server);
  const member = await open(context, server, '#name=demo');
  const room = await open(context, server, '#channels=a.b');
  const bridged = await open(context, server, `#tcp=${target.address}`);
  await live.bringToFront();
  const rows = live.locator('.clients-panel tbody tr');
  await rows.filter({ hasText: 'named /local/demo' }).filter({ hasText: 'direct' }).filter({ hasText: 'open' }).waitFor();
  assert.equal(await rows.filter({ hasText: 'webshare with 127.0.0.1:' }).count(), 2);
  await live.locator('.channels-list li', { hasText: '/local/demo' }).filter({ hasText: '1 member' }).waitFor();
  await live.locator('.pairs-list li', { hasText: / and / }).waitFor();
  await live.locator('.bridges-list li', { hasText: target.address }).waitFor();
  await live.getByRole('meter', { name: /^connections: \d+ of / }).waitFor();
  for (let i = 0; i < 20; i += 1) await say(first, '#pair', `message ${i}`);
  await live.locator('.chart', { hasText: 'Messages' }).locator('.value', { hasText: /^[1-9.]+/ }).waitFor();
  await live.locator('.chart .line.n0').first().waitFor({ state: 'attached' });
  assert.match(await live.locator('.chart svg').last().getAttribute('aria-label'), /^Memory, .* resident [\d.]+ MiB/);
  assert.equal(await live.locator('#live b').count(), 0);

  await rows.filter({ hasText: 'named' }).getByRole('button', { name: /^Close 127/ }).click();
  await member.locator('#name .state').filter({ hasText: /administrator|not joined/ }).waitFor();
  await room.close();
  await bridged.close();
  await live.getByText('No client is connected to a TCP server.').waitFor();
});

real('others see the rooms to try and nothing of who is there, by whatever name they come', async (t) => {
  const server = await jackfield(t, { args: ['--admin', '127.0.0.1:0'] });
  const context = await visitor(t, browser);
  const own = await open(context, server);
  await own.locator('.rooms [href="#tcp"]').waitFor();
  assert.equal(await own.locator('.rooms [href="#live"]').isVisible(), false);
  await own.goto(`${server.http}/console#live`);
  await own.reload();
  await own.locator('#pair .state[data-state=open]').waitFor();
  assert.equal(await own.locator('#live').isVisible(), false);
  await own.goto(`${server.http}/console#devices`);
  await own.locator('#devices').waitFor();
  assert.equal(await own.locator('.center').isVisible(), false);

  const admin = /admin\s+(http:\/\/127\.0\.0\.1:\d+)\/console/.exec(server.output())[1];
  const live = await open(context, { http: admin }, '#live');
  await live.locator('.clients-panel tbody tr', { hasText: 'webshare' }).waitFor();
});

real('a page of another origin cannot look, nor close anybody', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { expected: (text) => /CORS|ERR_FAILED|404|405/.test(text) });
  const victim = await open(context, server, '#name=demo');
  const foreign = await page(t, context, '');
  const told = await foreign.evaluate(async (base) => {
    const attempt = (path, options) => fetch(base + path, options).then((response) => response.type, () => 'refused');
    return Promise.all([
      attempt('/api/live'),
      attempt('/api/close?client=0.1', { method: 'POST', headers: { 'X-Jackfield': '1' } }),
      attempt('/api/close?client=0.1', { method: 'POST', mode: 'no-cors' }),
    ]);
  }, server.http);
  assert.deepEqual(told, ['refused', 'refused', 'opaque']);
  await say(victim, '#name', 'still here');
  await entry(victim, '#name', 'out', 'still here').waitFor();
});

real('the first pages lead to what they name', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const plain = await context.newPage();
  for (const path of ['/', '/client/']) {
    await plain.goto(server.http + path);
    const links = await plain.locator('a').evaluateAll((all) => all.map((link) => link.href));
    assert.ok(links.length >= 6);
    for (const link of [...links, `${server.http}/favicon.ico`]) {
      const response = await context.request.get(link);
      assert.equal(response.status(), 200, link);
    }
  }
});
