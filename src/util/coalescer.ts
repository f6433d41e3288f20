/** Work that is done for many at once: when it is asked for alone, at the end of the turn; when again and again, every few milliseconds. */
import type { Cancel, Clock } from "./clock.js";

export class Coalescer {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #run: () => void;
  #isRequested = false;
  /** It was done less than an interval ago. */
  #cancelPause: Cancel | undefined;

  /** `interval`: the least time between the end of one turn's work and the next, milliseconds. */
  constructor(clock: Clock, interval: number, run: () => void) {
    this.#clock = clock;
    this.#intervalMs = interval;
    this.#run = run;
  }

  request(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    if (!this.#cancelPause) setImmediate(() => this.#isRequested && this.runNow());
  }

  /** Does it, asked or not. */
  runNow(): void {
    this.#isRequested = false;
    this.#cancelPause ??= this.#clock.after(this.#intervalMs, () => {
      this.#cancelPause = undefined;
      if (this.#isRequested) this.runNow();
    });
    this.#run();
  }

  /** Nothing is done any more that was asked for before. */
  stop(): void {
    this.#isRequested = false;
    this.#cancelPause?.();
    this.#cancelPause = undefined;
  }
}
