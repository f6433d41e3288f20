/**
 * Waiting in tests: for a promise, or for a state that somebody else changes. Nothing here polls or sleeps; the deadline is
 * there so that a test that would wait for ever fails and says for what.
 */

/** How long a test waits for what should take milliseconds. Generous: it is met only when something is broken. */
export const PATIENCE_MS = 20_000;

/** Settles as `promise` does, or rejects after `ms` milliseconds with an error that names `what` was waited for. */
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

/** A condition variable: whoever changes the state tells, whoever waits for a state looks again. */
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
  until<T>(look: Look<T>, what: string, ms = PATIENCE_MS, found: () => string = () => ""): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(again);
        then();
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`waited ${ms} ms for ${what}${found()}`))), ms);
      const again = () => {
        try {
          const thing = look();
          if (thing !== undefined && thing !== false) settle(() => resolve(thing));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      this.#waiting.add(again);
      again();
    });
  }
}
