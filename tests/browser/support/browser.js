/**
 * One Chromium for a test file, and pages that report everything that is not as it should be.
 *
 * playwright-core stays at a version that runs on node 18, which is what Debian 12 has; later ones refuse.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { atEnd } from '../../js/support/end.js';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The distribution's Chromium; CHROMIUM names another one. */
export function launch(...flags) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...FLAGS, ...flags] });
}

/**
 * A browser context of its own, closed with the test. `expected(text)` says which complaints the test provokes; any
 * other script error, line of the error log, violation of the content security policy or failed request fails it.
 */
export async function visitor(test, browser, { expected = () => false, ...options } = {}) {
  const context = await browser.newContext(options);
  const complaints = [];
  const complain = (text) => expected(text) || complaints.push(text);
  const watch = (page) => {
    page.on('pageerror', (error) => complain(`script error: ${error.message}`));
    page.on('console', (line) => ['error', 'warning'].includes(line.type()) && complain(`${line.type()}: ${line.text()}`));
    page.on('response', (response) => response.status() >= 400 && complain(`${response.status()}: ${response.url()}`));
    page.on('dialog', (dialog) => {
      complain(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  };
  context.on('page', watch);
  await context.exposeFunction('reportViolation', (text) => complain(`policy violation: ${text}`));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  atEnd(test, async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  return context;
}

/** Keeps a picture where SCREENSHOTS names a folder. */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.bringToFront();
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, animations: 'disabled' });
}
