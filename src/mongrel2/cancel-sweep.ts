/**
 * Cancels many connections by id in slices, so that Mongrel2 serves its clients meanwhile: it handles all frames that are there before
 * anything else, 55 us each (docs/architecture/mongrel2.md 2.8). A fence follows each slice, then a pause as long as the slice
 * took. A cancel of an id that is not open has no effect and returns no notice (docs/architecture/mongrel2.md 2.5).
 */
import type { Outlet } from "../delivery/outlet.js";
import type { Cancel, Clock } from "../util/clock.js";

/** Frames of one slice: they take Mongrel2 7 ms. */
const SLICE_FRAME_COUNT = 128;
/** The shortest pause between a fence and the next slice. */
const MIN_PAUSE_MS = 10;

interface CancelSweepOptions {
  readonly clock: Clock;
  readonly outlet: Pick<Outlet, "cancel" | "fence" | "maxTargets">;
  /** Ids to leave out; called right before an id is sent. */
  readonly isTaken: (id: number) => boolean;
}

export class CancelSweep {
  readonly #options: CancelSweepOptions;
  #pause: Cancel | undefined;
  #generation = 0;

  constructor(options: CancelSweepOptions) {
    this.#options = options;
  }

  /** Cancels all `ids`; calls `done` when Mongrel2 has handled the last. Ends the sweep before, without its `done`. */
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

/** From `high` down to `low`: the newest connections are the most likely to be open. */
export function* descending(high: number, low: number): Generator<number> {
  for (let id = high; id >= low; id--) yield id;
}
