/**
 * The limits of [[topic]] tables on what is shown of the stored events: max_age and max_events. They are asked at each read, so a reload
 * acts on every stored event. The limits of the history remove events from the disk.
 */
import type { TopicRules } from "../matching/topic-rules.js";
import type { Publication } from "../protocol/publication.js";
import type { TopicOffsets } from "./topic-offsets.js";

export class TopicLimits {
  readonly #rules: TopicRules;
  readonly #offsets: TopicOffsets;

  constructor(rules: TopicRules, offsets: TopicOffsets) {
    this.#rules = rules;
    this.#offsets = offsets;
  }

  /** Whether a topic may have limits. */
  get isActive(): boolean {
    return this.#rules.hasLimits;
  }

  /** A promise where events must be counted first: see TopicOffsets.ready(). */
  ready(): Promise<void> | undefined {
    return this.#rules.hasCounts ? this.#offsets.ready() : undefined;
  }

  /** Whether an event is within the limits of each of its topics. `now`: milliseconds since 1970. */
  isWithin({ topics, offset, time }: Pick<Publication, "topics" | "offset" | "time">, now: number): boolean {
    for (const topic of topics) {
      const rule = this.#rules.of(topic);
      if (rule === undefined) continue;
      if (now - time >= rule.maxAgeMs) return false;
      if (!this.#offsets.isAmongNewest(topic, offset, rule.maxEvents)) return false;
    }
    return true;
  }
}
