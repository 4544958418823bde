/** How the console looks in the states that matter, in every window; what everybody needs of a page holds in each. */
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { NO_SERVER, guarded, jackfield } from '../js/support/jackfield.js';
import { launch, visitor } from './support/browser.js';
import { HOSTILE, LINKED, echoServer, enter, entry, expectAccessible, expectContrast, open, pairOfTabs, say } from './support/rooms.js';
import { MAGNIFIED, WINDOWS } from './support/windows.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 90_000 }, body);

let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch();
});
after(() => browser?.close());

const pictures = process.env.SCREENSHOTS ?? (NO_SERVER ? '' : await mkdtemp(join(tmpdir(), 'jackfield-console-')));
if (pictures) console.error(`pictures of the console: ${pictures}`);

/** Looks at a page in a window: what is wrong with it fails the test, and a person may look at the picture. */
const looker = (window) => async (shown, what) => {
  await shown.bringToFront();
  await expectAccessible(shown, `${window} ${what}`);
  await expectContrast(shown, `${window} ${what}`);
  await shown.screenshot({ path: join(pictures, `${window}-${what}.png`), fullPage: true, animations: 'disabled' });
};

for (const [name, options] of Object.entries({ ...WINDOWS, ...MAGNIFIED })) {
  const look = looker(name);

  real(`${name}: every room, empty and in use`, async (t) => {
    const target = await echoServer(t);
    const neighbour = await jackfield(t, { args: LINKED });
    const server = await jackfield(t, { args: [...LINKED, '--lan-peer', `127.0.0.1:${neighbour.port}`, '--bridge-allow', target.address] });
    const context = await visitor(t, browser, options);
    const close = (...pages) => Promise.all(pages.map((page) => page.close()));

    const empty = await open(context, server, '#live');
    await empty.getByText('Nobody is paired.').waitFor();
    await look(empty, 'live-empty');
    await empty.close();
    const alone = await open(context, server);
    await look(alone, 'pair');
    await alone.getByLabel('Partner’s key').fill('00000000');
    await alone.getByRole('button', { name: 'Pair', exact: true }).click();
    await alone.getByRole('alert').filter({ hasText: 'Nobody' }).waitFor();
    await look(alone, 'pair-error');
    await alone.close();
    const [first, second] = await pairOfTabs(context, server);
    await say(second, '#pair', 'x'.repeat(300));
    await say(first, '#pair', `A short answer. ${HOSTILE}`);
    await second.locator('#pair input[type=file]').setInputFiles({ name: 'x', mimeType: 'application/octet-stream', buffer: randomBytes(100_000) });
    await first.locator('#pair .entry.in.bytes').waitFor();
    await entry(second, '#pair', 'in', 'A short answer.').waitFor();
    await look(second, 'paired');

    const nameless = await enter(context, server, '#name');
    await look(nameless, 'name-empty');
    await nameless.getByRole('textbox', { name: 'Name' }).fill('no/slashes');
    await nameless.getByRole('button', { name: 'Join' }).click();
    await look(nameless, 'name-error');
    await nameless.close();
    const long = `a.rather.long.name.of.${'many.parts.'.repeat(8)}`;
    const [name1, name2] = [await open(context, server, `#name=${long}`), await open(context, server, `#name=${long}`)];
    await name1.getByText('1 other is here.').waitFor();
    await say(name2, '#name', 'hello');
    await entry(name1, '#name', 'in', 'hello').waitFor();
    await say(name1, '#name', HOSTILE);
    await look(name1, 'name');

    const roomless = await enter(context, server, '#channels');
    await look(roomless, 'channels-empty');
    await roomless.close();
    const [room1, room2] = [await open(context, server, '#channels=demo'), await open(context, server, '#channels=demo')];
    await room1.getByRole('button', { name: 'Signal' }).click();
    await entry(room2, '#channels', 'in', 'clock.tick').waitFor();
    await room2.getByLabel('Data').fill(JSON.stringify({ text: HOSTILE, list: [1, 2, 3] }));
    await room2.getByRole('button', { name: 'Signal' }).click();
    await entry(room1, '#channels', 'in', 'img').waitFor();
    await look(room1, 'channels');

    const idle = await enter(context, server, '#devices');
    await idle.getByText('0 connected').waitFor();
    await look(idle, 'devices-empty');
    await idle.close();
    const device = await open(context, server, '#devices=kitchen');
    const hostile = await open(context, server, `#devices=${encodeURIComponent(HOSTILE)}`);
    const door = await open(context, server, '#devices=door&pair=kitchen');
    await door.locator('#devices .unpair-button').waitFor();
    await say(door, '#devices', 'Somebody is at the door.');
    await entry(device, '#devices', 'in', 'Somebody').waitFor();
    await device.getByText('3 connected, 1 available').waitFor();
    await look(device, 'devices');
    await look(hostile, 'devices-free');

    const tcp = await open(context, server, `#tcp=${target.address}`);
    for (const line of ['PING', 'SET a 1', HOSTILE]) {
      await tcp.getByLabel('Line to send').fill(line);
      await tcp.getByLabel('Line to send').press('Enter');
    }
    await tcp.locator('.received', { hasText: 'img' }).waitFor();
    await look(tcp, 'tcp');
    const refused = await enter(context, server, '#tcp=127.0.0.1:1');
    await refused.getByRole('alert').filter({ hasText: 'not allow' }).waitFor();
    await look(refused, 'tcp-error');
    await refused.close();

    const there = await open(context, neighbour, '#name=shared&kind=broadcast');
    await open(context, server, '#name=shared&kind=broadcast');
    await there.getByText('1 other is here.').waitFor();
    const live = await open(context, server, '#live');
    await live.locator('.bridges-list li', { hasText: target.address }).waitFor();
    await live.locator('.links-list li', { hasText: '/broadcast/shared' }).waitFor();
    await live.locator('.chart .value', { hasText: '/s' }).first().waitFor();
    await live.getByRole('button', { name: /^Show / }).click();
    await look(live, 'live-all');
    await live.getByRole('button', { name: /^Hide / }).click();
    await look(live, 'live');
    await close(first, second, name1, name2, room1, room2);
  });

  // What holds at 400 % holds at 200 %.
  if (name === 'zoom-200') continue;
  real(`${name}: what goes wrong, and what is not for everybody`, async (t) => {
    const expected = (text) => /WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(text);
    const context = await visitor(t, browser, { ...options, expected });
    const server = await jackfield(t);
    const untargeted = await enter(context, server, '#tcp');
    await look(untargeted, 'tcp-none');
    const pages = {
      pair: await open(context, server),
      name: await open(context, server, '#name=demo'),
      channels: await open(context, server, '#channels=demo'),
      devices: await open(context, server, '#devices=kitchen'),
      live: await open(context, server, '#live'),
    };
    const plain = await context.newPage();
    for (const [path, what] of [['/', 'here'], ['/client/', 'clients']]) {
      await plain.goto(server.http + path);
      await look(plain, what);
    }
    await server.stop();
    for (const [what, page] of Object.entries(pages)) {
      await page.bringToFront();
      await page.locator('.room:visible .state[data-state=lost]').waitFor();
      await look(page, `${what}-lost`);
    }

    const separate = await jackfield(t, { args: ['--admin', '127.0.0.1:0'] });
    const stranger = await enter(context, separate, '#live');
    await stranger.getByText('Only administrators').waitFor();
    await look(stranger, 'live-others');
    const closed = await guarded(t);
    const tokenless = await enter(context, closed, '#pair');
    await tokenless.getByText('This server asks for a token').waitFor();
    await look(tokenless, 'token');
    await tokenless.getByRole('textbox', { name: /^Token/ }).fill(closed.token('--pair'));
    await tokenless.getByRole('button', { name: 'Use it' }).click();
    await tokenless.locator('#pair .state[data-state=open]').waitFor();
    await look(tokenless, 'token-used');
  });
}
