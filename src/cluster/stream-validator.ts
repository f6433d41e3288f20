/**
 * Looking at the stream before it is followed: it is found, or made, and it still has what we have seen of it.
 *
 * It has not when it ends before our place, or has another message there: it lost its newest, though it had said that it had
 * them (a machine lost its power). Their sequences would be given again, and whoever saw the lost ones would miss the new ones;
 * so the stream is given another epoch.
 *
 * What was taken since the leader was last seen to be where it comes from is compared whole: a leader that had been deposed
 * without knowing it may hold, and have sent, what the stream never had, and go on with what the stream has.
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { StreamMessage, StreamSession, StreamState } from "./stream-session.js";

/** Where a daemon stands in the stream. `stamp` is that of the message at `last`; "" = not known. */
export interface StreamLocation {
  readonly epoch: string;
  readonly last: number;
  readonly stamp: string;
}

export interface StreamValidatorOptions {
  readonly clock: Clock;
  /** A new name for an epoch: [A-Za-z0-9]+. */
  readonly newEpoch: () => string;
  /**
   * The stream was rolled back, or has another epoch than it had: it was made anew, by this daemon or another, or another has found it
   * rolled back. `warning`: for operators.
   */
  readonly onRollback: (warning: string) => void;
}

/** A stream that ends before what it had acknowledged may be catching up, for this long, milliseconds. */
const CATCH_UP_TIMEOUT_MS = 10_000;
/** Of so many, the newest, it is remembered what they were: more than come between two looks at the stream. */
const MAX_TAKEN_MESSAGES = 20_000;

const FIX = "fix: see that store_dir of JetStream is on a disk that stays";
const ROLLBACK_WARNING = `the stream has lost events that it had acknowledged: it begins a new epoch, and clients are told; ${FIX}`;
const REPLACED_WARNING =
  "the stream is not the one that was followed: NATS came back without its data, or the stream was removed or has lost " +
  `events; clients are told; ${FIX}`;

export class StreamValidator {
  readonly #options: StreamValidatorOptions;
  /** Since when the stream was seen to end before our place. */
  #behindSince: number | undefined;
  /** The stamps, by sequence, of what was taken and not yet confirmed. */
  readonly #unconfirmedStamps = new Map<number, string>();

  constructor(options: StreamValidatorOptions) {
    this.#options = options;
  }

  /** A message came from where the stream is followed. */
  noteTaken({ sequence, stamp }: StreamMessage): void {
    this.#unconfirmedStamps.set(sequence, stamp);
    if (this.#unconfirmedStamps.size <= MAX_TAKEN_MESSAGES) return;
    for (const oldest of this.#unconfirmedStamps.keys()) return void this.#unconfirmedStamps.delete(oldest);
  }

  /** What was taken up to a sequence came from the stream's leader. */
  confirm(through: number): void {
    for (const sequence of this.#unconfirmedStamps.keys()) {
      if (sequence > through) return;
      this.#unconfirmedStamps.delete(sequence);
    }
  }

  /** The stream as it is to be followed. `place`: what we have seen of it. Rejects while it cannot be said. */
  async validate(session: StreamSession, location: StreamLocation | undefined): Promise<StreamState> {
    const state = await this.#findOrCreate(session);
    const isKnown = location?.epoch === state.epoch;
    if (isKnown && !(await this.#isSame(session, state, location))) return this.#changeEpoch(session);
    if (location && !isKnown) this.#options.onRollback(REPLACED_WARNING);
    this.#unconfirmedStamps.clear();
    return state;
  }

  async #changeEpoch(session: StreamSession): Promise<StreamState> {
    this.#options.onRollback(ROLLBACK_WARNING);
    await session.changeEpoch(this.#options.newEpoch());
    this.#unconfirmedStamps.clear();
    return this.#findOrCreate(session);
  }

  async #findOrCreate(session: StreamSession): Promise<StreamState> {
    const found = await session.inspect();
    if (found) return found;
    await session.create(this.#options.newEpoch());
    const made = await session.inspect();
    if (!made) throw new M2pushError("unavailable", "the stream was made, and is not there");
    return made;
  }

  async #isSame(session: StreamSession, state: StreamState, { last, stamp }: StreamLocation): Promise<boolean> {
    if (state.last < last) return this.#isCatchingUp(state.last, last);
    this.#behindSince = undefined;
    const known = new Map(this.#unconfirmedStamps);
    if (stamp !== "") known.set(last, stamp);
    const [oldest] = known.keys();
    if (oldest === undefined || last < state.first) return true;
    const messages = await session.read(Math.max(oldest, state.first) - 1, last);
    return messages.every((message) => message.stamp === (known.get(message.sequence) ?? message.stamp));
  }

  /** A server that has just become the stream's leader may not have caught up with what it knows to be stored. */
  #isCatchingUp(streamLast: number, last: number): boolean {
    const now = this.#options.clock.monotonic();
    this.#behindSince ??= now;
    if (now - this.#behindSince <= CATCH_UP_TIMEOUT_MS)
      throw new M2pushError(
        "unavailable",
        `the stream ends at ${streamLast}, before ${last}, which it had acknowledged`,
      );
    this.#behindSince = undefined;
    return false;
  }
}
