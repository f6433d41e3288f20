/**
 * Limits the time that large bodies take in one turn of the event loop. Mongrel2 may hand over many at once, and its notices come behind
 * them: those beyond the limit wait, while small requests, notices and publishers over ZeroMQ are served in between. (With eight publishers
 * of batches with keys, 27 ms each, an event of another publisher was 430 ms late.)
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";

/** Smaller bodies are never queued: 4 kB of JSON take 0.2 ms. */
const SMALL_BODY_BYTES = 4096;
/** No further body is begun in a turn after this time. */
const TURN_MS = 5;
/** Queued requests: at most 64 MB with the default of max_batch_bytes. */
const MAX_QUEUED_REQUEST_COUNT = 250;

export class LargeBodyQueue {
  readonly #clock: Clock;
  /** Time that was spent in this turn. */
  #spentMs = 0;
  #isScheduled = false;
  #queued: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Runs the work of a request with a body of `bytes` now, or in a later turn in the order of the calls; resolves with its result. Rejects with
   * its error, and with "unavailable" if too many requests are queued.
   */
  run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    if (bytes <= SMALL_BODY_BYTES) return work();
    if (this.#spentMs < TURN_MS && this.#queued.length === 0) return this.#run(work);
    if (this.#queued.length >= MAX_QUEUED_REQUEST_COUNT)
      return Promise.reject(new M2pushError("unavailable", "too many large requests are queued; fix: repeat it later"));
    return new Promise((resolve) => this.#queued.push(() => resolve(this.#run(work))));
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    const start = this.#clock.monotonic();
    this.#schedule();
    try {
      return work();
    } finally {
      this.#spentMs += this.#clock.monotonic() - start;
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#spentMs = 0;
      while (this.#spentMs < TURN_MS) {
        const next = this.#queued.shift();
        if (!next) return;
        next();
      }
    });
  }
}
