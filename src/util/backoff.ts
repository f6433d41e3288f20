/** Exponential backoff. */
interface Backoff {
  /** The next delay, milliseconds. */
  next(): number;
  /** Starts again with the first delay. */
  reset(): void;
}

/**
 * Delays double from `firstMs` to `lastMs`. `random` returns a number from 0 up to 1 and shortens each delay by up to a half of it, so that
 * clients of one server do not all reconnect at the same time; absent = no jitter.
 */
export function backoff(firstMs: number, lastMs: number, random: () => number = () => 0): Backoff {
  let delayMs = firstMs;
  return {
    next() {
      const current = delayMs;
      delayMs = Math.min(delayMs * 2, lastMs);
      return current * (1 - random() / 2);
    },
    reset() {
      delayMs = firstMs;
    },
  };
}
