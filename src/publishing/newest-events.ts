/**
 * The newest stored event of each canonical topic, for conditional publishing on one machine. Nothing is kept until the first condition:
 * then the stored events are read once, and from then on each publication updates the index. A program that publishes without conditions
 * pays nothing for it (docs/decisions/0044-conditional-publishing.md has the figures).
 */
import type { History } from "../delivery/history.js";
import type { Publication } from "../protocol/publication.js";

/** Events read in one turn of the event loop: about 1 ms. */
const PAGE_EVENTS = 250;
const PAGE_BYTES = 1_000_000;
/** Entries that one publication examines: a round is over before half as many events were published as there are entries. */
const EXAMINED_ENTRY_COUNT = 2;

/** What is known of a topic; `id` undefined = the topic has no stored event. */
export interface NewestEvent {
  readonly id: string | undefined;
}

export interface NewestEventsOptions {
  /** Answers reads at once: it is not that of a cluster. */
  readonly history: Pick<History, "last" | "floor" | "read">;
  /** Called once, with a listener for each publication in the tick in which it is stored. */
  readonly watch: (published: (publication: Pick<Publication, "topics" | "offset">) => void) => void;
}

export class NewestEvents {
  readonly #options: NewestEventsOptions;
  #isWatching = false;
  /** Offsets by topic; undefined = the stored events were not read yet. */
  #offsets: Map<string, number> | undefined;
  #building: Promise<void> | undefined;
  /** The present round of #prune(). */
  #round: IterableIterator<[string, number]> | undefined;

  constructor(options: NewestEventsOptions) {
    this.#options = options;
  }

  /** Topics that are held; a few may be those of trimmed events. */
  get size(): number {
    return this.#offsets?.size ?? 0;
  }

  /**
   * The newest event of a topic, as of this tick: the caller publishes in the same one. A promise where the stored events must be read
   * first: then the caller asks again.
   */
  of(topic: string): NewestEvent | Promise<void> {
    if (!this.#offsets) return this.#build();
    const offset = this.#offsets.get(topic);
    if (offset === undefined || offset <= this.#options.history.floor) return { id: undefined };
    const id = this.#idAt(offset, topic);
    if (id !== undefined) return { id };
    // The event was discarded, since it could not be stored: an older one of its topic may be the newest again.
    this.#offsets = undefined;
    return this.#build();
  }

  #idAt(offset: number, topic: string): string | undefined {
    const page = this.#options.history.read(offset - 1, { through: offset, maxBytes: 1, most: 1 });
    if (page instanceof Promise) throw new TypeError("the history of a cluster has no newest events");
    const [publication] = page.publications;
    return publication?.offset === offset && publication.topics[0] === topic ? publication.id : undefined;
  }

  #build(): Promise<void> {
    if (!this.#isWatching) this.#options.watch((publication) => this.#published(publication));
    this.#isWatching = true;
    this.#building ??= this.#readAll().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  async #readAll(): Promise<void> {
    const offsets = new Map<string, number>();
    const { history } = this.#options;
    for (let after = history.floor; after < history.last; ) {
      const page = await history.read(after, { through: history.last, maxBytes: PAGE_BYTES, most: PAGE_EVENTS });
      for (const { topics, offset } of page.publications) if (topics[0] !== undefined) offsets.set(topics[0], offset);
      after = Math.max(page.through, after + 1);
      if (after < history.last) await new Promise((resolve) => setImmediate(resolve));
    }
    // No publication came between the last read and this line, which the loop's condition has compared.
    this.#offsets = offsets;
    this.#round = undefined;
  }

  #published({ topics, offset }: Pick<Publication, "topics" | "offset">): void {
    const [topic] = topics;
    if (this.#offsets === undefined || topic === undefined) return;
    this.#offsets.set(topic, offset);
    this.#prune(this.#offsets);
  }

  /** Examines the entries in rounds, and removes those of trimmed events: at most as many remain as there are others. */
  #prune(offsets: Map<string, number>): void {
    for (let step = 0; step < EXAMINED_ENTRY_COUNT; step++) {
      this.#round ??= offsets.entries();
      const { value, done } = this.#round.next();
      if (done) this.#round = undefined;
      else if (value[1] <= this.#options.history.floor) offsets.delete(value[0]);
    }
  }
}
