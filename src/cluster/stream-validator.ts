/**
 * Validates the stream before it is followed: finds or creates it, and makes sure that it still has what this daemon has taken.
 *
 * A stream that ends below the daemon's location, or has another message there, has lost messages that it had acknowledged (a
 * machine lost power). It would give their sequences to new events, which clients of the lost ones would miss; so the stream gets
 * another epoch.
 *
 * Messages taken since the leader was last confirmed are compared one by one: a deposed leader may have delivered messages that
 * the stream never stored, and continue with those that it has.
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { StreamMessage, StreamSession, StreamState } from "./stream-session.js";

/** A daemon's location in the stream. `stamp` is that of the message at `last`; "" = not known. */
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
   * The stream was rolled back or has a new epoch: it was recreated, or another daemon found it rolled back. `warning`: for operators.
   */
  readonly onRollback: (warning: string) => void;
}

/** How long a stream that ends below an acknowledged message counts as catching up. */
const CATCH_UP_TIMEOUT_MS = 10_000;
/** Stamps remembered, the newest: more messages than arrive between two inspections. */
const MAX_TAKEN_MESSAGES = 20_000;

const FIX = "fix: see that store_dir of JetStream is on a disk that stays";
const ROLLBACK_WARNING = `the stream has lost events that it had acknowledged: it begins a new epoch, and clients are told; ${FIX}`;
const REPLACED_WARNING =
  "the stream is not the one that was followed: NATS came back without its data, or the stream was removed or has lost " +
  `events; clients are told; ${FIX}`;

export class StreamValidator {
  readonly #options: StreamValidatorOptions;
  /** Since when the stream ends below the daemon's location, monotonic, milliseconds. */
  #behindSince: number | undefined;
  /** Stamps, by sequence, of the messages taken since the last confirmation. */
  readonly #unconfirmedStamps = new Map<number, string>();

  constructor(options: StreamValidatorOptions) {
    this.#options = options;
  }

  /** The daemon has taken a message. */
  noteTaken({ sequence, stamp }: StreamMessage): void {
    this.#unconfirmedStamps.set(sequence, stamp);
    if (this.#unconfirmedStamps.size <= MAX_TAKEN_MESSAGES) return;
    for (const oldest of this.#unconfirmedStamps.keys()) return void this.#unconfirmedStamps.delete(oldest);
  }

  /** The messages up to a sequence came from the stream's leader. */
  confirm(through: number): void {
    for (const sequence of this.#unconfirmedStamps.keys()) {
      if (sequence > through) return;
      this.#unconfirmedStamps.delete(sequence);
    }
  }

  /** Resolves with the stream to follow. `location`: what this daemon has taken. Rejects while that cannot be decided. */
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

  /** A new leader may not have caught up with the acknowledged messages yet. */
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
