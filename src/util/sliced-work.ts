/**
 * Work that takes as long as there are clients, done in slices: each turn of the event loop a little, so that streams, publishers and
 * probes have their turn in between. One piece of work runs at a time and few wait for it: what several who ask cause together is
 * bounded like what one causes.
 */
import type { Clock } from "./clock.js";

/** What one turn may take, and how many steps (a clock may stand still). */
const SLICE_MS = 5;
const MAX_SLICE_STEP_COUNT = 256;
/** Pieces of work that run or wait; more are refused. */
const MAX_PENDING_COUNT = 16;

/** Each step is short; between two of them it may rest. Returns the result. */
export type Steps<Result> = Generator<undefined, Result>;

export class SlicedWork {
  readonly #clock: Clock;
  readonly #refused: () => Error;
  #pieces = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `refused` makes the error of a piece of work that is one too many. */
  constructor(clock: Clock, refused: () => Error) {
    this.#clock = clock;
    this.#refused = refused;
  }

  /** Rejects where too much waits already, and with what the work throws. */
  run<Result>(work: Steps<Result>): Promise<Result> {
    if (this.#pieces >= MAX_PENDING_COUNT) return Promise.reject(this.#refused());
    this.#pieces++;
    const done = this.#last.then(() => this.#finish(work)).finally(() => this.#pieces--);
    this.#last = done.catch(() => {}); // told to whoever asked for it
    return done;
  }

  async #finish<Result>(work: Steps<Result>): Promise<Result> {
    for (;;) {
      const result = this.#slice(work);
      if (result) return result.value;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #slice<Result>(work: Steps<Result>): { readonly value: Result } | undefined {
    const end = this.#clock.monotonic() + SLICE_MS;
    for (let step = 0; step < MAX_SLICE_STEP_COUNT && (step === 0 || this.#clock.monotonic() < end); step++) {
      const { done, value } = work.next();
      if (done) return { value };
    }
    return undefined;
  }
}
