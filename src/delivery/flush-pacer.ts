/**
 * Decides when the next flush may follow the last one.
 *
 * A fence proves that Mongrel2 has taken a flush, not that it has written it. Mongrel2 answers the fence, and lets its writers run only if
 * its SUB socket is empty then; otherwise it reads on. A flush sent in response to a fence is often there already: on one core the answer and
 * the next flush arrive before Mongrel2 looks again, and flushes accumulate in it, each copied for each connection. So where more is queued
 * when a flush is taken, it waits: for WRITE_PAUSE_MS, in which Mongrel2 finds nothing to read, and for another fence, which Mongrel2 reads
 * after its writers have run. The next flush then holds everything queued meanwhile in one body. (1000 clients at 1000 events/s: p50 20 ms
 * and p99 60 to 100 ms; flushes sent at once had 40 and 230.)
 *
 * Where nothing is queued, the next publication is sent at once, whatever Mongrel2 is writing, but at most MAX_RUN_FLUSHES times in a row:
 * no connection can then have more than 2 x MAX_RUN_FLUSHES undelivered bodies. (No connection killed in 360,000; without a pause, one in
 * about 20,000.)
 */
import type { Clock } from "../util/clock.js";

/** Flushes sent one right after the other: twice as many, and the opening, must stay below Mongrel2's 16. */
const MAX_RUN_FLUSHES = 7;
/** Long enough for Mongrel2 to find its SUB socket empty. */
const WRITE_PAUSE_MS = 1;
/**
 * The least time between two flushes while more is published for these clients than can be added: the queues are longer then, and each client
 * gets its events in fewer bodies. (Events to one of 1000 clients each: 64,000/s against 40,000/s, and half of a flood of 200,000 arrived
 * after 1.7 s instead of 2.5 s.) A flood of events that they do not get delays theirs by GROWTH_INTERVAL_MS.
 */
const FLOOD_INTERVAL_MS = 100;
/**
 * The queues count as growing for this long after they grew: longer than a turn that takes messages. (One turn instead of it: unicast lost a
 * tenth of its rate, because a flush came before the next messages.)
 */
const GROWTH_INTERVAL_MS = 10;

/** Calls `run` once, after the pause; never if the link is lost before. */
export type YieldTurn = (run: () => void) => void;

export interface FlushPacerOptions {
  readonly clock: Clock;
  /** See Outlet.fence. */
  readonly fence: (passed: () => void) => void;
  /** Whether more publications have arrived than could be added yet. */
  readonly isFlooded: () => boolean;
}

export class FlushPacer {
  readonly #options: FlushPacerOptions;
  /** Flushes since the last pause. */
  #run = 0;
  /** When the last flush was taken: Clock.monotonic(). */
  #takenAt = Number.NEGATIVE_INFINITY;
  #isBehind = false;
  /** How many publications had been queued when a pause was last asked for, and when that number last changed: Clock.monotonic(). */
  #queuedCount = 0;
  #grownAt = Number.NEGATIVE_INFINITY;

  constructor(options: FlushPacerOptions) {
    this.#options = options;
  }

  /** A flush was sent. */
  sent(): void {
    this.#run++;
  }

  /** Mongrel2 has taken the flush; `isMore`: another one could be sent now. */
  taken(isMore: boolean): void {
    this.#takenAt = this.#options.clock.monotonic();
    this.#isBehind = isMore;
  }

  /** What must be awaited before the next flush is considered; undefined = nothing. `queuedCount`: publications that were ever queued. */
  pause(queuedCount: number): YieldTurn | undefined {
    const now = this.#options.clock.monotonic();
    if (queuedCount !== this.#queuedCount) this.#grownAt = now;
    this.#queuedCount = queuedCount;
    const since = now - this.#takenAt;
    if (since >= WRITE_PAUSE_MS) this.#run = 0;
    if (this.#isBehind || this.#run >= MAX_RUN_FLUSHES) return this.#untilWritten;
    const isGrowing = now - this.#grownAt < GROWTH_INTERVAL_MS;
    if (isGrowing && since < FLOOD_INTERVAL_MS && this.#options.isFlooded()) return setImmediate;
    return undefined;
  }

  /** Waits until Mongrel2's writers have run. */
  readonly #untilWritten: YieldTurn = (run) => {
    const { clock, fence } = this.#options;
    clock.after(WRITE_PAUSE_MS, () =>
      fence(() => {
        this.#isBehind = false;
        this.#run = 0;
        run();
      }),
    );
  };
}
