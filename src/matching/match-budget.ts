/**
 * What matching may cost while a publication is delivered, in units of work of about 10 ns: the steps of the automata, and
 * something for each try. Streams that cannot be tried within it are deferred: see delivery/overload.ts.
 */
import type { Clock } from "../util/clock.js";
import { stepsSoFar } from "./nfa-matcher.js";

/** For one publication: 4 ms. */
export const PUBLICATION_UNITS = 400_000;
/** For all publications in a row (15 ms), and how long that must last: half of one processor, and no turn much longer. */
const WINDOW_UNITS = 1_500_000;
const WINDOW_MS = 30;
/** Of one try, whatever comes of it. */
export const TRY_UNITS = 20;

/** Units that may still be spent. */
export interface Budget {
  left: number;
}

export const UNLIMITED: Budget = { left: Number.POSITIVE_INFINITY };

/** One try of a pattern, paid for. */
export function tryWithin(budget: Budget, test: (topic: string) => boolean, topic: string): boolean {
  const before = stepsSoFar();
  const isMatch = test(topic);
  budget.left -= stepsSoFar() - before + TRY_UNITS;
  return isMatch;
}

/** The budget of one publication after the other; one for all servers. */
export class MatchBudget implements Budget {
  left = 0;
  readonly #clock: Clock;
  #begunWith = 0;
  #window = WINDOW_UNITS;
  #isPaced = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next publication. */
  begin(): void {
    if (this.left !== this.#begunWith) this.#settle();
    this.left = Math.min(PUBLICATION_UNITS, this.#window);
    this.#begunWith = this.left;
  }

  /** What the last one has spent is gone until the window is over. */
  #settle(): void {
    this.#window = Math.max(0, this.#window - (this.#begunWith - this.left));
    if (this.#isPaced) return;
    this.#isPaced = true;
    this.#clock.after(WINDOW_MS, () => {
      this.#isPaced = false;
      this.#window = WINDOW_UNITS;
    });
  }
}
