/**
 * The beginnings of streams, on their way out. After a restart of Mongrel2 all browsers come at once, and what they are told
 * first is the same for most of them: those whose requests are taken in one turn of the event loop share a message, and where
 * one message follows the other those of GATHER do. (10,000 connects took 5.5 s with a message a turn, 5.0 s so.)
 */
import type { Clock } from "../util/clock.js";
import { Coalescer } from "../util/coalescer.js";

/** Between two messages when one follows the other, milliseconds. */
const BATCH_INTERVAL_MS = 4;

export class StreamHeadBatcher {
  readonly #maxTargets: number;
  readonly #coalescer: Coalescer;
  readonly #send: (ids: readonly number[], body: Buffer) => void;
  #batch: { readonly ids: number[]; readonly body: Buffer } | undefined;

  /** At most `most` connections share a message. */
  constructor(most: number, clock: Clock, send: (ids: readonly number[], body: Buffer) => void) {
    this.#maxTargets = most;
    this.#coalescer = new Coalescer(clock, BATCH_INTERVAL_MS, () => this.flush());
    this.#send = send;
  }

  add(id: number, body: Buffer): void {
    const last = this.#batch;
    if (last && last.ids.length < this.#maxTargets && last.body.equals(body)) {
      last.ids.push(id);
      return;
    }
    this.flush();
    this.#batch = { ids: [id], body };
    this.#coalescer.request();
  }

  /** Sends what waits: before anything else is sent, nothing may overtake it. */
  flush(): void {
    const last = this.#batch;
    this.#batch = undefined;
    if (last) this.#send(last.ids, last.body);
  }

  /** What waits is not sent, and nothing is left to do: those connections are gone, or we are. */
  drop(): void {
    this.#batch = undefined;
    this.#coalescer.stop();
  }
}
