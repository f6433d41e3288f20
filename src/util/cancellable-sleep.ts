/** Waiting that can be cut short for good: whoever stops does not wait for it. */
import type { Clock } from "./clock.js";

export class CancellableSleep {
  readonly #clock: Clock;
  #isCancelled = false;
  #wake: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One at a time. Does not wait after over(). */
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

  cancel(): void {
    this.#isCancelled = true;
    this.#wake();
  }
}
