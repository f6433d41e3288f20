/** A sleep that can be cancelled for good, so that a stop does not wait for it. */
import type { Clock } from "./clock.js";

export class CancellableSleep {
  readonly #clock: Clock;
  #isCancelled = false;
  #wake: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `ms` milliseconds, and at once after cancel(). One call at a time. */
  for(ms: number): Promise<void> {
    if (this.#isCancelled) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Ends the present sleep and all later ones. */
  cancel(): void {
    this.#isCancelled = true;
    this.#wake();
  }
}
