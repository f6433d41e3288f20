/**
 * The age of events by elapsed time, because the wall clock may jump: a clock that is a day ahead for some seconds must not empty the
 * history, and an event with a stamp in the future must not keep the events behind it.
 *
 * The index samples the newest offset by the monotonic clock, 256 samples for one maximum age. Events of an earlier process have only
 * wall-clock stamps: these count after the process has run for a minute (a clock that was wrong at boot is set by then), and a stamp
 * that is later than the next event's is lowered to that one.
 */

/** Samples for one maximum age: an event is kept up to 1/256 longer. */
const MAX_SAMPLES = 256;
/** Wall-clock stamps of an earlier process count after this uptime. */
export const STAMPS_TRUSTED_AFTER_MS = 60_000;

/** Every event up to `offset` was appended by the time `at`, milliseconds. Both rise. */
interface AgeSample {
  readonly firstAt: number;
  at: number;
  offset: number;
}

export class AgeIndex {
  readonly #maxAgeMs: number;
  readonly #sampleIntervalMs: number;
  readonly #openedAt: number;
  /** Samples by the wall clock, until they are trusted. */
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
    // Earlier events are at least as old as this one.
    while ((samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY) > time) samples.pop();
    addSample(samples, offset, time, this.#sampleIntervalMs);
  }

  /** `offset` is the newest at the monotonic time `now`. */
  sample(offset: number, now: number): void {
    if (this.#samples.at(-1)?.offset !== offset) addSample(this.#samples, offset, now, this.#sampleIntervalMs);
  }

  /** The newest offset that is older than the maximum age; 0 = none. `now`: monotonic; `wall`: since 1970; milliseconds. */
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
