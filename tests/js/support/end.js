/** What a test leaves behind is taken away in the reverse order, all of it, whatever goes wrong on the way. */

/** What each test has opened, oldest first. */
const opened = new WeakMap();

/**
 * Has `close` called when the test is over, before what was there earlier is closed: a page goes before the server that
 * it would look for. (Hooks of `node:test` run in the order of their making, and the first that throws is the last.)
 */
export function atEnd(test, close) {
  if (!opened.has(test)) {
    opened.set(test, []);
    test.after(() => closeAll(opened.get(test)));
  }
  opened.get(test).push(close);
}

async function closeAll(closes) {
  const errors = [];
  while (closes.length) {
    try {
      await closes.pop()();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 1) throw new AggregateError(errors, errors.map(({ message }) => message).join('\n'));
  if (errors.length) throw errors[0];
}
