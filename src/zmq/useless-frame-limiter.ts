/** Detects peers that send only useless frames: commands that are ignored, messages that are rejected. */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";

/** Useless frames in a row that end a connection when they arrive within WINDOW_MS. A PING every 10 ms makes half of that. */
const MAX_USELESS_COUNT = 1000;
const WINDOW_MS = 5000;

export class UselessFrameLimiter {
  readonly #clock: Clock;
  #uselessCount = 0;
  #wasLastUseful = false;
  #since = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the last frame was useful; false before the first one. */
  get wasLastUseful(): boolean {
    return this.#wasLastUseful;
  }

  /** Counts a frame; a useful one resets the count. Throws "invalid" at the limit. */
  count(isUseful: boolean): void {
    this.#wasLastUseful = isUseful;
    if (isUseful) this.#uselessCount = 0;
    else this.#countUseless();
  }

  #countUseless(): void {
    if (this.#uselessCount++ === 0) this.#since = this.#clock.monotonic();
    if (this.#uselessCount < MAX_USELESS_COUNT) return;
    if (this.#clock.monotonic() - this.#since < WINDOW_MS) throw new ProtocolError("invalid", USELESS_MESSAGE);
    this.#uselessCount = 0;
  }
}

const USELESS_MESSAGE = `the peer sent ${MAX_USELESS_COUNT} useless messages or commands in a row; fix: correct the peer`;
