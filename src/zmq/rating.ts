/** Finds peers that send nothing but frames of no use: commands that are ignored, messages that are refused. */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";

/** So many of them in a row, in so short a time, end a connection. A heartbeat (PING) every 10 ms makes half of that. */
const MAX_USELESS = 1000;
const WINDOW_MS = 5000;

export class Rating {
  readonly #clock: Clock;
  #useless = 0;
  #isUseful = false;
  #since = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the last frame was of use; at first it is not. */
  get isUseful(): boolean {
    return this.#isUseful;
  }

  /** Throws "invalid" where there are too many; one of use starts the count again. */
  count(isUseful: boolean): void {
    this.#isUseful = isUseful;
    if (isUseful) this.#useless = 0;
    else this.#countUseless();
  }

  #countUseless(): void {
    if (this.#useless++ === 0) this.#since = this.#clock.monotonic();
    if (this.#useless < MAX_USELESS) return;
    if (this.#clock.monotonic() - this.#since < WINDOW_MS) throw new ProtocolError("invalid", USELESS);
    this.#useless = 0;
  }
}

const USELESS = `the peer sent ${MAX_USELESS} messages or commands in a row that were of no use; fix: correct what it sends`;
