/**
 * Detects that the stream does not store publications. A short refusal (a leader election) is not reported; a lasting one is, and
 * so is its end: a probe message, which is no publication, is sent each second until the stream stores it.
 */
import { messageOf } from "../errors.js";
import type { Cancel, Clock } from "../util/clock.js";

export interface RefusalsOptions {
  readonly clock: Clock;
  /** The stream refuses publications (`why`), or it stores them again. */
  readonly refused: (why: string | undefined) => void;
  /** Sends a probe message if connected; rejects with the refusal. */
  readonly probe: () => Promise<void> | undefined;
}

/** Refusals are reported once they have lasted this long. */
const TOLERANCE_MS = 2000;
const PROBE_INTERVAL_MS = 1000;

export class Refusals {
  readonly #options: RefusalsOptions;
  #since: number | undefined;
  #stopProbing: Cancel | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** The stream refused a message, or did not acknowledge it in time. */
  refused(why: string): void {
    const now = this.#options.clock.monotonic();
    this.#since ??= now;
    if (now - this.#since < TOLERANCE_MS) return;
    this.#options.refused(why);
    this.#stopProbing ??= this.#options.clock.every(PROBE_INTERVAL_MS, () => this.#probe());
  }

  /** The stream stored a message. Called for each one: cheap without refusals. */
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
      (error) => this.refused(messageOf(error)),
    );
  }
}
