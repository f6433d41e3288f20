/**
 * Whether Mongrel2 answers. Fences that the hub sends tell it while there is traffic; a link that is quiet is asked with one of its own
 * now and then, so that a Mongrel2 that stands still is noticed without any. Who does not answer for SILENCE_MS is silent, until a
 * fence passes. Then the ZeroMQ library at its end is asked, too (PING): it answers where Mongrel2 is busy, or its notices go to
 * another handler. A link on which neither has answered for `linkTimeoutMs` is connected again.
 */
import type { Cancel, Clock } from "../util/clock.js";

/** How often the watch looks, milliseconds. */
const CHECK_INTERVAL_MS = 500;
/** A fence that has not passed for this long is asked again: its answer may have gone to another handler. Milliseconds. */
const FENCE_RETRY_AFTER_MS = 1000;
/**
 * A quiet link is asked with a fence after this long, and up to three times as long again by chance: two daemons on one send_spec that
 * asked in step would each get their own answers for ever. Milliseconds.
 */
const MIN_FENCE_INTERVAL_MS = 500;
/**
 * After a notice that another process asked for, the link is asked at each look for so long, by chance twice: so each of the two hears
 * of the other. Milliseconds.
 */
const ALERT_DURATION_MS = 10_000;
/** After this much silence Mongrel2 is told to be silent, milliseconds. */
const SILENT_AFTER_MS = 5000;
/** Between two questions to the library while Mongrel2 is silent, milliseconds. */
const PING_INTERVAL_MS = 5000;

export interface LinkWatchOptions {
  readonly clock: Clock;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** 0 = never. */
  readonly linkTimeoutMs: number;
  readonly live: () => boolean;
  /** How long the oldest fence has waited, milliseconds; 0 when none is pending. */
  readonly oldestPendingMs: (now: number) => number;
  /** Sends a fence. */
  readonly sendFence: () => void;
  /** Asks the peers' library. */
  readonly sendPing: () => void;
  readonly silent: (milliseconds: number) => void;
  /** Silence is over. */
  readonly answering: () => void;
  /** Nothing has answered for `linkTimeoutMs`. */
  readonly reconnect: () => void;
}

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  #timer: Cancel | undefined;
  /** When Mongrel2 was last known to answer, or waiting for it began: monotonic. */
  #answeredAt = 0;
  /** When anything at its end did, be it libzmq; or the link was connected again. */
  #heardAt = 0;
  #checkedAt = 0;
  #fenceIntervalMs = MIN_FENCE_INTERVAL_MS;
  #alertUntil = 0;
  #pingAt = 0;
  #isSilent = false;

  constructor(options: LinkWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#restart();
    this.#checkedAt = this.#answeredAt;
    this.#timer = this.#options.clock.every(CHECK_INTERVAL_MS, () => this.#check());
  }

  stop(): void {
    this.#timer?.();
  }

  /** How long Mongrel2 has not answered, milliseconds. */
  silentFor(now: number): number {
    return now - this.#answeredAt;
  }

  /** A fence has passed. */
  fencePassed(now: number): void {
    this.#answeredAt = now;
    this.#heardAt = now;
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#options.answering();
  }

  /** The library at Mongrel2's end has answered. */
  pong(now: number): void {
    this.#heardAt = now;
  }

  /** A notice has come that another process asked for. */
  foreignNotice(now: number): void {
    this.#alertUntil = now + ALERT_DURATION_MS;
  }

  /** The link is lost: waiting begins again. Silence goes on until a fence passes. */
  linkLost(): void {
    if (!this.#isSilent) this.#restart();
  }

  #restart(): void {
    const now = this.#options.clock.monotonic();
    this.#answeredAt = now;
    this.#heardAt = now;
  }

  #check(): void {
    const { clock, live: isLive, oldestPendingMs: waited, silent, reconnect, linkTimeoutMs } = this.#options;
    const now = clock.monotonic();
    this.#discountOwnPause(now);
    if (isLive()) this.#maybeSendFence(now, waited(now));
    if (!this.#isSilent && now - this.#answeredAt >= SILENT_AFTER_MS) {
      this.#isSilent = true;
      silent(now - this.#answeredAt);
    }
    if (this.#isSilent) this.#maybeSendPing(now);
    if (linkTimeoutMs === 0 || now - this.#heardAt < linkTimeoutMs) return;
    this.#heardAt = now;
    reconnect();
  }

  #maybeSendFence(now: number, oldest: number): void {
    const { random, sendFence: ask } = this.#options;
    if (oldest > 0 && oldest < FENCE_RETRY_AFTER_MS) return;
    if (oldest === 0 && now >= this.#alertUntil && now - this.#answeredAt < this.#fenceIntervalMs) return;
    const chance = random();
    this.#fenceIntervalMs = MIN_FENCE_INTERVAL_MS * (1 + 3 * chance);
    ask();
    if (now < this.#alertUntil && chance < 0.5) ask();
  }

  #maybeSendPing(now: number): void {
    if (now < this.#pingAt) return;
    this.#pingAt = now + PING_INTERVAL_MS;
    this.#options.sendPing();
  }

  /** While we stood still ourselves (the machine was suspended, a turn took seconds) nobody could have answered. */
  #discountOwnPause(now: number): void {
    const late = now - this.#checkedAt - CHECK_INTERVAL_MS;
    this.#checkedAt = now;
    if (late < CHECK_INTERVAL_MS) return;
    this.#answeredAt += late;
    this.#heardAt += late;
  }
}
