/**
 * When the next flush may be sent, after the last one has been taken.
 *
 * A fence proves that Mongrel2 has taken a flush, not that it has written it. It answers, and then, if it finds its SUB socket empty,
 * lets its writers run; but if something is there already, it reads on. What is sent the moment an answer comes back often is there
 * already: on one core answer and next flush come before Mongrel2 has looked again, and flushes pile up in it, each copied for each
 * connection. So where more waits by the time a flush has been taken, it waits on: for PAUSE, in which Mongrel2 finds nothing, and for
 * another fence, which Mongrel2 reads when its writers have run. Then the next flush is all that has come meanwhile, in one body.
 * (1000 clients at 1000 events/s: p50 20 ms and p99 60 to 100, where flushes sent at once had 40 and 230.)
 *
 * Where nothing waits, what comes next is sent at once, whatever Mongrel2 is writing; but not more often than RUN times: then no
 * connection can ever have more than 2 x RUN bodies outstanding. (No kill in 360,000; without a pause, one in about 20,000.)
 */
import type { Clock } from "../util/clock.js";

/** Flushes sent one right after the other: twice as many, and the opening, must stay below Mongrel2's 16. */
const RUN = 7;
/** After an answer, milliseconds: long enough for Mongrel2 to see that nothing is there. */
const PAUSE = 1;
/**
 * While more is published than can be taken in, milliseconds after a flush until the next: what waits longest has waited for longer
 * by then, and each client's events leave in fewer bodies. (Events to one of 1000 clients each: 64,000 against 40,000/s, and half of
 * a flood of 200,000 was there after 1.7 s and not 2.5.)
 */
const GATHER = 100;

/** Calls `run` once, after the pause; perhaps never where the link's epoch ends before that. */
export type YieldTurn = (run: () => void) => void;

export interface FlushPacerOptions {
  readonly clock: Clock;
  /** See Outlet.fence. */
  readonly fence: (passed: () => void) => void;
  /** More publications are there that could not be added yet. */
  readonly isFlooded: () => boolean;
}

export class FlushPacer {
  readonly #options: FlushPacerOptions;
  /** Flushes since the last pause, and when the last one was taken. */
  #run = 0;
  #taken = Number.NEGATIVE_INFINITY;
  #isBehind = false;

  constructor(options: FlushPacerOptions) {
    this.#options = options;
  }

  /** A flush was sent. */
  sent(): void {
    this.#run++;
  }

  /** It has been taken; `isMore`: another could be sent now. */
  taken(isMore: boolean): void {
    this.#taken = this.#options.clock.monotonic();
    this.#isBehind = isMore;
  }

  /** What to wait for before the next flush is thought of again; undefined = nothing. */
  pause(): YieldTurn | undefined {
    const since = this.#options.clock.monotonic() - this.#taken;
    if (since >= PAUSE) this.#run = 0;
    if (this.#isBehind || this.#run >= RUN) return this.#written;
    if (since < GATHER && this.#options.isFlooded()) return setImmediate;
    return undefined;
  }

  /** Mongrel2's writers have run. */
  readonly #written: YieldTurn = (run) => {
    const { clock, fence } = this.#options;
    clock.after(PAUSE, () =>
      fence(() => {
        this.#isBehind = false;
        this.#run = 0;
        run();
      }),
    );
  };
}
