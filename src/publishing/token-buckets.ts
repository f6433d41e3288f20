/**
 * Token buckets by name: `rate` events a second on average, `burst` at once. A batch takes as many tokens as it has events; one that is
 * larger than the bucket needs a full one, and leaves a debt.
 */
import type { Clock } from "../util/clock.js";
import { GenerationCache } from "../util/generation-cache.js";

export interface RateLimits {
  /** Events a second, above 0. */
  readonly rate: number;
  /** Events at once. */
  readonly burst: number;
}

/** Buckets that are kept: at least the half that was used last. The others are full again. */
const MAX_BUCKET_COUNT = 20_000;
const MS_PER_SECOND = 1000;

interface Bucket {
  tokens: number;
  /** When `tokens` was right: Clock.monotonic(). */
  at: number;
}

export class TokenBuckets {
  readonly #clock: Clock;
  readonly #buckets = new GenerationCache<Bucket>(MAX_BUCKET_COUNT);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  clear(): void {
    this.#buckets.clear();
  }

  /** After how many milliseconds there are enough tokens for events; 0 = there are. */
  waitMs(name: string, events: number, limits: RateLimits): number {
    const missing = Math.min(events, limits.burst) - this.#bucketOf(name, limits).tokens;
    return missing > 0 ? Math.ceil((missing / limits.rate) * MS_PER_SECOND) : 0;
  }

  /** Takes tokens for events, also those that are missing. Returns after how many milliseconds the debt is paid; 0 = there is none. */
  take(name: string, events: number, limits: RateLimits): number {
    const bucket = this.#bucketOf(name, limits);
    bucket.tokens -= events;
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / limits.rate) * MS_PER_SECOND);
  }

  #bucketOf(name: string, { rate, burst }: RateLimits): Bucket {
    const now = this.#clock.monotonic();
    const known = this.#buckets.get(name);
    const bucket = known ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / MS_PER_SECOND) * rate);
    bucket.at = now;
    if (!known) this.#buckets.set(name, bucket);
    return bucket;
  }
}
