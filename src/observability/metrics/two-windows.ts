/** What was collected over the last 30 to 60 seconds: a window that grows and the complete one before it. Nothing runs between calls. */
import type { Clock } from "../../util/clock.js";

const WINDOW_MS = 30_000;

export class TwoWindows<Window> {
  readonly #clock: Clock;
  readonly #create: () => Window;
  #current: Window;
  #previous: Window | undefined;
  /** When the current window began: Clock.monotonic(). */
  #since: number;

  constructor(clock: Clock, create: () => Window) {
    this.#clock = clock;
    this.#create = create;
    this.#current = create();
    this.#since = clock.monotonic();
  }

  /** The window to collect in. */
  get current(): Window {
    this.#turn();
    return this.#current;
  }

  get all(): readonly Window[] {
    this.#turn();
    return this.#previous === undefined ? [this.#current] : [this.#previous, this.#current];
  }

  /** How long the windows have collected; 60 at most. */
  get seconds(): number {
    this.#turn();
    const before = this.#previous === undefined ? 0 : WINDOW_MS;
    return (before + this.#clock.monotonic() - this.#since) / 1000;
  }

  #turn(): void {
    const age = this.#clock.monotonic() - this.#since;
    if (age < WINDOW_MS) return;
    // The current one is the previous one now, unless a whole window passed after it.
    this.#previous = age < 2 * WINDOW_MS ? this.#current : this.#create();
    this.#current = this.#create();
    this.#since += Math.floor(age / WINDOW_MS) * WINDOW_MS;
  }
}
