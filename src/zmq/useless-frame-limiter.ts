/** Finds peers that send nothing but frames of no use: commands that are ignored, messages that are refused. */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";

/** So many of them in a row, in so short a time, end a connection. A heartbeat (PING) every 10 ms makes half of that. */
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

  /** Whether the last frame was of use; at first it is not. */
  get wasLastUseful(): boolean {
    return this.#wasLastUseful;
  }

  /** Throws "invalid" where there are too many; one of use starts the count again. */
  count(wasLastUseful: boolean): void {
    this.#wasLastUseful = wasLastUseful;
    if (wasLastUseful) this.#uselessCount = 0;
    else this.#countUseless();
  }

  #countUseless(): void {
    if (this.#uselessCount++ === 0) this.#since = this.#clock.monotonic();
    if (this.#uselessCount < MAX_USELESS_COUNT) return;
    if (this.#clock.monotonic() - this.#since < WINDOW_MS) throw new ProtocolError("invalid", USELESS_MESSAGE);
    this.#uselessCount = 0;
  }
}

const USELESS_MESSAGE = `the peer sent ${MAX_USELESS_COUNT} messages or commands in a row that were of no use; fix: correct what it sends`;
