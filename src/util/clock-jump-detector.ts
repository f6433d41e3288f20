/** Detects that the wall clock was set: its progress differs from that of the monotonic clock. */
import type { Clock } from "./clock.js";

/** Smaller differences are ordinary corrections. */
const MIN_JUMP_MS = 60_000;

export class ClockJumpDetector {
  readonly #clock: Clock;
  readonly #jumped: (milliseconds: number) => void;
  #offset: number;

  /** Calls `jumped` with the size of a jump; negative = back. */
  constructor(clock: Clock, jumped: (milliseconds: number) => void) {
    this.#clock = clock;
    this.#jumped = jumped;
    this.#offset = clock.now() - clock.monotonic();
  }

  /** Compares the clocks; call it at intervals. Slow corrections count as a jump only within one interval. */
  check(): void {
    const offset = this.#clock.now() - this.#clock.monotonic();
    const jump = offset - this.#offset;
    this.#offset = offset;
    if (Math.abs(jump) >= MIN_JUMP_MS) this.#jumped(jump);
  }
}
