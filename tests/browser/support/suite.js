/** What files of tests against the real server begin with: a Chromium of their own, and tests that need a server. */
import { after, before, test } from 'node:test';
import { NO_SERVER } from '../../js/support/jackfield.js';
import { launch } from './browser.js';

if (NO_SERVER) console.error(`\n*** ${NO_SERVER} ***\n`);

/** A test against the real server; without one it is skipped. */
export const real = (name, body) => test(name, { skip: NO_SERVER, timeout: 60_000 }, body);

/** The browser of all tests of a file. */
export let browser;
before(async () => {
  if (!NO_SERVER) browser = await launch();
});
after(() => browser?.close());
