/**
 * Waits that double from `first` to `last` milliseconds. With `random` (0 to 1) each is shortened by up to a half of itself, so that
 * those who lost the same peer do not all come back at the same moment.
 */
export interface Backoff {
  next(): number;
  reset(): void;
}

export function backoff(firstMs: number, lastMs: number, random: () => number = () => 0): Backoff {
  let wait = firstMs;
  return {
    next() {
      const now = wait;
      wait = Math.min(wait * 2, lastMs);
      return now * (1 - random() / 2);
    },
    reset() {
      wait = firstMs;
    },
  };
}
