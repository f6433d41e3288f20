/**
 * Finds a consumer that stands still: the server says that it is there, and does not send what the stream has. (NATS 2.9, where
 * the stream's leader had stopped for a while: one time in ten a consumer that was made just then learned of the newest
 * message only when the next was stored, and on a quiet stream that may be hours later.)
 *
 * A stream whose newest messages were deleted one by one looks the same, so the second time is looked for twice as long, and
 * so on, until something comes.
 */
const MAX_STALLED_CHECKS = 128;

export class StallDetector {
  #takenLast = 0;
  #streamLast = 0;
  #stalledChecks = 0;
  #requiredChecks = 1;

  /** To be called at each look at the stream: `last` = what was taken, `end` = the stream's newest. True = begin anew. */
  isStalled(taken: number, streamLast: number): boolean {
    const [moves, wasBehind] = [taken !== this.#takenLast, this.#streamLast > taken];
    [this.#takenLast, this.#streamLast] = [taken, streamLast];
    if (moves) this.#requiredChecks = 1;
    this.#stalledChecks = !moves && wasBehind ? this.#stalledChecks + 1 : 0;
    if (this.#stalledChecks < this.#requiredChecks) return false;
    this.#stalledChecks = 0;
    this.#requiredChecks = Math.min(2 * this.#requiredChecks, MAX_STALLED_CHECKS);
    return true;
  }
}
