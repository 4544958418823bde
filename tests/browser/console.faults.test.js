/** What the console says, and what it offers, when something does not go as it was meant. */
import assert from 'node:assert/strict';
import { guarded, jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { echoServer, enter, entry, open, pairOfTabs, say } from './support/rooms.js';
import { PHONE } from './support/windows.js';
import { browser, real } from './support/suite.js';

/** What the browser itself complains of when a server goes away. */
const gone = (text) => /WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(text);

/** Shows this token from every tab of a context. */
const showToken = (context, token) =>
  context.addInitScript((value) => location.protocol === 'http:' && sessionStorage.setItem('jackfield token', value), token);

/** Closes the client in Live that is of this protocol. */
async function closeInLive(live, protocol) {
  await live.bringToFront();
  await live.locator('.clients-panel tbody tr', { hasText: protocol }).getByRole('button', { name: /^Close / }).first().click();
}

/** A program beside the console: a device in a page of the same server, which answers `greet` and nothing else. */
async function program(context, server, id) {
  const page = await context.newPage();
  await page.goto(`${server.http}/client/`);
  await page.evaluate(async (id) => {
    const { connectP2p } = await import('/client/p2p.mjs');
    window.device = connectP2p('/', id);
    device.on('greet', (name, reply) => reply(`hello ${name}, this is ${device.clientId}`));
    await new Promise((resolve) => device.on('connect', resolve));
  }, id);
  return page;
}

real('what an administrator has closed says so, stays closed, and begins again when that is asked for', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const live = await open(context, server, '#live');
  const device = await open(context, server, '#devices=kitchen');
  await closeInLive(live, 'socket.io');
  await device.locator('#devices .state[data-state=closed]', { hasText: 'closed by an administrator' }).waitFor();
  await device.getByText('The connection is over: closed by an administrator.').waitFor();
  assert.equal(await device.locator('#devices .leave-button').isVisible(), false);
  assert.equal(await device.locator('#devices .pair-button').isVisible(), false);
  await device.getByRole('button', { name: 'Be a device' }).click();
  await device.locator('#devices .state[data-state=open]').waitFor();

  const pair = await open(context, server);
  const before = await pair.locator('.key').textContent();
  assert.equal(await pair.locator('.again-button').isVisible(), false);
  await closeInLive(live, 'webshare');
  await pair.getByText('The connection was lost: closed by an administrator.').waitFor();
  for (const name of ['Copy key', 'Copy link']) assert.ok(await pair.getByRole('button', { name }).isDisabled(), name);
  await pair.getByRole('button', { name: 'Connect again' }).click();
  await pair.locator('#pair .state[data-state=open]').waitFor();
  assert.notEqual(await pair.locator('.key').textContent(), before);
  assert.equal(await pair.locator('.again-button').isVisible(), false);
  const partner = await open(context, server, `#pair=${await pair.locator('.key').textContent()}`);
  await partner.locator('#pair .unpair-button').waitFor();
  await say(pair, '#pair', 'over the new one');
  await entry(partner, '#pair', 'in', 'over the new one').waitFor();
});

real('a message that is longer than the server takes is refused before it ends the connection', async (t) => {
  const server = await jackfield(t, { args: ['--max-message', '64KiB'] });
  const context = await visitor(t, browser);
  const [, pair] = await pairOfTabs(context, server);
  await open(context, server, '#name=demo');
  const name = await open(context, server, '#name=demo');
  await name.getByText('1 other is here.').waitFor();
  await open(context, server, '#devices=door');
  const devices = await open(context, server, '#devices=kitchen&pair=door');
  await devices.locator('#devices .unpair-button').waitFor();
  for (const [page, room] of [[pair, '#pair'], [name, '#name'], [devices, '#devices']]) {
    const said = page.locator(`${room} .conversation .error`, { hasText: 'this server takes 65,536 at once (--max-message)' });
    const photo = (size) => page.locator(`${room} input[type=file]`).setInputFiles({ name: 'x', mimeType: 'image/jpeg', buffer: Buffer.alloc(size) });
    await photo(70_000);
    await said.filter({ hasText: '70,000 bytes' }).waitFor();
    assert.equal(await page.locator(`${room} .entry.out`).count(), 0, room);
    await say(page, room, 'short');
    assert.equal(await said.isVisible(), false, room);
    await say(page, room, 'é'.repeat(33_000));
    await said.waitFor();
    // What just fits goes through, and nothing has been cut meanwhile.
    await photo(65_000);
    await page.locator(`${room} .entry.out.bytes`, { hasText: '65,000 bytes' }).waitFor();
    await say(page, room, 'after it');
    await page.locator(`${room} .state[data-state=open]`).waitFor();
    assert.equal(await page.locator(`${room} .entry.out.failed`).count(), 0, room);
  }
  const channels = await open(context, server, '#channels=demo');
  await channels.getByLabel('Data').fill('x'.repeat(66_000));
  await channels.getByRole('button', { name: 'Signal' }).click();
  await channels.getByRole('alert').filter({ hasText: '--max-message' }).waitFor();
  await channels.getByLabel('Data').fill('1');
  await channels.getByRole('button', { name: 'Signal' }).click();
  await channels.locator('.entry.out', { hasText: 'the server has it' }).waitFor();
});

