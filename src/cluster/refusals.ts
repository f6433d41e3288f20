/**
 * Whether the stream stores what is published. A refusal that passes (a leader is elected) is nobody's business; one that lasts is
 * told, and its end as well: a small message that is no publication is sent each second until the stream takes it.
 */
import type { Cancel, Clock } from "../util/clock.js";

export interface RefusalsOptions {
  readonly clock: Clock;
  /** The stream refuses (`why`), or it stores again. */
  readonly refused: (why: string | undefined) => void;
  /** Sends a small message, if there is a connection; rejects with why it was refused. */
  readonly probe: () => Promise<void> | undefined;
}

/** Refusals are told when they have lasted for this long. */
const TOLERANCE_MS = 2000;
const PROBE_INTERVAL_MS = 1000;

export class Refusals {
  readonly #options: RefusalsOptions;
  #since: number | undefined;
  #stopProbing: Cancel | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** A message was refused, or is not acknowledged in time. */
  refused(why: string): void {
    const now = this.#options.clock.monotonic();
    this.#since ??= now;
    if (now - this.#since < TOLERANCE_MS) return;
    this.#options.refused(why);
    this.#stopProbing ??= this.#options.clock.every(PROBE_INTERVAL_MS, () => this.#probe());
  }

  /** A message was stored. Called for each: cheap while all is well. */
  stored(): void {
    if (this.#since === undefined) return;
    this.#since = undefined;
    if (!this.#stopProbing) return;
    this.close();
    this.#options.refused(undefined);
  }

  close(): void {
    this.#stopProbing?.();
    this.#stopProbing = undefined;
  }

  #probe(): void {
    this.#options.probe()?.then(
      () => this.stored(),
      (error) => this.refused(error instanceof Error ? error.message : String(error)),
    );
  }
}
