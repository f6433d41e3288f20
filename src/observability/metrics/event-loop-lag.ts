/**
 * How late the event loop is, by a timer. Not monitorEventLoopDelay() of node:perf_hooks: it cannot tell the delays of the last second,
 * because its reset() also drops the interval under way, with a stall that began in it, and without reset() it only has percentiles since
 * the start.
 */
import type { Clock } from "../../util/clock.js";

export interface EventLoopLag {
  /** The delays of the timer since the last call, milliseconds, rising; about ten for each second. */
  take(): readonly number[];
  close(): void;
}

/** Interval of the timer. A longer stall of the loop is always seen. */
const INTERVAL_MS = 100;

export function measureEventLoopLag(clock: Clock): EventLoopLag {
  let lags: number[] = [];
  let last = clock.monotonic();
  const cancel = clock.every(INTERVAL_MS, () => {
    const now = clock.monotonic();
    lags.push(Math.max(0, now - last - INTERVAL_MS));
    last = now;
  });
  return {
    take() {
      const taken = lags.sort((a, b) => a - b);
      lags = [];
      return taken;
    },
    close: cancel,
  };
}