real('Devices: any event is sent and heard by its name, its answer is shown, and silence is no failure', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  await context.clock.install();
  const other = await program(context, server, 'A');
  const page = await open(context, server, '#devices=B&pair=A');
  await page.locator('#devices .unpair-button').waitFor();
  await page.bringToFront();
  await say(page, '#devices', 'is anybody there');
  await entry(page, '#devices', 'out', 'is anybody there').waitFor();
  await page.clock.fastForward(16_000);
  const unanswered = page.locator('#devices .entry.out', { hasText: 'is anybody there' });
  await unanswered.filter({ hasText: 'no answer' }).waitFor();
  assert.equal(await unanswered.evaluate((each) => each.classList.contains('failed')), false);

  await page.getByLabel('As event').fill('greet');
  await say(page, '#devices', 'B');
  await entry(page, '#devices', 'in', 'hello B, this is A').filter({ hasText: 'answer to greet' }).waitFor();
  await other.evaluate(() => device.emit2('greet', 1, { two: [3] }));
  await entry(page, '#devices', 'in', '[1,{"two":[3]}]').filter({ hasText: 'greet' }).waitFor();
  const heard = await other.evaluate(() => device.call2('greet', new Uint8Array([1, 2])).then(() => 'answered'));
  assert.equal(heard, 'answered');
  await other.evaluate(() => device.emit2('message', 'as ever'));
  await entry(page, '#devices', 'in', 'as ever').waitFor();
  await page.getByLabel('As event').fill('n'.repeat(255));
  await page.locator('#devices textarea').focus();
  await other.evaluate(() => (device.emit2('greet', 'unheard'), device.emit2('n'.repeat(255), 'long')));
  await entry(page, '#devices', 'in', 'long').filter({ hasText: /n{200}…/ }).waitFor();
  assert.equal(await entry(page, '#devices', 'in', 'unheard').count(), 0);
  // Names that the library listens to are not ours.
  await page.getByLabel('As event').fill('P2P_DISCONNECT');
  await page.locator('#devices textarea').focus();
  await other.evaluate(() => device.close());
  await page.getByText('A is no longer paired with this device.').waitFor();
});

real('Devices: an id that is taken is said to be, and each second device has an id of its own', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const first = await open(context, server, '#devices=one');
  const late = await enter(context, server, '#devices=one&pair=two');
  await late.getByRole('alert').filter({ hasText: 'Another device has this id.' }).waitFor();
  await late.locator('#devices .state[data-state=closed]', { hasText: 'the id is taken' }).waitFor();
  assert.equal(await late.locator('#devices .conversation .error').textContent(), 'Another device has this id.');
  const opened = async () => {
    await first.bringToFront();
    const [page] = await Promise.all([context.waitForEvent('page'), first.getByRole('link', { name: 'Open a second device' }).click()]);
    return page;
  };
  const second = await opened();
  await second.locator('#devices .unpair-button').waitFor();
  const third = await opened();
  await third.locator('#devices .state[data-state=open]').waitFor();
  await third.getByRole('alert').filter({ hasText: 'No device of that id is here and free.' }).waitFor();
});

real('Channels: names and addresses from strangers are cut as data are', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const page = await open(context, server, '#channels=demo');
  const stranger = await context.newPage();
  await stranger.goto(`${server.http}/client/`);
  await stranger.evaluate(async (url) => {
    const socket = new WebSocket(url);
    await new Promise((resolve) => (socket.onopen = resolve));
    socket.send(JSON.stringify({ id: '1', message: 'n'.repeat(300_000), data: 'd'.repeat(300_000) }));
    socket.send(JSON.stringify({ socket: 'connected', address: 'A'.repeat(300_000) }));
    socket.send(JSON.stringify({ id: '2', message: 'last.one', data: 1 }));
  }, `${server.ws}/pocket?room=demo`);
  await page.locator('.event-name', { hasText: 'last.one' }).waitFor();
  const [name] = await page.locator('.event-name').allTextContents();
  assert.ok(name.startsWith('nnn') && name.length < 300, String(name.length));
  assert.ok((await page.locator('#channels').textContent()).length < 10_000);
});

