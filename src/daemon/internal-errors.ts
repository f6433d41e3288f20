/** What the daemon does about its own mistakes: it goes on, and the log says so. */
import { M2pushError } from "../errors.js";
import type { Observe } from "../hub/events.js";
import type { Logger } from "../observability/log/logger.js";
import type { Clock } from "../util/clock.js";
import { Throttle } from "../util/throttle.js";

const LOG_INTERVAL_MS = 1000;

/** An observer or listener threw: a line of the log or a count is missing, and at most one line a second says so. */
export function observerFailed(log: Logger, clock: Clock): (error: unknown) => void {
  const throttle = new Throttle(clock, LOG_INTERVAL_MS);
  const text = "internal error: an event of the daemon was not logged or counted";
  return (error) =>
    throttle.run("observer", (suppressed) => log.error({ event: "internal_error", err: error, suppressed }, text));
}

/** Counts a rejected publication of the daemon itself like any other; another error is logged as an internal one. */
export function internalPublicationFailed(observe: Observe, log: Logger): (error: unknown) => void {
  return (error) => {
    if (error instanceof M2pushError) observe({ type: "publicationRejected", source: "internal", error });
    else log.error({ event: "internal_error", err: error }, "the daemon could not publish an event of its own");
  };
}
