/** Two people who have never seen the console pair within 15 seconds: by what it says, in tabs, browsers and on phones. */
import assert from 'node:assert/strict';
import { jackfield } from '../js/support/jackfield.js';
import { atEnd } from '../js/support/end.js';
import { launch, visitor } from './support/browser.js';
import { enter, open } from './support/rooms.js';
import { scan } from './support/camera.js';
import { DESKTOP, PHONE, WINDOWS } from './support/windows.js';
import { browser, real } from './support/suite.js';

const PATIENCE_MS = 15_000;

/** Presses what has this text in front of the eyes, as nothing but text is known of the page. */
const press = (page, text) => page.getByText(text, { exact: true }).filter({ visible: true }).last().click();

/** Types where the field's visible label says. */
const fill = (page, label, text) => page.getByText(label, { exact: true }).filter({ visible: true }).locator('..').locator('input, textarea').fill(text);

/** Types a message in the field that says so, and sends it. */
async function send(page, text) {
  await page.getByPlaceholder('Message', { exact: true }).filter({ visible: true }).fill(text);
  await press(page, 'Send');
}

const sees = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor();

/** The key as it is read out from the screen. */
const readKey = (page) => page.getByText(/^[0-9a-f]{8}$/).filter({ visible: true }).first().textContent();

/** Both say something, and see what the other said. */
async function talk(one, other) {
  await send(one, 'hello there');
  await sees(other, 'hello there');
  await send(other, 'hello yourself');
  await sees(one, 'hello yourself');
}

for (const [kind, options] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  real(`${kind}: two tabs, by what the first page says alone`, async (t) => {
    const server = await jackfield(t);
    const context = await visitor(t, browser, options);
    const start = Date.now();
    const page = await context.newPage();
    await page.goto(server.http);
    await press(page, 'Try it in the console');
    const opened = context.waitForEvent('page');
    await press(page, 'Open a partner tab');
    const second = await opened;
    await sees(second, 'Paired with');
    await talk(second, page);
    assert.ok(Date.now() - start < PATIENCE_MS, `${Date.now() - start} ms`);
  });
}

real('a desktop and a phone, which are two browsers, by a key that is read out', async (t) => {
  const elsewhere = await launch();
  atEnd(t, () => elsewhere.close());
  const server = await jackfield(t);
  const [desk, phone] = [await visitor(t, browser, DESKTOP), await visitor(t, elsewhere, PHONE)];
  const start = Date.now();
  const [screen, held] = await Promise.all([desk, phone].map(async (context) => {
    const page = await context.newPage();
    await page.goto(`${server.http}/console`);
    return page;
  }));
  await fill(held, 'Partner’s key', await readKey(screen));
  await held.getByText('Pair', { exact: true }).filter({ visible: true }).and(held.locator('button')).click();
  await Promise.all([screen, held].map((page) => sees(page, 'Paired with')));
  await talk(held, screen);
  await press(screen, 'Unpair');
  await sees(held, 'is no longer paired with you.');
  assert.ok(Date.now() - start < PATIENCE_MS, `${Date.now() - start} ms`);
});

for (const [kind, options] of Object.entries(WINDOWS)) {
  real(`${kind}: a camera reads the code on the screen, and its phone is paired`, async (t) => {
    const server = await jackfield(t);
    const [context, phone] = [await visitor(t, browser, options), await visitor(t, browser, PHONE)];
    const screen = await open(context, server);
    const link = await scan(screen);
    assert.equal(link, `${server.http}/console#pair=${await readKey(screen)}`);
    const held = await phone.newPage();
    await held.goto(link);
    await Promise.all([screen, held].map((page) => sees(page, 'Paired with')));
    await talk(held, screen);
    assert.equal(await screen.locator('.qr').isVisible(), false, 'a code that is used up goes away');
  });
}

real('a page that only this machine can open shows a code of where others find it', async (t) => {
  const server = await jackfield(t, { args: ['--listen', '0.0.0.0:0', '--lan', 'off'] });
  const [context, phone] = [await visitor(t, browser, DESKTOP), await visitor(t, browser, PHONE)];
  const network = /^  network +(\S+)$/m.exec(server.output())?.[1];
  const screen = await open(context, server);
  const link = await scan(screen);
  assert.equal(link, `${network ?? `${server.http}/console`}#pair=${await readKey(screen)}`);
  await sees(screen, network ? 'A camera opens this page, paired.' : 'Opens on this machine only.');
  const held = await phone.newPage();
  await held.goto(link);
  await Promise.all([screen, held].map((page) => sees(page, 'Paired with')));
  await talk(held, screen);

  // Whatever address this machine has, or none; the tab that it opens itself stays here.
  const told = await context.newPage();
  await told.route('**/console/role', async (route) => {
    const role = await (await route.fetch()).json();
    await route.fulfill({ json: { ...role, network: 'https://192.0.2.2:9/console' } });
  });
  await told.goto(`${server.http}/console`);
  assert.equal(await scan(told), `https://192.0.2.2:9/console#pair=${await readKey(told)}`);
  assert.equal(await told.locator('.open-partner').evaluate((tab) => tab.href), `${server.http}/console#pair=${await readKey(told)}`);
});

real('a link that was used up says so in words', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const late = await enter(context, server, '#pair=00000000');
  await sees(late, 'Nobody on this server has that key.');
});
