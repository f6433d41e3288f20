/**
 * How old events are, by elapsed time and not by the wall clock, which may jump: a clock that is a day ahead for some seconds must
 * not empty the history, and one event stamped in the future must not keep those behind it.
 *
 * The index remembers which offset was the newest at which moment of the monotonic clock, 256 moments for one maximum age. Events
 * that were stored before the process began have only their wall-clock stamps: these count after the process has run for a minute
 * (a clock that was wrong at the start is then set), and a stamp later than the next event's is taken for as old as that.
 */

/** Moments for one maximum age: an event is kept up to 1/256 longer. */
const MAX_SAMPLES = 256;
/** Stamps of an earlier process count after this, milliseconds. */
export const STAMPS_TRUSTED_AFTER_MS = 60_000;

/** Everything up to `offset` was appended by `at`. Both rise. */
interface AgeSample {
  readonly firstAt: number;
  at: number;
  offset: number;
}

export class AgeIndex {
  readonly #maxAgeMs: number;
  readonly #sampleIntervalMs: number;
  readonly #openedAt: number;
  /** By the wall clock, until they are trusted. */
  #untrustedSamples: AgeSample[] = [];
  #samples: AgeSample[] = [];
  #expiredOffset = 0;

  /** `opened`: the monotonic time of now, milliseconds, as `maxAge`. */
  constructor(maxAge: number, opened: number) {
    this.#maxAgeMs = maxAge;
    this.#sampleIntervalMs = maxAge / MAX_SAMPLES;
    this.#openedAt = opened;
  }

  /** An event that an earlier process stored; by rising offset. `time`: its stamp, milliseconds since 1970. */
  addStored(offset: number, time: number): void {
    const samples = this.#untrustedSamples;
    // What came before an event is at least as old as it.
    while ((samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY) > time) samples.pop();
    addSample(samples, offset, time, this.#sampleIntervalMs);
  }

  /** `offset` is the newest at the monotonic time `now`. */
  sample(offset: number, now: number): void {
    if (this.#samples.at(-1)?.offset !== offset) addSample(this.#samples, offset, now, this.#sampleIntervalMs);
  }

  /** Everything up to this offset is older than the maximum age; 0 = nothing is known to be. `wall`: milliseconds since 1970. */
  expiredOffset(now: number, wall: number): number {
    if (this.#untrustedSamples.length > 0 && now - this.#openedAt >= STAMPS_TRUSTED_AFTER_MS)
      this.#trustStamps(now, wall);
    const oldest = now - this.#maxAgeMs;
    let count = 0;
    for (const { at, offset } of this.#samples) {
      if (at >= oldest) break;
      this.#expiredOffset = offset;
      count++;
    }
    if (count > 0) this.#samples.splice(0, count);
    return this.#expiredOffset;
  }

  #trustStamps(now: number, wall: number): void {
    const stamped = this.#untrustedSamples.map((mark) => ({
      ...mark,
      at: Math.min(mark.at - wall + now, this.#openedAt),
    }));
    this.#samples = [...stamped, ...this.#samples];
    this.#untrustedSamples = [];
  }
}

function addSample(samples: AgeSample[], offset: number, at: number, intervalMs: number): void {
  const last = samples.at(-1);
  if (last && at - last.firstAt < intervalMs) {
    last.at = at;
    last.offset = offset;
  } else {
    samples.push({ firstAt: at, at, offset });
  }
}
