/**
 * Limits the CPU time for compiling the patterns of requests. One request may cost MAX_COMPILE_UNITS, but many requests arrive in one turn
 * of the event loop: their total work is limited too, and requests beyond it are queued. Streams and requests without patterns are never
 * delayed.
 */
import { M2pushError } from "../errors.js";
import { CompileWork } from "../matching/compile-work.js";
import type { Clock } from "../util/clock.js";

/** Units of work (about 10 ns each) in one window: a turn takes at most these and one request more. */
const WINDOW_WORK_COUNT = 500_000;
/** 5 ms of work in 20 ms: a quarter of one core. */
const WINDOW_MS = 20;
/** Queued requests; with the most expensive patterns that one request may have they take 5 s. */
const MAX_QUEUED_REQUEST_COUNT = 250;

export class CompileQueue {
  readonly #clock: Clock;
  #units = 0;
  #hasTimer = false;
  #queued: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs now, or in a later turn in the order of the calls. Rejects with "unavailable" if too many requests are queued. */
  compile<T>(run: (work: CompileWork) => T): T | Promise<T> {
    if (this.#units < WINDOW_WORK_COUNT && this.#queued.length === 0) return this.#run(run);
    if (this.#queued.length >= MAX_QUEUED_REQUEST_COUNT) {
      return Promise.reject(new M2pushError("unavailable", "too many patterns are queued; fix: try again later"));
    }
    return new Promise((resolve, reject) => {
      this.#queued.push(() => {
        try {
          resolve(this.#run(run));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #run<T>(run: (work: CompileWork) => T): T {
    const work = new CompileWork();
    try {
      return run(work);
    } finally {
      this.#units += work.performed;
      if (this.#units > 0) this.#startWindow();
    }
  }

  #startWindow(): void {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    this.#clock.after(WINDOW_MS, () => {
      this.#hasTimer = false;
      this.#units = Math.max(0, this.#units - WINDOW_WORK_COUNT);
      while (this.#units < WINDOW_WORK_COUNT) {
        const next = this.#queued.shift();
        if (!next) break;
        next();
      }
      if (this.#units > 0) this.#startWindow();
    });
  }
}
