/**
 * Closes many connections by id, without holding Mongrel2 up: it takes all frames that are there before it does anything else, 55 us
 * each (docs/mongrel2.md). So they are sent in slices, a fence after each, and a pause as long as the slice took. A cancel for an id
 * that is not open does nothing, and nobody is told.
 */
import type { Outlet } from "../delivery/outlet.js";
import type { Cancel, Clock } from "../util/clock.js";

/** Frames of one slice: 7 ms of Mongrel2's time. */
const SLICE_FRAME_COUNT = 128;
/** Between a fence and the next slice, at least. */
const MIN_PAUSE_MS = 10;

export interface CancelSweepOptions {
  readonly clock: Clock;
  readonly outlet: Pick<Outlet, "cancel" | "fence" | "maxTargets">;
  /** Ids that are left out, asked for at the last moment. */
  readonly isTaken: (id: number) => boolean;
}

export class CancelSweep {
  readonly #options: CancelSweepOptions;
  #pause: Cancel | undefined;
  #generation = 0;

  constructor(options: CancelSweepOptions) {
    this.#options = options;
  }

  /** Cancels all of these; `done` is called when Mongrel2 has taken the last. One sweep at a time: it ends the one before. */
  run(ids: Iterable<number>, done: () => void = () => {}): void {
    this.stop();
    this.#slice(ids[Symbol.iterator](), this.#generation, done);
  }

  stop(): void {
    this.#generation++;
    this.#pause?.();
    this.#pause = undefined;
  }

  #slice(ids: Iterator<number>, generation: number, done: () => void): void {
    const { clock, outlet, isTaken } = this.#options;
    const slice: number[] = [];
    let isLast = false;
    while (!isLast && slice.length < SLICE_FRAME_COUNT * outlet.maxTargets) {
      const { done: isOver, value: id } = ids.next();
      if (isOver) isLast = true;
      else if (!isTaken(id)) slice.push(id);
    }
    const sent = clock.monotonic();
    if (slice.length > 0) outlet.cancel(slice);
    outlet.fence(() => {
      if (generation !== this.#generation) return;
      if (isLast) {
        done();
        return;
      }
      const pause = Math.max(MIN_PAUSE_MS, clock.monotonic() - sent);
      this.#pause = clock.after(pause, () => this.#slice(ids, generation, done));
    });
  }
}

/** From `high` down to `low`: the newest connections are the likeliest to be open. */
export function* descending(high: number, low: number): Generator<number> {
  for (let id = high; id >= low; id--) yield id;
}
