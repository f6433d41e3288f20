/**
 * Reports a failure when it begins, and not again at each attempt that fails in the same way. Failures of a peer that starts or restarts
 * are not reported for GRACE_MS.
 */
import type { Clock } from "../util/clock.js";

/** A restart of Mongrel2 takes less. */
const GRACE_MS = 1000;
/** libzmq could not connect: it does not report the error code. */
export const NO_CONNECTION = "no connection";
/** Error codes of a peer that is not up yet. */
const TRANSIENT_CODES = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET", NO_CONNECTION]);

export class OutageFilter {
  readonly #clock: Clock;
  #since: number | undefined;
  #reportedKind: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An attempt has failed. `kind`: an error code, or any text that identifies failures of the same kind. */
  shouldReport(kind: string): boolean {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    if (TRANSIENT_CODES.has(kind) && now - this.#since < GRACE_MS) return false;
    if (kind === this.#reportedKind) return false;
    this.#reportedKind = kind;
    return true;
  }

  /** An attempt has succeeded. Returns whether a failure had been reported. */
  recovered(): boolean {
    const wasReported = this.#reportedKind !== undefined;
    this.#since = undefined;
    this.#reportedKind = undefined;
    return wasReported;
  }
}
