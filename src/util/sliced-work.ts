/**
 * Runs work that grows with the number of clients in slices, one for each turn of the event loop, so that streams, publishers and probes
 * are served in between. One job runs at a time and few wait.
 */
import type { Clock } from "./clock.js";
import { JobQueue } from "./job-queue.js";

/** Limits of one slice: time, and steps, because a test clock may stand still. */
const SLICE_MS = 5;
const MAX_SLICE_STEP_COUNT = 256;

/** A job: short steps, between which it may be suspended, and a result. */
export type Steps<Result> = Generator<undefined, Result>;

export class SlicedWork {
  readonly #clock: Clock;
  readonly #jobs: JobQueue;

  /** `refused` creates the error for a job above the limit. */
  constructor(clock: Clock, refused: () => Error) {
    this.#clock = clock;
    this.#jobs = new JobQueue(refused);
  }

  /** Rejects above the limit, and with the error of the job. */
  run<Result>(work: Steps<Result>): Promise<Result> {
    return this.#jobs.run(() => this.#finish(work));
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