real('a token that does not permit something is what is blamed, in every room, and the form for another is shown', async (t) => {
  const target = await echoServer(t);
  const server = await guarded(t, '--bridge-allow', target.address, '--bridge-name', `echo=${target.address}`);
  const context = await visitor(t, browser, { expected: gone });
  const bare = await enter(context, server, '#channels=demo');
  await bare.locator('#channels .state[data-state=closed]', { hasText: 'no token' }).waitFor();
  await bare.getByText('This server asks for a token.').waitFor();
  assert.equal(await bare.locator('#channels .leave-button').isVisible(), false);
  const command = await bare.locator('.how-to code').first().textContent();
  for (const right of ['--pair', '--publish', '--subscribe', '--device', '--tcp']) assert.ok(command.includes(right), right);
  await bare.goto(`${server.http}/console#name=demo`);
  await bare.locator('#name .state[data-state=closed]', { hasText: 'no token' }).waitFor();

  await showToken(context, server.token('--pair'));
  const tcp = await enter(context, server, `#tcp=${target.address}`);
  await tcp.getByRole('alert').filter({ hasText: 'This tab’s token does not permit that' }).waitFor();
  await tcp.getByText(/^This tab’s token does not permit what you tried\. The server says: .*\(tcp\)\.$/).waitFor();
  await tcp.getByRole('textbox', { name: /^Token/ }).waitFor();
  await tcp.getByLabel('Host and port').fill('echo');
  await tcp.getByRole('button', { name: 'Connect', exact: true }).click();
  await tcp.getByRole('alert').filter({ hasText: 'This tab’s token does not permit that' }).waitFor();
  // A target may be called anything.
  await tcp.getByLabel('Host and port').fill('my-token.example:80');
  await tcp.getByRole('button', { name: 'Connect', exact: true }).click();
  await tcp.getByRole('alert').waitFor();

  const device = await enter(context, server, '#devices=kitchen');
  await device.locator('#devices .state[data-state=closed]', { hasText: 'not permitted by the token' }).waitFor();
  assert.equal(await device.locator('#devices .leave-button').isVisible(), false);
  await device.getByRole('button', { name: 'Be a device' }).waitFor();
  await device.getByText(/The server says: not permitted: .*\(device\)\.$/).waitFor();

  const brief = await visitor(t, browser);
  await showToken(brief, server.token('--pair', '--expires', '1s'));
  const expired = await enter(brief, server, '#pair');
  await expired.getByText('This tab’s token has expired. Ask the operator for a new one.').waitFor();
  await expired.locator('#pair .state', { hasText: 'the token has expired' }).waitFor();
});

real('TCP: a target is reached by the name that the operator has given it', async (t) => {
  const target = await echoServer(t);
  const server = await jackfield(t, { args: ['--bridge-name', `redis=${target.address}`, '--max-message', '1KiB'] });
  const page = await enter(await visitor(t, browser, { expected: (text) => /WebSocket|404/.test(text) }), server, '#tcp=redis');
  await page.locator('#tcp .state[data-state=open]').waitFor();
  const line = `PING ${'x'.repeat(3000)} end`;
  await page.getByLabel('Line to send').fill(line);
  await page.getByLabel('Line to send').press('Enter');
  await page.locator('.terminal .received', { hasText: `${line}` }).waitFor();
  target.end();
  await page.getByText('the other side closed the connection').waitFor();
  for (const [text, words] of [['other', 'No target has that name (--bridge-name)'], ['a/b', 'or a name (--bridge-name)']]) {
    await page.getByLabel('Host and port, or a name').fill(text);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
});

real('Pair: a key is taken as people write it, and from a link', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const first = await open(context, server);
  const key = await first.locator('.key').textContent();
  const second = await open(context, server);
  const forms = [key.toUpperCase(), ` ${key.slice(0, 4)} ${key.slice(4)} `, `${server.http}/console#pair=${key}`];
  for (const text of forms) {
    await second.getByLabel('Partner’s key').fill(text);
    await second.getByRole('button', { name: 'Pair', exact: true }).click();
    await second.getByRole('button', { name: 'Unpair' }).click();
    await second.getByRole('button', { name: 'Pair', exact: true }).waitFor();
    assert.equal(await second.locator('.partner-form .error').isVisible(), false, text);
  }
});

real('Pair: a code that no phone can follow says what helps', async (t) => {
  const server = await jackfield(t);
  const told = async (isOnNetwork) => {
    const context = await visitor(t, browser);
    // Whether this machine is on a network is not for a test to say.
    await context.route('**/console/role', async (route) => {
      const { network, ...role } = await (await route.fetch()).json();
      await route.fulfill({ json: { ...role, is_on_network: isOnNetwork } });
    });
    const page = await open(context, server);
    return page.locator('.qr figcaption').textContent();
  };
  assert.match(await told(false), /serve the network \(--listen\)/);
  assert.match(await told(true), /open this page at this machine’s address in the network/);
});

