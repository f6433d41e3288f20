/** Quantiles of durations over the last 30 to 60 seconds. Buckets grow by 9 %, so a quantile is exact to 5 %. */
import type { Clock } from "../../util/clock.js";
import { TwoWindows } from "./two-windows.js";

/** Buckets for each doubling of the duration. */
const DOUBLING_BUCKET_COUNT = 8;
/** Shorter durations count as 0. */
const MIN_DURATION_MS = 1 / 128;
/** Longer ones count as this: 17 minutes. */
const MAX_DURATION_MS = 1_048_576;
const BUCKET_COUNT = Math.log2(MAX_DURATION_MS / MIN_DURATION_MS) * DOUBLING_BUCKET_COUNT;

export class QuantileWindow {
  readonly #windows: TwoWindows<Uint32Array>;

  constructor(clock: Clock) {
    this.#windows = new TwoWindows(clock, () => new Uint32Array(BUCKET_COUNT));
  }

  observe(ms: number): void {
    const bucket = Math.floor(Math.log2(ms / MIN_DURATION_MS) * DOUBLING_BUCKET_COUNT);
    const at = Math.max(0, Math.min(BUCKET_COUNT - 1, bucket)); // 0 ms: log2 is -Infinity
    const { current } = this.#windows;
    current[at] = (current[at] ?? 0) + 1;
  }

  /** Durations in the window. */
  get count(): number {
    return this.#windows.all.reduce((sum, window) => window.reduce((total, count) => total + count, sum), 0);
  }

  /** Milliseconds that this share of the durations did not exceed, for example 0.99; undefined = there was none. */
  quantile(share: number): number | undefined {
    const { count } = this;
    if (count === 0) return undefined;
    let left = Math.max(1, Math.ceil(share * count));
    const windows = this.#windows.all;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      for (const window of windows) left -= window[bucket] ?? 0;
      if (left <= 0) return middleOf(bucket);
    }
    return undefined;
  }
}

/** The geometric middle of a bucket, milliseconds; 0 for the first one, which has everything below, too. */
const middleOf = (bucket: number): number =>
  bucket === 0 ? 0 : MIN_DURATION_MS * 2 ** ((bucket + 0.5) / DOUBLING_BUCKET_COUNT);
