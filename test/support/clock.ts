/** A clock that stands still until a test moves it. */
import type { Cancel, Clock } from "../../src/util/clock.js";

interface Timer {
  due: number;
  /** 0 = once. */
  readonly every: number;
  readonly run: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  /** In order of creation, which decides between timers that are due at the same time. */
  readonly #timers = new Set<Timer>();

  /** `now`: what the wall clock shows at first, milliseconds since 1970. */
  constructor(now = Date.UTC(2020, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, run: () => void): Cancel {
    return this.#add({ due: this.#monotonic + Math.max(0, ms), every: 0, run });
  }

  every(ms: number, run: () => void): Cancel {
    if (!(ms > 0)) throw new TypeError(`a repeated timer needs an interval above 0 ms, not ${ms}`);
    return this.#add({ due: this.#monotonic + ms, every: ms, run });
  }

  /** How many timers wait. 0 after close() of their owner (P6). */
  get waiting(): number {
    return this.#timers.size;
  }

  /**
   * Lets `ms` milliseconds pass: runs every timer that comes due on the way, earliest first, each at its own time, those
   * that these timers start included. advance(0) runs what is due now.
   */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#moveTo(timer.due);
      if (timer.every > 0) timer.due += timer.every;
      else this.#timers.delete(timer);
      timer.run();
    }
    this.#moveTo(end);
  }

  /** Lets `ms` milliseconds pass while the process stands still: what came due runs once, late, as Node does it. */
  skip(ms: number): void {
    this.#moveTo(this.#monotonic + ms);
    for (const timer of [...this.#timers].filter(({ due }) => due <= this.#monotonic)) {
      if (timer.every > 0) timer.due = this.#monotonic + timer.every;
      else this.#timers.delete(timer);
      timer.run();
    }
  }

  /** Sets the wall clock alone, as an operator or NTP does. No timer notices. */
  setNow(now: number): void {
    this.#now = now;
  }

  /** Moves to the moment at which the next timer is due, and runs what is due then. */
  advanceToNext(): void {
    const next = this.#next(Number.POSITIVE_INFINITY);
    if (next) this.advance(Math.max(0, next.due - this.#monotonic));
  }

  #add(timer: Timer): Cancel {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (timer.due <= end && (!next || timer.due < next.due)) next = timer;
    return next;
  }

  #moveTo(monotonic: number): void {
    this.#now += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}

/**
 * Time that passes only while the process has nothing to do: each turn of the event loop ends with the next timer. For code
 * that works in microtasks, with peers in memory: however slow the machine is, no timeout comes before an answer that is due.
 */
export function eagerClock(): Clock {
  const clock = new FakeClock();
  let isTurning = false;
  const turn = () => {
    isTurning = false;
    clock.advanceToNext();
    go();
  };
  const go = () => {
    if (isTurning || clock.waiting === 0) return;
    isTurning = true;
    setImmediate(turn);
  };
  const started = (cancel: Cancel) => {
    go();
    return cancel;
  };
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, run) => started(clock.after(ms, run)),
    every: (ms, run) => started(clock.every(ms, run)),
  };
}
