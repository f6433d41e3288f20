/**
 * Limits the cost of matching while publications are delivered, in units of work of about 10 ns: the steps of the automata, and TRY_UNITS for each
 * try. Streams whose patterns cannot be tried within the budget are deferred: see delivery/overload.ts.
 */
import type { Clock } from "../util/clock.js";
import { stepsSoFar } from "./nfa-matcher.js";

/** For one publication: 4 ms. */
export const PUBLICATION_UNITS = 400_000;
/** For all publications of one window (15 ms of 30 ms): half of one processor, and no turn much longer than 15 ms. */
const WINDOW_UNITS = 1_500_000;
const WINDOW_MS = 30;
/** Fixed cost of one try. */
export const TRY_UNITS = 20;

/** Units that may still be spent. */
export interface Budget {
  left: number;
}

export const UNLIMITED: Budget = { left: Number.POSITIVE_INFINITY };

/** Tries a pattern and deducts the cost. */
export function tryWithin(budget: Budget, test: (topic: string) => boolean, topic: string): boolean {
  const before = stepsSoFar();
  const isMatch = test(topic);
  budget.left -= stepsSoFar() - before + TRY_UNITS;
  return isMatch;
}

/** The budget of the publication that is being delivered; all servers share it. */
export class MatchBudget implements Budget {
  left = 0;
  readonly #clock: Clock;
  #begunWith = 0;
  #window = WINDOW_UNITS;
  #isLimited = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts the next publication. */
  begin(): void {
    if (this.left !== this.#begunWith) this.#deduct();
    this.left = Math.min(PUBLICATION_UNITS, this.#window);
    this.#begunWith = this.left;
  }

  /** The cost of the last publication is not available again before the window ends. */
  #deduct(): void {
    this.#window = Math.max(0, this.#window - (this.#begunWith - this.left));
    if (this.#isLimited) return;
    this.#isLimited = true;
    this.#clock.after(WINDOW_MS, () => {
      this.#isLimited = false;
      this.#window = WINDOW_UNITS;
    });
  }
}
