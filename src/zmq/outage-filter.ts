/**
 * Tells of a failure when it begins, not at each attempt that fails in the same way. A peer that is only starting, or starting again,
 * is given a moment first.
 */
import type { Clock } from "../util/clock.js";

/** Mongrel2 restarts in less. */
const GRACE_MS = 1000;
/** What a peer looks like that is not there yet. */
const TRANSIENT_CODES = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET"]);

export class OutageFilter {
  readonly #clock: Clock;
  #since: number | undefined;
  #reportedKind: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An attempt has failed: whether to tell. `kind`: an error code, or anything that names a failure of the same kind. */
  shouldReport(kind: string): boolean {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    if (TRANSIENT_CODES.has(kind) && now - this.#since < GRACE_MS) return false;
    if (kind === this.#reportedKind) return false;
    this.#reportedKind = kind;
    return true;
  }

  /** All is well: whether a failure had been told. */
  recovered(): boolean {
    const wasTold = this.#reportedKind !== undefined;
    this.#since = undefined;
    this.#reportedKind = undefined;
    return wasTold;
  }
}
