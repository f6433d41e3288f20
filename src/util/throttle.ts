/** Limits repeated actions, such as log lines that a peer could trigger without end. */
import type { Clock } from "./clock.js";

export class Throttle {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, { last: number; suppressed: number }>();

  /** Allows one action of each kind in `intervalMs`. */
  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /**
   * Calls `action` with the number of calls suppressed since the last one, or suppresses it. Kinds must come from a closed set: each is
   * stored for ever.
   */
  run(kind: string, action: (suppressed: number) => void): void {
    const now = this.#clock.monotonic();
    const seen = this.#kinds.get(kind);
    if (seen && now - seen.last < this.#intervalMs) {
      seen.suppressed++;
      return;
    }
    this.#kinds.set(kind, { last: now, suppressed: 0 });
    action(seen?.suppressed ?? 0);
  }
}
