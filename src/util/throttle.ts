/** Lets one of many through: for log lines that a peer could otherwise write without end. */
import type { Clock } from "./clock.js";

export class Throttle {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, { last: number; suppressed: number }>();

  /** At most one of each kind per `interval` milliseconds. */
  constructor(clock: Clock, interval: number) {
    this.#clock = clock;
    this.#intervalMs = interval;
  }

  /**
   * Calls `run` with the number that was suppressed since the last time, or counts one more. Kinds must come from a closed
   * set: each is remembered for ever.
   */
  run(kind: string, run: (suppressed: number) => void): void {
    const now = this.#clock.monotonic();
    const seen = this.#kinds.get(kind);
    if (seen && now - seen.last < this.#intervalMs) {
      seen.suppressed++;
      return;
    }
    this.#kinds.set(kind, { last: now, suppressed: 0 });
    run(seen?.suppressed ?? 0);
  }
}
