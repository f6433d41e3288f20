/** How late the event loop is: a timer of libuv, so that an idle daemon runs no JavaScript for it. */
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface EventLoopLag {
  /** The delays of the timer since the last call, milliseconds, rising; about ten for each second. */
  take(): readonly number[];
  close(): void;
}

/** Interval of the timer. A longer stall of the loop is always seen. */
const INTERVAL_MS = 100;
const NANOSECONDS_PER_MS = 1e6;

export function measureEventLoopLag(): EventLoopLag {
  // It records the time between two runs of the timer.
  const intervals = monitorEventLoopDelay({ resolution: INTERVAL_MS });
  intervals.enable();
  return {
    take() {
      const { count } = intervals;
      const lags = Array.from({ length: count }, (_, at) => {
        const intervalMs = intervals.percentile((100 * (at + 0.5)) / count) / NANOSECONDS_PER_MS;
        return Math.max(0, intervalMs - INTERVAL_MS);
      });
      intervals.reset();
      return lags;
    },
    close: () => void intervals.disable(),
  };
}
