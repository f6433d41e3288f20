/** Work that is done for many at once: when it is asked for alone, at the end of the turn; when again and again, every few milliseconds. */
import type { Cancel, Clock } from "./clock.js";

export class Coalescer {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #run: () => void;
  #isAsked = false;
  /** It was done less than an interval ago. */
  #rest: Cancel | undefined;

  /** `interval`: the least time between the end of one turn's work and the next, milliseconds. */
  constructor(clock: Clock, interval: number, run: () => void) {
    this.#clock = clock;
    this.#interval = interval;
    this.#run = run;
  }

  ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    if (!this.#rest) setImmediate(() => this.#isAsked && this.now());
  }

  /** Does it, asked or not. */
  now(): void {
    this.#isAsked = false;
    this.#rest ??= this.#clock.after(this.#interval, () => {
      this.#rest = undefined;
      if (this.#isAsked) this.now();
    });
    this.#run();
  }

  /** Nothing is done any more that was asked for before. */
  stop(): void {
    this.#isAsked = false;
    this.#rest?.();
    this.#rest = undefined;
  }
}
