/** Waits that double from `first` to `last` milliseconds. */
export interface Backoff {
  next(): number;
  reset(): void;
}

export function backoff(first: number, last: number): Backoff {
  let wait = first;
  return {
    next() {
      const now = wait;
      wait = Math.min(wait * 2, last);
      return now;
    },
    reset() {
      wait = first;
    },
  };
}
