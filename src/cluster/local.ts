/** The bus of a daemon that is alone: it counts by itself, on from where its history ends. */
import { M2pushError } from "../errors.js";
import type { Bus, Deliver, History } from "../hub/ports.js";
import { place } from "../hub/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";

export class LocalBus implements Bus {
  readonly epoch: string;
  readonly #clock: Clock;
  #deliver: Deliver | undefined;
  #last: number;

  constructor(history: Pick<History, "epoch" | "last">, clock: Clock) {
    this.epoch = history.epoch;
    this.#last = history.last;
    this.#clock = clock;
  }

  async start(deliver: Deliver): Promise<void> {
    this.#deliver = deliver;
  }

  async publish(draft: Draft): Promise<Publication> {
    const publication = this.#place(draft);
    await this.#deliver?.(publication);
    return publication;
  }

  post(draft: Draft): Promise<void> | undefined {
    const publication = this.#place(draft);
    return this.#deliver?.(publication);
  }

  #place(draft: Draft): Publication {
    if (!this.#deliver)
      throw new M2pushError("unavailable", "the daemon is not taking publications: it is starting or stopping");
    const publication = place(draft, this.epoch, this.#last + 1, this.#clock.now());
    this.#last = publication.offset;
    return publication;
  }

  async close(): Promise<void> {
    this.#deliver = undefined;
  }
}
