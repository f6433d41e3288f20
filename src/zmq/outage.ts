/**
 * Tells of a failure when it begins, not at each attempt that fails in the same way. A peer that is only starting, or starting again,
 * is given a moment first.
 */
import type { Clock } from "../util/clock.js";

/** Mongrel2 restarts in less. */
const GRACE_MS = 1000;
/** What a peer looks like that is not there yet. */
const PASSING = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET"]);

export class Outage {
  readonly #clock: Clock;
  #since: number | undefined;
  #told: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An attempt has failed: whether to tell. `kind`: an error code, or anything that names a failure of the same kind. */
  failed(kind: string): boolean {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    if (PASSING.has(kind) && now - this.#since < GRACE_MS) return false;
    if (kind === this.#told) return false;
    this.#told = kind;
    return true;
  }

  /** All is well: whether a failure had been told. */
  over(): boolean {
    const wasTold = this.#told !== undefined;
    this.#since = undefined;
    this.#told = undefined;
    return wasTold;
  }
}
