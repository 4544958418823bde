/** The page of clients: what it says of each, and what Copy gives. What the snippets do is in programs.test.js. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { jackfield } from '../js/support/jackfield.js';
import { visitor } from './support/browser.js';
import { browser, real } from './support/suite.js';

const FILES = ['named', 'p2p', 'pocket.socket', 'webshare', 'ws2s'];

real('every client has its version, its size and the hash of what is served', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser);
  const shown = await context.newPage();
  await shown.goto(`${server.http}/client/`);
  assert.equal(await shown.locator('section.panel').count(), 5);
  for (const file of FILES) {
    const section = shown.getByRole('region', { name: `${file}.js` });
    const body = await (await context.request.get(`${server.http}/client/${file}.js`)).body();
    await section.getByText(`${body.length.toLocaleString('en')} bytes`).waitFor();
    assert.match(await section.locator('.version').textContent(), /^version \d+\.\d+\.\d+ · /);
    assert.equal(await section.locator('.hash').textContent(), `sha384-${createHash('sha384').update(body).digest('base64')}`);
    await shown.locator(`.jump a[href="#${file}"]`).click();
    assert.ok(await section.getByRole('heading').isVisible());
  }
});

real('Copy gives what is shown, and says that it did', async (t) => {
  const server = await jackfield(t);
  const context = await visitor(t, browser, { permissions: ['clipboard-read', 'clipboard-write'] });
  const shown = await context.newPage();
  await shown.goto(`${server.http}/client/`);
  for (const name of ['LocalWebSocket', 'BroadcastWebSocket', 'NetworkWebSocket']) {
    assert.match(await shown.getByRole('region', { name: 'named.mjs, module' }).textContent(), new RegExp(`import {.*\\b${name}\\b.*}`));
  }
  const all = await shown.locator('.snippet').all();
  assert.equal(all.length, 10);
  for (const snippet of all) {
    const button = snippet.getByRole('button', { name: /^Copy / });
    await button.click();
    await button.getByText('Copied').waitFor();
    const copied = await shown.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, await snippet.locator('code').textContent());
    assert.ok(copied.includes(`${server.http}/client/`), copied);
    assert.match(copied, /\n {2}[a-z].*\);\n<\/script>$/, 'a line that uses it comes last');
  }
});
