/** Which events are kept when they are trimmed: the newest one of each topic whose [[topic]] table has keep = "last". */
import type { TopicRules } from "../matching/topic-rules.js";
import type { KeepPolicy } from "./history.js";
import type { TopicOffsets } from "./topic-offsets.js";

export class KeptTopics implements KeepPolicy {
  readonly #rules: TopicRules;
  readonly #offsets: TopicOffsets;

  constructor(rules: TopicRules, offsets: TopicOffsets) {
    this.#rules = rules;
    this.#offsets = offsets;
  }

  get isNeeded(): boolean {
    return this.#rules.keeps;
  }

  get isReady(): boolean {
    const building = this.#rules.keeps ? this.#offsets.ready() : undefined;
    // The next question tries again.
    building?.catch(() => {});
    return building === undefined;
  }

  isKept(topics: readonly string[], offset: number): boolean {
    if (!this.#rules.keeps) return false;
    return topics.some((topic) => this.#offsets.isAmongNewest(topic, offset, 1) && this.#rules.keepsLast(topic));
  }

  dropped(topics: readonly string[], offset: number): void {
    this.#offsets.dropped(topics, offset);
  }
}
