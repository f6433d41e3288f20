/**
 * When the patterns of a request are compiled. One request may cost MAX_COMPILE_UNITS, but many of them come in one turn of the
 * event loop, and one after the other: so what all of them cost together is bounded, too, and those beyond it wait. Streams
 * and requests without patterns never wait here.
 */
import { M2pushError } from "../errors.js";
import { CompileWork } from "../matching/compile-work.js";
import type { Clock } from "../util/clock.js";

/** Units of work (about 10 ns) done in a row: a turn takes at most this and one request more. */
const WINDOW_UNITS = 500_000;
/** How long that must last: 5 ms of 20, a quarter of one processor. */
const WINDOW_MS = 20;
/** Requests that wait; with the dearest patterns that a request may have, for 5 s. */
const MAX_WAITING = 250;

export class CompileQueue {
  readonly #clock: Clock;
  #units = 0;
  #isPaced = false;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs now, or in a later turn, first come, first served. Rejects with "unavailable" when too many wait. */
  compile<T>(run: (work: CompileWork) => T): T | Promise<T> {
    if (this.#units < WINDOW_UNITS && this.#waiting.length === 0) return this.#run(run);
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(
        new M2pushError("unavailable", "too many patterns wait to be compiled; fix: ask again later"),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
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
      if (this.#units > 0) this.#pace();
    }
  }

  #pace(): void {
    if (this.#isPaced) return;
    this.#isPaced = true;
    this.#clock.after(WINDOW_MS, () => {
      this.#isPaced = false;
      this.#units = Math.max(0, this.#units - WINDOW_UNITS);
      while (this.#units < WINDOW_UNITS) {
        const next = this.#waiting.shift();
        if (!next) break;
        next();
      }
      if (this.#units > 0) this.#pace();
    });
  }
}
