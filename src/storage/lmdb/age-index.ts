/**
 * How old events are, by elapsed time and not by the wall clock, which may jump: a clock that is a day ahead for some seconds must
 * not empty the history, and one event stamped in the future must not keep those behind it.
 *
 * The index remembers which offset was the newest at which moment of the monotonic clock, 256 moments for one maximum age. Events
 * that were stored before the process began have only their wall-clock stamps: these count after the process has run for a minute
 * (a clock that was wrong at the start is then set), and a stamp later than the next event's is taken for as old as that.
 */

/** Moments for one maximum age: an event is kept up to 1/256 longer. */
const MOMENTS = 256;
/** Stamps of an earlier process count after this, milliseconds. */
export const STAMPS_TRUSTED_AFTER_MS = 60_000;

/** Everything up to `offset` was appended by `at`. Both rise. */
interface Mark {
  readonly first: number;
  at: number;
  offset: number;
}

export class AgeIndex {
  readonly #maxAge: number;
  readonly #step: number;
  readonly #opened: number;
  /** By the wall clock, until they are trusted. */
  #stamped: Mark[] = [];
  #marks: Mark[] = [];
  #expired = 0;

  /** `opened`: the monotonic time of now, milliseconds, as `maxAge`. */
  constructor(maxAge: number, opened: number) {
    this.#maxAge = maxAge;
    this.#step = maxAge / MOMENTS;
    this.#opened = opened;
  }

  /** An event that an earlier process stored; by rising offset. `time`: its stamp, milliseconds since 1970. */
  addStored(offset: number, time: number): void {
    const marks = this.#stamped;
    // What came before an event is at least as old as it.
    while ((marks.at(-1)?.at ?? Number.NEGATIVE_INFINITY) > time) marks.pop();
    add(marks, offset, time, this.#step);
  }

  /** `offset` is the newest at the monotonic time `now`. */
  note(offset: number, now: number): void {
    if (this.#marks.at(-1)?.offset !== offset) add(this.#marks, offset, now, this.#step);
  }

  /** Everything up to this offset is older than the maximum age; 0 = nothing is known to be. `wall`: milliseconds since 1970. */
  expired(now: number, wall: number): number {
    if (this.#stamped.length > 0 && now - this.#opened >= STAMPS_TRUSTED_AFTER_MS) this.#trustStamps(now, wall);
    const oldest = now - this.#maxAge;
    let count = 0;
    for (const { at, offset } of this.#marks) {
      if (at >= oldest) break;
      this.#expired = offset;
      count++;
    }
    if (count > 0) this.#marks.splice(0, count);
    return this.#expired;
  }

  #trustStamps(now: number, wall: number): void {
    const stamped = this.#stamped.map((mark) => ({ ...mark, at: Math.min(mark.at - wall + now, this.#opened) }));
    this.#marks = [...stamped, ...this.#marks];
    this.#stamped = [];
  }
}

function add(marks: Mark[], offset: number, at: number, step: number): void {
  const last = marks.at(-1);
  if (last && at - last.first < step) {
    last.at = at;
    last.offset = offset;
  } else {
    marks.push({ first: at, at, offset });
  }
}
