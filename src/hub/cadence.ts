/**
 * When the next flush may be sent, after the last one has been taken.
 *
 * A fence proves that Mongrel2 has taken a flush, not that it has written it. Mostly it finds its SUB socket empty after the
 * answer and lets its writers run; but if the next flush is there already, it reads on (one kill in about 20,000 flushes, each
 * sent the moment the last one's fence came back). So after RUN flushes without a pause comes a pause of PAUSE, in which it
 * finds nothing: then no connection can ever have more than 2 x RUN bodies outstanding. (No kill in 360,000.)
 */
import type { Clock } from "../util/clock.js";

/** Flushes sent one right after the other: twice as many, and the opening, must stay below Mongrel2's 16. */
const RUN = 7;
/** Between two flushes, milliseconds: long enough for Mongrel2 to see that nothing is there. */
const PAUSE = 1;
/**
 * While more is published than can be taken in, milliseconds after a flush until the next: what waits longest has waited for longer
 * by then, and each client's events leave in fewer bodies. (Events to one of 1000 clients each: 64,000 against 40,000/s, and half of
 * a flood of 200,000 was there after 1.7 s and not 2.5.)
 */
const GATHER = 100;

/** Calls `run` once, after the pause. */
export type Pause = (run: () => void) => void;

export class Cadence {
  readonly #clock: Clock;
  readonly #isFlooded: () => boolean;
  /** Flushes since the last pause, and when the last fence passed. */
  #run = 0;
  #passed = Number.NEGATIVE_INFINITY;

  /** `isFlooded`: more publications are there that could not be added yet. */
  constructor(clock: Clock, isFlooded: () => boolean) {
    this.#clock = clock;
    this.#isFlooded = isFlooded;
  }

  /** A flush was sent. */
  sent(): void {
    this.#run++;
  }

  /** Its fence has passed. */
  passed(): void {
    this.#passed = this.#clock.monotonic();
  }

  /** What to wait for before the next flush is thought of again; undefined = nothing. */
  pause(): Pause | undefined {
    const since = this.#clock.monotonic() - this.#passed;
    if (since >= PAUSE) this.#run = 0;
    if (this.#run >= RUN) return (run) => void this.#clock.after(PAUSE, run);
    if (since < GATHER && this.#isFlooded()) return setImmediate;
    return undefined;
  }
}
