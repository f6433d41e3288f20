/** Runs jobs one after another, in the order of the calls. Few may wait, so that several requests together are bounded like one. */

/** Jobs that run or wait; further ones are rejected. */
const MAX_PENDING_COUNT = 16;

export class JobQueue {
  readonly #refused: () => Error;
  #pendingCount = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `refused` creates the error for a job above the limit. */
  constructor(refused: () => Error) {
    this.#refused = refused;
  }

  /** Rejects above the limit, and with the error of the job. */
  run<Result>(job: () => Promise<Result>): Promise<Result> {
    if (this.#pendingCount >= MAX_PENDING_COUNT) return Promise.reject(this.#refused());
    this.#pendingCount++;
    const done = this.#last.then(job).finally(() => this.#pendingCount--);
    this.#last = done.catch(() => {}); // the caller of run() gets the error
    return done;
  }
}
