/**
 * Closes every connection of which this process has not received a request, without Mongrel2's control port: cancels all ids that
 * may have been given out. Only for a Mongrel2 whose requests no other application answers (exclusivity-check.ts).
 *
 * Ids count up from 1 (docs/architecture/mongrel2.md 2.7). The sweep covers all ids up to the highest that was ever read, and the next few
 * thousand for requests that were lost; once a new connection is known, the lost ones are below it. Without any known id (the data folder
 * was removed, and no request has arrived since) it covers a million, and more when the first id that arrives is higher.
 */
import type { RequestRecord } from "../delivery/request-record.js";
import type { Cancel, Clock } from "../util/clock.js";
import { type CancelSweep, descending } from "./cancel-sweep.js";

/** Ids above the highest known one that lost requests may have: more than Mongrel2 and the kernel queue. */
const UNREAD_ID_COUNT = 16_384;
/** Ids to sweep if none is known. */
const UNKNOWN_ID_COUNT = 1_048_576;
/** Between two looks for the first id. */
const FIRST_ID_INTERVAL_MS = 500;

interface UnknownConnectionSweepOptions {
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

  /** `knownId`: the highest id that was known when the link became live. Calls `done` when nothing is left to sweep. */
  run(knownId: number, done: () => void): void {
    this.stop();
    const { requests, sweep } = this.#options;
    const highestId = Math.max(knownId, requests.highest);
    if (highestId === 0) {
      sweep.run(descending(UNKNOWN_ID_COUNT, 1), () => this.#waitForFirst(done));
      return;
    }
    const unreadCount = requests.highest > knownId ? 0 : UNREAD_ID_COUNT;
    sweep.run(descending(highestId + unreadCount, 1), done);
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
