/** Where a topic has ended: the newest event of it that a reader may see is final. The state goes with the event. */
import { type Interest, onlyTopicOf } from "../matching/interest.js";
import { UNLIMITED } from "../matching/match-budget.js";
import { maySee } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { History } from "./history.js";
import type { TopicOffsets } from "./topic-offsets.js";

export interface TopicEndsOptions {
  /** The visible one. */
  readonly history: Pick<History, "hasFinal" | "read">;
  readonly topics: Pick<TopicOffsets, "ready" | "newestFirst">;
  /** The hub's URL. */
  readonly base: string;
}

export class TopicEnds {
  readonly #options: TopicEndsOptions;
  /** Events that had to be fetched, by offset, until they are asked for; undefined = the event is not visible. */
  readonly #fetched = new Map<number, Publication | undefined>();

  constructor(options: TopicEndsOptions) {
    this.#options = options;
  }

  /**
   * The offset of the final event with which the one topic of an interest has ended; undefined = it has not, or the interest has another form.
   * A promise where events must be read first: then the caller asks again. While no event is final, nothing is looked up.
   */
  of(interest: Interest): number | undefined | Promise<unknown> {
    const { history, topics, base } = this.#options;
    const topic = history.hasFinal ? onlyTopicOf(interest) : undefined;
    if (topic === undefined) return undefined;
    const building = topics.ready();
    if (building) return building;
    for (const { offset } of topics.newestFirst(topic)) {
      const publication = this.#at(offset);
      if (publication instanceof Promise) return publication;
      if (!publication || (publication.private && !maySee(interest, publication, base, UNLIMITED))) continue;
      return publication.isFinal ? offset : undefined;
    }
    return undefined;
  }

  #at(offset: number): Publication | undefined | Promise<unknown> {
    if (this.#fetched.has(offset)) {
      const publication = this.#fetched.get(offset);
      this.#fetched.delete(offset);
      return publication;
    }
    const page = this.#options.history.read(offset - 1, { through: offset, maxBytes: 1, most: 1 });
    if (!(page instanceof Promise)) return page.publications[0];
    return page.then(({ publications }) => this.#fetched.set(offset, publications[0]));
  }
}
