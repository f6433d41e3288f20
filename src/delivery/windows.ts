/** The windows of all servers together: each costs memory outside of the heap, so there is a limited number of them. */
import type { Clock } from "../util/clock.js";
import { type Deflater, openDeflater } from "./deflater.js";

/** Windows at once, 130 kB each. Further audiences get bodies that need none. */
export const MAX_WINDOW_COUNT = 500;
/** A window that was not used for this time is given to another audience that wants one. */
const IDLE_MS = 10_000;
/** Between two searches for an idle one. */
const SEARCH_INTERVAL_MS = 1000;

/** What holds a window. */
export interface WindowOwner {
  /** The window is taken away: it must not be used any more. */
  windowLost(): void;
}

export interface Window {
  readonly deflater: Deflater;
  /** When it was last used: Clock.monotonic(). Written by its owner. */
  usedAt: number;
}

export interface WindowsOptions {
  readonly clock: Clock;
  /** Absent = MAX_WINDOW_COUNT. */
  readonly maxCount?: number;
  readonly open?: () => Deflater;
}

export class Windows {
  readonly #options: WindowsOptions;
  readonly #owners = new Map<WindowOwner, Window>();
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WindowsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#owners.size;
  }

  /** A window for an owner that has none; undefined = all are in use. */
  take(owner: WindowOwner): Window | undefined {
    const { clock, maxCount = MAX_WINDOW_COUNT, open = openDeflater } = this.#options;
    if (this.#owners.size >= maxCount && !this.#takeAway()) return undefined;
    const window = { deflater: open(), usedAt: clock.monotonic() };
    this.#owners.set(owner, window);
    return window;
  }

  /** The owner does not need its window any more. */
  release(owner: WindowOwner): void {
    this.#owners.get(owner)?.deflater.close();
    this.#owners.delete(owner);
  }

  /** Takes the window away that was not used for the longest time; false = none is idle. */
  #takeAway(): boolean {
    const now = this.#options.clock.monotonic();
    if (now - this.#searchedAt < SEARCH_INTERVAL_MS) return false;
    this.#searchedAt = now;
    let oldest: WindowOwner | undefined;
    let usedAt = now - IDLE_MS;
    for (const [owner, window] of this.#owners) {
      if (window.usedAt > usedAt) continue;
      usedAt = window.usedAt;
      oldest = owner;
    }
    if (oldest === undefined) return false;
    this.release(oldest);
    oldest.windowLost();
    return true;
  }
}
