/** Waiting that can be cut short for good: whoever stops does not wait for it. */
import type { Clock } from "./clock.js";

export class CancellableSleep {
  readonly #clock: Clock;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One at a time. Does not wait after over(). */
  for(ms: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  over(): void {
    this.#isOver = true;
    this.#wake();
  }
}
