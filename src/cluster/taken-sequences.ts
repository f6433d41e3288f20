/** Waits until this daemon has taken a message of the stream. */
import { type Clock, waitAtMost } from "../util/clock.js";

/** How long a message that the stream has stored may take to come back. */
const TAKE_TIMEOUT_MS = 5000;

export class TakenSequences {
  readonly #clock: Clock;
  readonly #last: () => number;
  #waiting: { readonly sequence: number; readonly resolve: () => void }[] = [];

  /** `last`: the newest one. */
  constructor(clock: Clock, last: () => number) {
    this.#clock = clock;
    this.#last = last;
  }

  /** This daemon has taken the message. */
  taken(sequence: number): void {
    if (this.#waiting.length === 0) return;
    for (const { sequence: awaited, resolve } of this.#waiting) if (awaited <= sequence) resolve();
    this.#waiting = this.#waiting.filter((it) => it.sequence > sequence);
  }

  /** False after TAKE_TIMEOUT_MS. */
  async waitFor(sequence: number): Promise<boolean> {
    if (this.#last() >= sequence) return true;
    const taken = new Promise<void>((resolve) => this.#waiting.push({ sequence, resolve }));
    await waitAtMost(this.#clock, TAKE_TIMEOUT_MS, taken);
    return this.#last() >= sequence;
  }
}
