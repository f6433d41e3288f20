/**
 * Looking at the stream before it is followed: it is found, or made, and it still has what we have seen of it.
 *
 * It has not when it ends before our place, or has another message there: it lost its newest, though it had said that it had
 * them (a machine lost its power). Their sequences would be given again, and whoever saw the lost ones would miss the new ones;
 * so the stream is given another epoch.
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { Session, StreamState } from "./session.js";

/** Where a daemon stands in the stream. `stamp` is that of the message at `last`; "" = not known. */
export interface Place {
  readonly epoch: string;
  readonly last: number;
  readonly stamp: string;
}

export interface SurveyOptions {
  readonly clock: Clock;
  /** A new name for an epoch: [A-Za-z0-9]+. */
  readonly newEpoch: () => string;
  /** The stream was rolled back. */
  readonly rolledBack: () => void;
}

/** A stream that ends before what it had acknowledged may be catching up, for this long, milliseconds. */
const CATCH_UP = 10_000;

export class Survey {
  readonly #options: SurveyOptions;
  /** Since when the stream was seen to end before our place. */
  #shortSince: number | undefined;

  constructor(options: SurveyOptions) {
    this.#options = options;
  }

  /** The stream as it is to be followed. `place`: what we have seen of it. Rejects while it cannot be said. */
  async of(session: Session, place: Place | undefined): Promise<StreamState> {
    const state = await this.#find(session);
    if (!place || state.epoch !== place.epoch || (await this.#isSame(session, state, place))) return state;
    this.#options.rolledBack();
    await session.renew(this.#options.newEpoch());
    return this.#find(session);
  }

  async #find(session: Session): Promise<StreamState> {
    const found = await session.look();
    if (found) return found;
    await session.make(this.#options.newEpoch());
    const made = await session.look();
    if (!made) throw new M2pushError("unavailable", "the stream was made, and is not there");
    return made;
  }

  async #isSame(session: Session, state: StreamState, { last, stamp }: Place): Promise<boolean> {
    if (state.last < last) return this.#isCatchingUp(state.last, last);
    this.#shortSince = undefined;
    if (stamp === "" || last < state.first) return true;
    const there = await session.read(last - 1, last);
    return there.every((message) => message.stamp === stamp);
  }

  /** A server that has just become the stream's leader may not have caught up with what it knows to be stored. */
  #isCatchingUp(ends: number, last: number): boolean {
    const now = this.#options.clock.monotonic();
    this.#shortSince ??= now;
    if (now - this.#shortSince <= CATCH_UP)
      throw new M2pushError("unavailable", `the stream ends at ${ends}, before ${last}, which it had acknowledged`);
    this.#shortSince = undefined;
    return false;
  }
}
