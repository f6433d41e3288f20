/** The bus of a single daemon: it counts offsets itself, from the end of its history. */
import type { History } from "../delivery/history.js";
import { M2pushError } from "../errors.js";
import type { Bus, Deliver } from "../hub/bus.js";
import { positionDraft, positionRemoval } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";
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
    const publication = this.#position(draft, 1);
    await this.#deliverNext([publication]);
    return publication;
  }

  async publishAll(drafts: readonly Draft[]): Promise<readonly Publication[]> {
    // Positions are checked before the first event is delivered: all or none.
    const publications = drafts.map((draft, index) => this.#position(draft, index + 1));
    await this.#deliverNext(publications);
    return publications;
  }

  post(draft: Draft): Promise<void> | undefined {
    return this.#deliverNext([this.#position(draft, 1)]);
  }

  async remove(removal: Removal): Promise<Publication> {
    this.#checkStarted();
    const publication = positionRemoval(removal, this.epoch, this.#last + 1, this.#clock.now());
    await this.#deliverNext([publication]);
    return publication;
  }

  /** `distance`: how many offsets after the last one. */
  #position(draft: Draft, distance: number): Publication {
    this.#checkStarted();
    return positionDraft(draft, this.epoch, this.#last + distance, this.#clock.now());
  }

  #checkStarted(): void {
    if (this.#deliver) return;
    throw new M2pushError("unavailable", "the daemon is not taking publications: it is starting or stopping");
  }

  /** `deliver` throws before it takes any publication: while storage fails, rejected publications use no offsets. */
  #deliverNext(publications: readonly Publication[]): Promise<void> | undefined {
    const kept = this.#deliver?.(publications);
    this.#last = publications.at(-1)?.offset ?? this.#last;
    return kept;
  }

  async close(): Promise<void> {
    this.#deliver = undefined;
  }
}
