/**
 * Whether another daemon reads from the same send_spec: Mongrel2 then deals its requests and notices out to both in turn. Each sees
 * notices of fences that the other asked for (fences.ts). Some of an earlier process may still come in when a link becomes live, and end by
 * themselves; those that go on for PROOF_MS are proof.
 *
 * One of the two must leave, and better the one that came by mistake. That is the newer one, as a rule: whoever sees the other within
 * NEWER_MS of its first live link. Where both do, the one that began later leaves (its fence ids tell that), and the other stays.
 */
import type { Cancel, Clock } from "../util/clock.js";

const PROOF_DURATION_MS = 5000;
const NEWCOMER_WINDOW_MS = 10_000;
/** How much longer the one that began first waits whether the other leaves. */
const YIELD_DELAY_MS = 3000;
/** Notices that are further apart are of another occasion; and after this long without one the other is gone. */
const MAX_GAP_MS = 10_000;

export interface SecondDaemonDetectorOptions {
  readonly clock: Clock;
  /** The other is proven; `isOlder`: it was there before us, as far as anybody can tell. */
  readonly began: (isOlder: boolean) => void;
  /** It is gone. */
  readonly ended: () => void;
  /** It was there before us, and stays: we must leave. */
  readonly yield: () => void;
}

export class SecondDaemonDetector {
  readonly #options: SecondDaemonDetectorOptions;
  /** When the link became live for the first time: monotonic. */
  #liveAt: number | undefined;
  /** Of the notices that go on. */
  #firstAt = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #isProven = false;
  #isYielding = false;
  #cancelEndCheck: Cancel | undefined;

  constructor(options: SecondDaemonDetectorOptions) {
    this.#options = options;
  }

  /** Notices of another process have come a short time ago: requests may have gone to it, and its requests may have come here. */
  get isSuspected(): boolean {
    return this.#options.clock.monotonic() - this.#lastAt < MAX_GAP_MS;
  }

  linkLive(): void {
    this.#liveAt ??= this.#options.clock.monotonic();
  }

  /** A notice has come that another process asked for; `isYounger`: it began after us. */
  foreignNotice(isYounger: boolean): void {
    const { clock, began } = this.#options;
    const now = clock.monotonic();
    if (now - this.#lastAt > MAX_GAP_MS) this.#firstAt = now;
    this.#lastAt = now;
    if (now - this.#firstAt < PROOF_DURATION_MS) return;
    if (!this.#isProven) {
      this.#isProven = true;
      began(this.#isNewcomer && !isYounger);
      this.#scheduleEndCheck();
    }
    if (this.#isNewcomer) this.#yield(now, isYounger);
  }

  stop(): void {
    this.#cancelEndCheck?.();
  }

  #yield(now: number, isYounger: boolean): void {
    if (this.#isYielding || now - this.#firstAt < PROOF_DURATION_MS + (isYounger ? YIELD_DELAY_MS : 0)) return;
    this.#isYielding = true;
    this.#options.yield();
  }

  get #isNewcomer(): boolean {
    return this.#liveAt !== undefined && this.#firstAt - this.#liveAt <= NEWCOMER_WINDOW_MS;
  }

  #scheduleEndCheck(): void {
    const { clock, ended } = this.#options;
    this.#cancelEndCheck = clock.after(this.#lastAt + MAX_GAP_MS - clock.monotonic(), () => {
      if (this.isSuspected) return this.#scheduleEndCheck();
      this.#isProven = false;
      ended();
    });
  }
}
