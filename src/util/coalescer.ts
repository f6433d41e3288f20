/** Coalesces requests for the same work: one run serves all requests of a tick, and repeated requests run once per interval. */
import type { Cancel, Clock } from "./clock.js";

export class Coalescer {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #run: () => void;
  #isRequested = false;
  /** Set for one interval after each run. */
  #cancelPause: Cancel | undefined;

  /** `intervalMs`: the shortest time between two runs. */
  constructor(clock: Clock, intervalMs: number, run: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#run = run;
  }

  /** Runs at the end of the tick, or when the interval is over. */
  request(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    if (!this.#cancelPause) setImmediate(() => this.#isRequested && this.runNow());
  }

  /** Runs at once, requested or not. */
  runNow(): void {
    this.#isRequested = false;
    this.#cancelPause ??= this.#clock.after(this.#intervalMs, () => {
      this.#cancelPause = undefined;
      if (this.#isRequested) this.runNow();
    });
    this.#run();
  }

  /** Cancels the requests. */
  stop(): void {
    this.#isRequested = false;
    this.#cancelPause?.();
    this.#cancelPause = undefined;
  }
}
