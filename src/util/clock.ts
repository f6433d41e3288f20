/**
 * Time as a value that is handed in, so that a test can move it. Everything in m2push that waits, repeats or stamps does
 * it through a Clock; nothing else calls setTimeout or Date.
 */

/** Stops a timer. Calling it again, or after the timer has fired, does nothing. */
export type Cancel = () => void;

export interface Clock {
  /** Wall-clock time in milliseconds since 1970; may step either way. For stamps only. */
  now(): number;
  /** Milliseconds since the machine booted; they never go back, and every process on it counts the same. For durations. */
  monotonic(): number;
  /** Calls `run` once, `ms` milliseconds from now (0 = as soon as the loop is free). */
  after(ms: number, run: () => void): Cancel;
  /** Calls `run` every `ms` milliseconds, the first time `ms` from now. */
  every(ms: number, run: () => void): Cancel;
}

/** What lies between this process's own count and that since boot (CLOCK_MONOTONIC; both are read from it). */
const [seconds, nanoseconds] = process.hrtime();
const BOOT_OFFSET_MS = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** The machine's clock. Its timers keep the process alive: close() of their owner is what ends them. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => BOOT_OFFSET_MS + performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};

/** Resolves when `done` has settled, or after `ms` milliseconds; never rejects. */
export function waitAtMost(clock: Clock, ms: number, done: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    const settled = () => {
      cancel();
      resolve();
    };
    done.then(settled, settled);
  });
}
