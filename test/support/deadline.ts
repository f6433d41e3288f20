/**
 * Waiting in tests: for a promise, or for a state that somebody else changes. Nothing here polls or sleeps; the deadline is
 * there so that a test that would wait for ever fails and says for what.
 */

/** Time limit for an event that takes milliseconds. Generous: a test reaches it only when something is broken. */
export const WAIT_TIMEOUT_MS = 20_000;

/** Returns the outcome of `promise`, or rejects after `ms` milliseconds with an error that names `what` was waited for. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a look at some state found; undefined and false mean "not yet". */
export type Look<T> = () => T | undefined | false;

/** A condition variable: the code that changes the state calls tell(), and each waiting look runs again. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  /** The state has changed. */
  tell(): void {
    for (const look of [...this.#waiting]) look();
  }

  /**
   * Resolves with the first thing `look` finds, now or after a change. Rejects with what `look` throws, and after `ms`
   * milliseconds; `found` then tells what there was instead.
   */
  until<T>(look: Look<T>, what: string, ms = WAIT_TIMEOUT_MS, found: () => string = () => ""): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (then: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(again);
        then();
      };
      const timer = setTimeout(() => finish(() => reject(new Error(`waited ${ms} ms for ${what}${found()}`))), ms);
      const again = () => {
        try {
          const thing = look();
          if (thing !== undefined && thing !== false) finish(() => resolve(thing));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      this.#waiting.add(again);
      again();
    });
  }
}
