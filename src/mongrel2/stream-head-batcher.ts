/**
 * The beginnings of streams, on their way out. After a restart of Mongrel2 all browsers come at once, and what they are told
 * first is the same for most of them: those whose requests are taken in one turn of the event loop share a message, and where
 * one message follows the other those of GATHER do. (10,000 connects took 5.5 s with a message a turn, 5.0 s so.)
 */
import type { Clock } from "../util/clock.js";
import { Coalescer } from "../util/coalescer.js";

/** Between two messages when one follows the other, milliseconds. */
const GATHER = 4;

export class StreamHeadBatcher {
  readonly #most: number;
  readonly #pace: Coalescer;
  readonly #send: (ids: readonly number[], body: Buffer) => void;
  #last: { readonly ids: number[]; readonly body: Buffer } | undefined;

  /** At most `most` connections share a message. */
  constructor(most: number, clock: Clock, send: (ids: readonly number[], body: Buffer) => void) {
    this.#most = most;
    this.#pace = new Coalescer(clock, GATHER, () => this.flush());
    this.#send = send;
  }

  add(id: number, body: Buffer): void {
    const last = this.#last;
    if (last && last.ids.length < this.#most && last.body.equals(body)) {
      last.ids.push(id);
      return;
    }
    this.flush();
    this.#last = { ids: [id], body };
    this.#pace.ask();
  }

  /** Sends what waits: before anything else is sent, nothing may overtake it. */
  flush(): void {
    const last = this.#last;
    this.#last = undefined;
    if (last) this.#send(last.ids, last.body);
  }

  /** What waits is not sent, and nothing is left to do: those connections are gone, or we are. */
  drop(): void {
    this.#last = undefined;
    this.#pace.stop();
  }
}
