/**
 * Closes every connection that this process has not heard of, where Mongrel2's control port cannot say which there are: by cancelling
 * all ids that may have been given out. Only for a Mongrel2 that nobody else answers for (exclusive-database.ts).
 *
 * Ids count up from 1. The highest of them that matters is the highest that was ever read, or one of the requests that were lost,
 * which are the next few thousand; once a new connection was heard of, those that were lost are below it. Where no id is known at all
 * (the data folder was removed, and nobody has come since), a million are swept, and more when the first one that comes is higher.
 */
import type { RequestRecord } from "../delivery/request-record.js";
import type { Cancel, Clock } from "../util/clock.js";
import { type CancelSweep, descending } from "./cancel-sweep.js";

/** Ids above the highest known that requests may have had which nobody read: more than Mongrel2 and the kernel queue. */
const UNREAD_ID_COUNT = 16_384;
/** How far up ids are swept where none is known. */
const UNKNOWN_ID_COUNT = 1_048_576;
/** How soon the first id of all is noticed. */
const FIRST_ID_INTERVAL_MS = 500;

export interface UnknownConnectionSweepOptions {
  readonly clock: Clock;
  readonly requests: Pick<RequestRecord, "highest">;
  readonly sweep: Pick<CancelSweep, "run" | "stop">;
}

export class UnknownConnectionSweep {
  readonly #options: UnknownConnectionSweepOptions;
  #cancelWait: Cancel | undefined;

  constructor(options: UnknownConnectionSweepOptions) {
    this.#options = options;
  }

  /** `known`: the highest id that was known when the link became live. `done` is called when nothing is left to sweep. */
  run(known: number, done: () => void): void {
    this.stop();
    const { requests, sweep } = this.#options;
    const heard = Math.max(known, requests.highest);
    if (heard === 0) {
      sweep.run(descending(UNKNOWN_ID_COUNT, 1), () => this.#waitForFirst(done));
      return;
    }
    const unread = requests.highest > known ? 0 : UNREAD_ID_COUNT;
    sweep.run(descending(heard + unread, 1), done);
  }

  stop(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#options.sweep.stop();
  }

  #waitForFirst(done: () => void): void {
    const { clock, requests, sweep } = this.#options;
    this.#cancelWait = clock.after(FIRST_ID_INTERVAL_MS, () => {
      if (requests.highest === 0) this.#waitForFirst(done);
      else if (requests.highest > UNKNOWN_ID_COUNT) sweep.run(descending(requests.highest, UNKNOWN_ID_COUNT + 1), done);
      else done();
    });
  }
}
