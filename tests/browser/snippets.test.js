/** The page of clients: what it says of each, and that its snippets work where they are pasted. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { NO_SERVER, jackfield } from '../js/support/jackfield.js';
import { launch, visitor } from './support/browser.js';
import { page } from './support/site.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);
const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 60_000 }, body);

let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch();
});
after(() => browser?.close());

/** What each file gives a page. */
const NAMES = {
  named: ['LocalWebSocket', 'BroadcastWebSocket'],
  p2p: ['connectP2p', 'p2pClientPlugin'],
  'pocket.socket': ['pocket'],
  webshare: ['WebShare'],
  ws2s: ['WS2S'],
};

/** What a person gets who presses Copy, by the file and the kind of snippet. */
async function snippets(context, server) {
  const shown = await context.newPage();
  await shown.goto(`${server.http}/client/`);
  const copied = {};
  for (const button of await shown.getByRole('button', { name: /^Copy / }).all()) {
    const what = (await button.getAttribute('aria-label')).replace('Copy ', '');
    await button.click();
    await button.getByText('Copied').waitFor();
    copied[what] = await shown.evaluate(() => navigator.clipboard.readText());
  }
  return copied;
}

real('every client has its version, its size and the hash of what is served', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const shown = await context.newPage();
  await shown.goto(`${server.http}/client/`);
  assert.equal(await shown.locator('section.panel').count(), 5);
  for (const file of Object.keys(NAMES)) {
    const section = shown.getByRole('region', { name: `${file}.js` });
    const body = await (await context.request.get(`${server.http}/client/${file}.js`)).body();
    await section.getByText(`${body.length.toLocaleString('en')} bytes`).waitFor();
    assert.match(await section.locator('.version').textContent(), /^version \d+\.\d+\.\d+ · /);
    assert.equal(await section.locator('.hash').textContent(), `sha384-${createHash('sha384').update(body).digest('base64')}`);
    await shown.locator(`.jump a[href="#${file}"]`).click();
    assert.ok(await section.getByRole('heading').isVisible());
  }
});

real('each snippet, pasted into a page of another site, gives that page its client', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { permissions: ['clipboard-read', 'clipboard-write'] });
  const copied = await snippets(context, server);
  assert.equal(Object.keys(copied).length, 10);
  for (const [file, names] of Object.entries(NAMES)) {
    const classic = await page(t, context, copied[`${file}.js, classic script`]);
    for (const name of names) assert.notEqual(await classic.evaluate((name) => typeof window[name], name), 'undefined', name);
    // What comes behind the import in the same script sees the names.
    const using = copied[`${file}.mjs, module`].replace('</script>', `  window.given = { ${names} };\n</script>`);
    const module = await page(t, context, using);
    await module.waitForFunction(() => window.given);
    for (const name of names) assert.notEqual(await module.evaluate((name) => typeof window.given[name], name), 'undefined', name);
  }
});

real('a snippet lets in nothing but the file that it was made for', async (t) => {
  const server = await jackfield(t);
  const expected = (text) => /integrity/.test(text);
  const context = await visitor(t, browser, { permissions: ['clipboard-read', 'clipboard-write'], expected });
  const copied = await snippets(context, server);
  const other = /sha384-[^"]+/.exec(copied['ws2s.js, classic script'])[0];
  const wrong = copied['webshare.js, classic script'].replace(/sha384-[^"]+/, other);
  const refused = await page(t, context, wrong);
  assert.equal(await refused.evaluate(() => typeof window.WebShare), 'undefined');
});
