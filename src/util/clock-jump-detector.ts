/** Notices that the wall clock was set: its progress differs from the monotonic clock's. */
import type { Clock } from "./clock.js";

/** Smaller differences are corrections that nobody needs to hear of, milliseconds. */
const MIN_JUMP_MS = 60_000;

export class ClockJumpDetector {
  readonly #clock: Clock;
  readonly #jumped: (milliseconds: number) => void;
  #offset: number;

  /** `jumped` is told by how much, negative = back. */
  constructor(clock: Clock, jumped: (milliseconds: number) => void) {
    this.#clock = clock;
    this.#jumped = jumped;
    this.#offset = clock.now() - clock.monotonic();
  }

  /** Call it now and then. Slow corrections add up to a jump only if they come between two calls. */
  check(): void {
    const offset = this.#clock.now() - this.#clock.monotonic();
    const jump = offset - this.#offset;
    this.#offset = offset;
    if (Math.abs(jump) >= MIN_JUMP_MS) this.#jumped(jump);
  }
}
