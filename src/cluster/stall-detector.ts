/**
 * Detects a stalled consumer: it sends heartbeats, but not the newest messages of the stream. (NATS 2.9, after the stream's leader
 * had been stopped: one time in ten, a consumer created at that moment delivered the newest message only when the next one was
 * stored, which may be hours later on a quiet stream.)
 *
 * A stream whose newest messages were deleted singly looks the same, so each detection without progress doubles the number of
 * checks before the next one, up to MAX_STALLED_CHECKS.
 */
const MAX_STALLED_CHECKS = 128;

export class StallDetector {
  #takenLast = 0;
  #streamLast = 0;
  #stalledChecks = 0;
  #requiredChecks = 1;

  /** Called at each inspection: the last sequence taken and the stream's last. True = create another consumer. */
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
