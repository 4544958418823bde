/** What administrators see of the console and others do not. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { atEnd } from '../js/support/end.js';
import { jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { page } from './support/site.js';
import { LINKED, echoServer, entry, expectAccessible, open, pairOfTabs, say } from './support/rooms.js';
import { browser, real } from './support/suite.js';

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
  await live.getByRole('meter', { name: /^Connections: \d+ of / }).waitFor();
  for (let i = 0; i < 20; i += 1) await say(first, '#pair', `message ${i}`);
  await live.locator('.chart', { hasText: 'Messages' }).locator('.series.n0 .value', { hasText: /^[1-9.]+/ }).waitFor();
  await live.locator('.chart .line.n0').first().waitFor({ state: 'attached' });
  assert.match(await live.locator('.chart svg').last().getAttribute('aria-label'), /^Memory, .* resident [\d.]+ MiB/);
  assert.equal(await live.locator('#live b').count(), 0);

  await rows.filter({ hasText: 'named' }).getByRole('button', { name: /^Close 127/ }).click();
  await member.locator('#name .state').filter({ hasText: /administrator|not joined/ }).waitFor();
  await room.close();
  await bridged.close();
  await live.getByText('No client is connected to a TCP server.').waitFor();
});

real('Live: devices are called by their ids, among the clients and among the pairs', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  await open(context, server, '#devices=pump');
  const valve = await open(context, server, '#devices=valve%20%3Cb%3E&pair=pump');
  await valve.locator('#devices .unpair-button').waitFor();
  const live = await open(context, server, '#live');
  const rows = live.locator('.clients-panel tbody tr');
  await rows.filter({ hasText: 'socket.io pump with valve <b>' }).waitFor();
  await rows.filter({ hasText: 'socket.io valve <b> with pump' }).waitFor();
  const pairs = live.locator('.pairs-list');
  await pairs.getByText(/pump and valve <b>|valve <b> and pump/).waitFor();
  assert.equal(await pairs.locator('..').locator('.count').textContent(), '1');
  assert.equal(await live.locator('#live b').count(), 0);
  await expectAccessible(live, 'with devices');
});

real('Live: a client that is not among the first is found and closed', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const wanted = await open(context, server, '#name=The-One');
  const crowd = await wanted.evaluate(async (url) => {
    const opened = Array.from({ length: 210 }, (_, i) => new WebSocket(`${url}/local/crowd${i}`));
    await Promise.all(opened.map((socket) => new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }))));
    return (window.crowd = opened).length;
  }, server.ws);
  const live = await open(context, server, '#live');
  const rows = live.locator('.clients-panel tbody tr');
  const count = live.locator('.clients-panel .count');
  await count.filter({ hasText: /^200 of 2\d\d$/ }).waitFor();
  assert.equal(crowd, 210);
  assert.equal(await rows.filter({ hasText: '/local/The-One' }).count(), 0);
  const field = live.getByRole('searchbox', { name: 'Find clients' });
  await field.fill('the-one');
  await count.filter({ hasText: /^1 of 2\d\d$/ }).waitFor();
  assert.equal(await rows.count(), 1);
  await expectAccessible(live, 'with a filter');
  await field.fill('CROWD');
  await count.filter({ hasText: /^200 of 2\d\d, 210 match$/ }).waitFor();
  await field.fill('nobody like this');
  await count.filter({ hasText: /^0 of 2\d\d$/ }).waitFor();
  assert.equal(await rows.count(), 0);
  await field.fill('\u{1F600}'.repeat(120));
  await count.filter({ hasText: /^0 of 2\d\d$/ }).waitFor();
  await field.fill('the-one');
  await rows.getByRole('button', { name: /^Close 127/ }).click();
  await wanted.locator('#name .state').filter({ hasText: /administrator|not joined/ }).waitFor();
  await field.fill('');
  await count.filter({ hasText: /^200 of 2\d\d$/ }).waitFor();
});

real('others see the rooms to try and nothing of who is there, by whatever name they come', async (t) => {
  const server = await jackfield(t, { args: ['--admin', '127.0.0.1:0'] });
  const context = await visitor(t, browser);
  const own = await open(context, server);
  await own.locator('.rooms [href="#tcp"]').waitFor();
  assert.equal(await own.locator('.rooms [href="#live"]').isVisible(), false);
  await own.goto(`${server.http}/console#live`);
  await own.getByText('Only administrators see what goes on here.').waitFor();
  assert.equal(await own.locator('#live .everything').isVisible(), false);
  await own.goto(`${server.http}/console#devices`);
  await own.locator('#devices').waitFor();
  assert.equal(await own.locator('.center').isVisible(), false);

  const admin = /admin\s+(http:\/\/127\.0\.0\.1:\d+)\/console/.exec(server.output())[1];
  const live = await open(context, { http: admin }, '#live');
  await live.locator('.clients-panel tbody tr', { hasText: 'webshare' }).first().waitFor();
});

real('Live: links with another server come, carry, go and come again', async (t) => {
  const neighbour = await jackfield(t, { args: LINKED });
  const server = await jackfield(t, { args: [...LINKED, '--lan-peer', `127.0.0.1:${neighbour.port}`] });
  const expected = (text) => /WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(text);
  const context = await visitor(t, browser, { expected });
  const [here, there] = [server, neighbour].map((each) => open(context, each, '#name=shared&kind=broadcast'));
  const [alice, bob] = await Promise.all([here, there]);
  await Promise.all([alice, bob].map((page) => page.getByText('1 other is here.').waitFor()));
  await say(alice, '#name', 'across');
  await entry(bob, '#name', 'in', 'across').waitFor();

  const [dialler, accepter] = [await open(context, server, '#live'), await open(context, neighbour, '#live')];
  const link = (page) => page.locator('.links-list li', { hasText: '/broadcast/shared with 127.0.0.1:' });
  await accepter.bringToFront();
  await link(accepter).filter({ hasText: 'accepted' }).waitFor();
  await dialler.bringToFront();
  await link(dialler).filter({ hasText: `127.0.0.1:${neighbour.port}` }).filter({ hasText: 'dialled' }).waitFor();
  assert.equal(await dialler.locator('.links-list').locator('..').locator('.count').textContent(), '1');
  await neighbour.stop();
  await dialler.getByText('No other server is linked.').waitFor();
  const again = await jackfield(t, { port: neighbour.port, args: LINKED });
  await link(dialler).waitFor();
  assert.equal(again.port, neighbour.port);
});

real('Live: behind a proxy a client is shown by its own address, and how that is known', async (t) => {
  const server = await jackfield(t, { args: ['--trusted-proxy', '127.0.0.2'] });
  const upgrade = http.request(`${server.http}/local/proxied`, {
    localAddress: '127.0.0.2',
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'X-Forwarded-For': '203.0.113.9',
    },
  });
  const socket = await new Promise((resolve, reject) => {
    upgrade.on('upgrade', (_, socket) => resolve(socket)).on('error', reject).end();
  });
  atEnd(t, () => socket.destroy());
  const live = await open(await visitor(t, browser), server, '#live');
  const row = live.locator('.clients-panel tbody tr', { hasText: '/local/proxied' });
  await row.filter({ hasText: '203.0.113.9' }).filter({ hasText: 'by forwarding field' }).waitFor();
});

real('Live: bytes of each client are shown where the server tells them, and derivations as they come', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  await open(context, server, '#name=demo');
  const live = await context.newPage();
  const derived = ['socket', 'proxy-protocol', 'forwarded', 'proxy', '<b>new</b>'];
  await live.route('**/api/live', async (route) => {
    const told = await (await route.fetch()).json();
    const [client] = told.clients.filter(({ protocol }) => protocol);
    told.clients = derived.map((how, i) => ({ ...client, id: `9.${i}`, derived: how, received_bytes: 3 * 1024 * 1024, sent_bytes: 512 }));
    await route.fulfill({ json: told });
  });
  await live.goto(`${server.http}/console#live`);
  const rows = live.locator('.clients-panel tbody tr');
  for (const words of ['direct', 'by PROXY header', 'by forwarding field', 'a trusted proxy itself', '<b>new</b>']) {
    await rows.filter({ hasText: words }).filter({ hasText: '3 MiB' }).filter({ hasText: '512 B' }).waitFor();
  }
  await expectAccessible(live, 'with bytes');
});

