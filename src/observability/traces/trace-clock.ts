/** The time of spans: milliseconds since 1970 with fractions. It follows the monotonic clock, and the wall clock where that was set. */
import type { Clock } from "../../util/clock.js";

/** Clocks differ by less than this unless one of them was set; the wall clock alone counts whole milliseconds. */
const MAX_DRIFT_MS = 100;

export function traceClock(clock: Clock): () => number {
  let offset = clock.now() - clock.monotonic();
  return () => {
    const monotonic = clock.monotonic();
    const now = clock.now();
    if (Math.abs(now - monotonic - offset) > MAX_DRIFT_MS) offset = now - monotonic;
    return monotonic + offset;
  };
}
