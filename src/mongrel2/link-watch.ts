/**
 * Watches whether Mongrel2 answers (docs/architecture/mongrel2.md 2.14). While there is traffic the fences of the hub show it; on a quiet
 * link the watch sends fences of its own. Mongrel2 is silent when no fence has passed for SILENT_AFTER_MS, until one passes. While it
 * is silent the watch also sends a PING to its ZeroMQ library, which answers while Mongrel2 is busy, or while its notices go to another
 * handler. If neither has answered for `linkTimeoutMs`, the watch reconnects the link.
 */
import type { Cancel, Clock } from "../util/clock.js";

/** Between two checks. */
const CHECK_INTERVAL_MS = 500;
/** The watch sends another fence when one is pending for so long: its notice may have gone to another handler. */
const FENCE_RETRY_AFTER_MS = 1000;
/**
 * The shortest time without a passed fence before the watch sends one, plus a random time of up to three times as long: two daemons on
 * one send_spec that send in step would each get their own notices for ever.
 */
const MIN_FENCE_INTERVAL_MS = 500;
/**
 * For so long after a notice of another process's fence the watch sends a fence at each check, and a second one at random, so that each of
 * the two daemons detects the other (docs/architecture/mongrel2.md 2.13).
 */
const ALERT_DURATION_MS = 10_000;
/** Mongrel2 is silent when no fence has passed for so long. */
const SILENT_AFTER_MS = 5000;
/** Between two PINGs while Mongrel2 is silent. */
const PING_INTERVAL_MS = 5000;

interface LinkWatchOptions {
  readonly clock: Clock;
  /** Returns a number from 0 up to 1. */
  readonly random: () => number;
  /** Reconnects after this time without any answer, ms; 0 = never. */
  readonly linkTimeoutMs: number;
  readonly isLive: () => boolean;
  /** Age of the oldest pending fence, milliseconds; 0 = none is pending. */
  readonly oldestPendingMs: (now: number) => number;
  /** Sends a fence. */
  readonly sendFence: () => void;
  /** Sends a PING to the peers' ZeroMQ library. */
  readonly sendPing: () => void;
  readonly silent: (milliseconds: number) => void;
  /** A fence has passed after silent(). */
  readonly answering: () => void;
  /** Nothing has answered for `linkTimeoutMs`. */
  readonly reconnect: () => void;
}

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  #timer: Cancel | undefined;
  /** When a fence last passed, or waiting for it began; monotonic milliseconds. */
  #answeredAt = 0;
  /** When Mongrel2 or its ZeroMQ library last answered, or the link was reconnected. */
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

  /** Milliseconds since Mongrel2 last answered. */
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

  /** The ZeroMQ library of Mongrel2 has answered a PING. */
  pong(now: number): void {
    this.#heardAt = now;
  }

  /** A notice of another process's fence has arrived. */
  foreignNotice(now: number): void {
    this.#alertUntil = now + ALERT_DURATION_MS;
  }

  /** The link is lost: waiting begins again. A silence lasts until a fence passes. */
  linkLost(): void {
    if (!this.#isSilent) this.#restart();
  }

  #restart(): void {
    const now = this.#options.clock.monotonic();
    this.#answeredAt = now;
    this.#heardAt = now;
  }

  #check(): void {
    const { clock, isLive, oldestPendingMs, silent, reconnect, linkTimeoutMs } = this.#options;
    const now = clock.monotonic();
    this.#discountOwnPause(now);
    if (isLive()) this.#maybeSendFence(now, oldestPendingMs(now));
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
    const { random, sendFence } = this.#options;
    if (oldest > 0 && oldest < FENCE_RETRY_AFTER_MS) return;
    if (oldest === 0 && now >= this.#alertUntil && now - this.#answeredAt < this.#fenceIntervalMs) return;
    const chance = random();
    this.#fenceIntervalMs = MIN_FENCE_INTERVAL_MS * (1 + 3 * chance);
    sendFence();
    if (now < this.#alertUntil && chance < 0.5) sendFence();
  }

  #maybeSendPing(now: number): void {
    if (now < this.#pingAt) return;
    this.#pingAt = now + PING_INTERVAL_MS;
    this.#options.sendPing();
  }

  /** While this process stood still (a suspended machine, a tick of seconds) no answer could be read. */
  #discountOwnPause(now: number): void {
    const late = now - this.#checkedAt - CHECK_INTERVAL_MS;
    this.#checkedAt = now;
    if (late < CHECK_INTERVAL_MS) return;
    this.#answeredAt += late;
    this.#heardAt += late;
  }
}
