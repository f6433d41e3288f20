/**
 * Time as an injected dependency, so that tests control it. All code of m2push that waits, repeats or stamps uses a Clock; nothing else
 * calls setTimeout or Date.
 */

/** Stops a timer. Calling it again, or after the timer has fired, does nothing. */
export type Cancel = () => void;

export interface Clock {
  /** Wall-clock time, milliseconds since 1970; it may jump. For stamps only. */
  now(): number;
  /** Milliseconds since the machine booted; never goes back, and is the same in every process. For durations. */
  monotonic(): number;
  /** Calls `run` once, `ms` milliseconds from now (0 = in the next turn of the event loop). */
  after(ms: number, run: () => void): Cancel;
  /** Calls `run` every `ms` milliseconds, the first time `ms` from now. */
  every(ms: number, run: () => void): Cancel;
}

/** Difference between performance.now() and the time since boot (CLOCK_MONOTONIC, which both are based on). */
const [seconds, nanoseconds] = process.hrtime();
const BOOT_OFFSET_MS = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** The clock of the machine. Its timers keep the process alive until their owner cancels them. */
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

/** Waits for `done` to settle, at most `ms` milliseconds. Never rejects. */
export function waitAtMost(clock: Clock, ms: number, done: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    const finish = () => {
      cancel();
      resolve();
    };
    done.then(finish, finish);
  });
}
