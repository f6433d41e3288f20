/**
 * Decides when this daemon erases from the stream what was removed: at once what its own publishers removed, and what others removed when
 * nobody has finished it for a while, because their daemon has ended or cannot.
 */
import { messageOf } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { ClusterHistory } from "./cluster-history.js";
import { eraseRemoved } from "./erase-removed.js";
import type { StreamSession } from "./stream-session.js";

export interface RemovalWorkerOptions {
  readonly clock: Clock;
  readonly history: Pick<ClusterHistory, "epoch" | "removalMark" | "unapplied">;
  /** A new id of a message. */
  readonly newId: () => string;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** Resolves when the daemon has taken a message, or after a while. */
  readonly taken: (sequence: number) => Promise<unknown>;
  readonly warn: (warning: string) => void;
}

/** How long the removals of others are waited for without a mark; daemons that start together differ by up to as much again. */
const TAKEOVER_MS = 30_000;
/** Pause after a failure. */
const RETRY_MS = 10_000;

const FIX = "fix: let the daemons delete messages (deny_delete off, $JS.API.STREAM.MSG.DELETE)";

export class RemovalWorker {
  readonly #options: RemovalWorkerOptions;
  readonly #takeoverMs: number;
  #session: StreamSession | undefined;
  /** The newest record of this daemon's own publishers. */
  #own = 0;
  /** Since when removals wait without a new mark; monotonic, milliseconds. */
  #waitingSince: number | undefined;
  #retryAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;

  constructor(options: RemovalWorkerOptions) {
    this.#options = options;
    this.#takeoverMs = TAKEOVER_MS * (1 + options.random());
  }

  /** Undefined = disconnected. */
  connect(session: StreamSession | undefined): void {
    this.#session = session;
    this.#waitingSince = undefined;
  }

  /** The record of a removal that this daemon has published was taken. */
  published(offset: number): void {
    this.#own = offset;
    this.check();
  }

  /** A mark was taken. */
  marked(): void {
    this.#waitingSince = undefined;
  }

  /** Called from time to time. */
  check(): void {
    const { clock, history } = this.#options;
    const { unapplied } = history;
    if (!unapplied || this.#isRunning) return;
    const now = clock.monotonic();
    this.#waitingSince ??= now;
    const isDue = this.#own > history.removalMark.applied || now - this.#waitingSince >= this.#takeoverMs;
    if (isDue && this.#session && now >= this.#retryAt) void this.#run(this.#session);
  }

  /** Never rejects. */
  async #run(session: StreamSession): Promise<void> {
    const { clock, history, newId, taken } = this.#options;
    this.#isRunning = true;
    try {
      for (let removals = history.unapplied; removals && session === this.#session; removals = history.unapplied) {
        const { epoch } = history;
        if (!(await taken(await eraseRemoved({ session, epoch, removals, newId })))) break;
      }
    } catch (error) {
      this.#retryAt = clock.monotonic() + RETRY_MS;
      // The end of a session is reported by the bus.
      if (session === this.#session)
        this.#options.warn(`cannot erase removed events from the stream: ${messageOf(error)}; ${FIX}`);
    } finally {
      this.#isRunning = false;
    }
  }
}
