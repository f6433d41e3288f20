/**
 * Token buckets by name: `rate` events a second on average, `burst` at once. A batch takes as many tokens as it has events; one that is
 * larger than the bucket needs a full one, and leaves a debt.
 */
import type { Clock } from "../util/clock.js";

export interface RateLimits {
  /** Events a second, above 0. */
  readonly rate: number;
  /** Events at once. */
  readonly burst: number;
}

/** Buckets that are kept. Of more, those that have been idle for longest are full again. */
const MAX_BUCKET_COUNT = 10_000;
const MS_PER_SECOND = 1000;

interface Bucket {
  tokens: number;
  /** When `tokens` was right: Clock.monotonic(). */
  at: number;
}

export class TokenBuckets {
  readonly #clock: Clock;
  /** The one that was used last is the last. */
  readonly #buckets = new Map<string, Bucket>();

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
    const bucket = this.#buckets.get(name) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / MS_PER_SECOND) * rate);
    bucket.at = now;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > MAX_BUCKET_COUNT) this.#removeOldest();
    return bucket;
  }

  #removeOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