real('keyboard: whoever has joined, paired or become a device goes on by typing', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const focus = (page) => page.evaluate(() => document.activeElement.name ?? document.activeElement.tagName);
  const press = async (page, selector, text) => {
    await page.locator(selector).fill(text);
    await page.locator(selector).press('Enter');
  };
  const name = await enter(context, server, '#name');
  await press(name, '.name-field', 'demo');
  assert.equal(await focus(name), 'text');
  const channels = await enter(context, server, '#channels');
  await press(channels, '.room-field', 'demo');
  assert.equal(await focus(channels), 'data');
  const partner = await open(context, server);
  const pair = await open(context, server);
  await press(pair, '.partner-key', await partner.locator('.key').textContent());
  await pair.locator('#pair .unpair-button').waitFor();
  await pair.waitForFunction(() => document.activeElement.name === 'text');
  const door = await open(context, server, '#devices=door');
  const device = await enter(context, server, '#devices');
  await press(device, '.own-id', 'kitchen');
  assert.equal(await focus(device), 'target');
  await device.locator('#devices .state[data-state=open]').waitFor();
  await press(device, '.target-id', 'door');
  await door.getByText('Paired with kitchen.').waitFor();
  await device.waitForFunction(() => document.activeElement.name === 'text');
});

real('what is written while the server is away is said to wait, and that it came back is said', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { expected: gone });
  const name = await open(context, server, '#name=demo');
  const channels = await open(context, server, '#channels=demo');
  const [pair] = await pairOfTabs(context, server);
  await server.stop('SIGTERM');
  await Promise.all([name, channels, pair].map((page) => page.locator('.room:visible .state[data-state=lost]').waitFor()));
  // A server that stops says so, and what it said is still there when the state tells of the next try.
  for (const page of [name, channels, pair]) await page.locator('.entry.note', { hasText: /^The connection was lost: / }).waitFor();
  await say(name, '#name', 'later');
  const entry = name.locator('#name .entry.out', { hasText: 'later' });
  await entry.filter({ hasText: 'waits for the connection' }).waitFor();
  await channels.getByRole('button', { name: 'Signal' }).click();
  await channels.locator('.entry.out', { hasText: 'waits for the connection' }).waitFor();
  await jackfield(t, { port: server.port });
  await name.getByText('Connected again: back in /local/demo.').waitFor();
  await entry.filter({ hasText: /sent$/ }).waitFor();
  assert.equal(await name.getByText('Joined /local/demo.').count(), 1);
  await channels.getByText('Connected again: back in the room demo.').waitFor();
  await channels.locator('.entry.out', { hasText: 'the server has it' }).waitFor();
  await server.stop();
});

real('Live: the bar of a limit stands beside its text', async (t) => {
  const live = await open(await visitor(t, browser), await jackfield(t), '#live');
  const off = await live.locator('.limits tr', { has: live.locator('meter:visible') }).evaluateAll((rows) => rows.map((row) => {
    const middle = (node) => {
      const { top, height } = node.getBoundingClientRect();
      return top + height / 2;
    };
    return Math.abs(middle(row.querySelector('meter')) - middle(row.querySelector('th')));
  }));
  assert.ok(off.length > 0 && Math.max(...off) < 2, String(off));
});

real('a phone held across: what is written with is in sight in every room', async (t) => {
  const target = await echoServer(t);
  for (const viewport of [{ width: 740, height: 360 }, { width: 844, height: 390 }]) {
    const server = await jackfield(t, { args: ['--bridge-allow', target.address] });
    const context = await visitor(t, browser, { ...PHONE, viewport });
    const [, pair] = await pairOfTabs(context, server);
    await open(context, server, '#devices=door');
    const device = await open(context, server, '#devices=kitchen&pair=door');
    await device.locator('#devices .unpair-button').waitFor();
    const rooms = [
      [pair, '#pair textarea'],
      [await open(context, server, '#name=demo'), '#name textarea'],
      [await open(context, server, '#channels=demo'), '#channels [name=data]'],
      [device, '#devices textarea'],
      [await open(context, server, `#tcp=${target.address}`), '#tcp [name=line]'],
    ];
    for (const [page, selector] of rooms) {
      await page.bringToFront();
      await page.evaluate(() => scrollTo(0, 0));
      const { y, height } = await page.locator(selector).boundingBox();
      assert.ok(y + height <= viewport.height, `${selector} ends at ${y + height} of ${viewport.height}`);
    }
  }
});
