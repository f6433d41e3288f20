/**
 * Finds a consumer that stands still: the server says that it is there, and does not send what the stream has. (NATS 2.9, where
 * the stream's leader had stopped for a while: one time in ten a consumer that was made just then learned of the newest
 * message only when the next was stored, and on a quiet stream that may be hours later.)
 *
 * A stream whose newest messages were deleted one by one looks the same, so the second time is looked for twice as long, and
 * so on, until something comes.
 */
const MOST_LOOKS = 128;

export class StallDetector {
  #last = 0;
  #end = 0;
  #looks = 0;
  #patience = 1;

  /** To be called at each look at the stream: `last` = what was taken, `end` = the stream's newest. True = begin anew. */
  at(last: number, end: number): boolean {
    const [moves, wasBehind] = [last !== this.#last, this.#end > last];
    [this.#last, this.#end] = [last, end];
    if (moves) this.#patience = 1;
    this.#looks = !moves && wasBehind ? this.#looks + 1 : 0;
    if (this.#looks < this.#patience) return false;
    this.#looks = 0;
    this.#patience = Math.min(2 * this.#patience, MOST_LOOKS);
    return true;
  }
}