real('Live: a row under the pointer or the focus does not move, and says when its client has gone', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const live = await open(context, server, '#live');
  const member = await open(context, server, '#name=first');
  await live.bringToFront();
  const row = live.locator('.clients-panel tbody tr', { hasText: '/local/first' });
  await row.hover();
  await open(context, server, '#name=second');
  await live.bringToFront();
  const rows = live.locator('.clients-panel tbody tr:visible');
  await rows.filter({ hasText: '/local/second' }).waitFor();
  const order = await rows.allTextContents();
  const place = (name) => order.findIndex((text) => text.includes(name));
  assert.ok(place('/local/first') < place('/local/second'), 'what is new comes last meanwhile');
  await row.getByRole('button').focus();
  await live.mouse.move(0, 0);
  await member.close();
  await row.filter({ hasText: 'gone' }).waitFor();
  await live.getByRole('heading', { name: 'Live' }).focus();
  await row.waitFor({ state: 'detached' });
});

real('Live: connections that only load pages are folded away until asked for', async (t) => {
  const server = await jackfield(t);
  const live = await open(await visitor(t, browser), server, '#live');
  const plain = live.locator('.clients-panel tbody tr', { hasText: 'loads pages' });
  const toggle = live.locator('.plain-toggle');
  await plain.first().waitFor({ state: 'attached' });
  assert.equal(await plain.first().isVisible(), false);
  assert.equal(await toggle.getAttribute('aria-expanded'), 'false');
  await toggle.click();
  await plain.first().waitFor();
  assert.equal(await toggle.getAttribute('aria-expanded'), 'true');
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
