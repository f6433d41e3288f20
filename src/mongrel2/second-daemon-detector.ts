/**
 * Detects that another daemon reads from the same send_spec: Mongrel2 then distributes requests and notices to both in turn
 * (docs/architecture/mongrel2.md 2.13), and each receives notices of fences that the other sent (fences.ts). A few of an earlier process may
 * still arrive when a link becomes live; notices that go on for PROOF_DURATION_MS are proof.
 *
 * The newcomer leaves, because it was usually started by mistake. A daemon is the newcomer if it detects the other within
 * NEWCOMER_WINDOW_MS of its first live link. Where both do, the one that started later leaves; its fence ids tell that.
 */
import type { Cancel, Clock } from "../util/clock.js";

/** From the first notice of another process to the proof. */
const PROOF_DURATION_MS = 5000;
/** After the first live link: a daemon that detects another one in this time is the newcomer. */
const NEWCOMER_WINDOW_MS = 10_000;
/**
 * How much longer the daemon that started first waits for the other to leave. The other hears of this one later, because it is still probing
 * when its first fences are noticed here: after 3 s under load it had no proof yet, the first daemon left as well, and the wrong one stayed.
 */
const YIELD_DELAY_MS = 10_000;
/** A longer gap between two notices starts a new detection; after this time without a notice the other daemon is gone. */
const MAX_GAP_MS = 10_000;

interface SecondDaemonDetectorOptions {
  readonly clock: Clock;
  /** Another daemon is proven; `isOlder`: as far as is known it served before this one. */
  readonly began: (isOlder: boolean) => void;
  /** The other daemon is gone. */
  readonly ended: () => void;
  /** The other daemon is older and stays: this one must leave. Called once. */
  readonly yield: () => void;
}

export class SecondDaemonDetector {
  readonly #options: SecondDaemonDetectorOptions;
  /** When the link first became live, monotonic milliseconds. */
  #liveAt: number | undefined;
  /** When the notices that go on began, monotonic milliseconds. */
  #firstAt = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #isProven = false;
  #isYielding = false;
  #cancelEndCheck: Cancel | undefined;

  constructor(options: SecondDaemonDetectorOptions) {
    this.#options = options;
  }

  /** Notices of another process arrived within MAX_GAP_MS: some requests may have gone to it, and some of its requests here. */
  get isSuspected(): boolean {
    return this.#options.clock.monotonic() - this.#lastAt < MAX_GAP_MS;
  }

  linkLive(): void {
    this.#liveAt ??= this.#options.clock.monotonic();
  }

  /** A notice of another process's fence has arrived; `isYounger`: that process started after this one. */
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
