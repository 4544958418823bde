/** Waiting for what a test expects instead of for time to pass. */
import { setTimeout as sleep } from 'node:timers/promises';

/** How long something may take before a test says that it does not happen. */
const PATIENCE_MS = 10_000;

/** The next event of this type for which `accept` holds. */
export function event(target, type, accept = () => true) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${type} event within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    const listener = (happened) => {
      if (!accept(happened)) return;
      clearTimeout(late);
      target.removeEventListener(type, listener);
      resolve(happened);
    };
    target.addEventListener(type, listener);
  });
}

/** The first truthy answer of `condition`. */
export async function until(condition, what = condition) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await sleep(2);
  }
}

/** The events of these types, in the order in which they come. */
export function record(target, ...types) {
  const seen = [];
  for (const type of types) target.addEventListener(type, (happened) => seen.push(happened));
  return seen;
}
