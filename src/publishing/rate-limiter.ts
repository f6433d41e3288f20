/**
 * A token bucket for each publisher: `rate` events a second on average, `burst` at once. A batch takes as many tokens as it has events; one
 * that is larger than the bucket needs a full one, and leaves a debt.
 */
import type { Clock } from "../util/clock.js";

export interface RateLimits {
  /** Events a second; 0 = no limit. */
  readonly rate: number;
  /** Events that a publisher may publish at once. */
  readonly burst: number;
}

/** Buckets that are kept. Of more publishers, those that have been idle for longest get a full bucket again. */
const MAX_BUCKET_COUNT = 10_000;
const MS_PER_SECOND = 1000;

interface Bucket {
  tokens: number;
  /** When `tokens` was right: Clock.monotonic(). */
  at: number;
}

export class RateLimiter {
  readonly #clock: Clock;
  #limits: RateLimits;
  /** By scope; the one that was used last is the last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: RateLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Applies other limits; buckets keep what they have. */
  setLimits(limits: RateLimits): void {
    this.#limits = limits;
    if (limits.rate === 0) this.#buckets.clear();
  }

  /** Takes tokens for events, and returns 0; or takes none, and returns after how many milliseconds there are enough. */
  take(scope: string, events: number): number {
    const { rate, burst } = this.#limits;
    if (rate === 0) return 0;
    const bucket = this.#bucketOf(scope);
    const missing = Math.min(events, burst) - bucket.tokens;
    if (missing > 0) return Math.ceil((missing / rate) * MS_PER_SECOND);
    bucket.tokens -= events;
    return 0;
  }

  /**
   * For a publisher that is slowed down and not refused: takes tokens for events that were published, and returns for how many
   * milliseconds nothing more may be read from it.
   */
  pauseAfter(scope: string, events: number): number {
    const { rate } = this.#limits;
    if (rate === 0) return 0;
    const bucket = this.#bucketOf(scope);
    bucket.tokens -= events;
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / rate) * MS_PER_SECOND);
  }

  #bucketOf(scope: string): Bucket {
    const { rate, burst } = this.#limits;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(scope) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / MS_PER_SECOND) * rate);
    bucket.at = now;
    this.#buckets.delete(scope);
    this.#buckets.set(scope, bucket);
    if (this.#buckets.size > MAX_BUCKET_COUNT) this.#removeOldest();
    return bucket;
  }

  #removeOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
