/**
 * How many events may be published: by one publisher ([publish] rate and burst), and on one topic ([[topic]] rate), for which all
 * publishers count together.
 */
import type { TopicRules } from "../matching/topic-rules.js";
import type { Draft } from "../protocol/draft.js";
import type { Clock } from "../util/clock.js";
import { type RateLimits, TokenBuckets } from "./token-buckets.js";

/** `rate` 0 = publishers have no limit. */
export type PublisherLimits = RateLimits;

type Rules = Pick<TopicRules, "of" | "hasRates">;

export class RateLimiter {
  readonly #rules: Rules | undefined;
  #limits: PublisherLimits;
  readonly #publishers: TokenBuckets;
  readonly #topics: TokenBuckets;

  /** Without `rules` topics have no limits. */
  constructor(limits: PublisherLimits, clock: Clock, rules?: Rules) {
    this.#limits = limits;
    this.#rules = rules;
    this.#publishers = new TokenBuckets(clock);
    this.#topics = new TokenBuckets(clock);
  }

  /** Applies other limits to publishers; buckets keep what they have. */
  setLimits(limits: PublisherLimits): void {
    this.#limits = limits;
    if (limits.rate === 0) this.#publishers.clear();
  }

  /**
   * Takes tokens for events, and returns 0; or takes none, and returns after how many milliseconds there are enough. `publisher`: see
   * PublishRequest.
   */
  take(publisher: string, drafts: readonly Draft[]): number {
    const topics = this.#countsByTopic(drafts);
    let waitMs = 0;
    for (const [topic, { events, limits }] of topics)
      waitMs = Math.max(waitMs, this.#topics.waitMs(topic, events, limits));
    if (this.#limits.rate > 0)
      waitMs = Math.max(waitMs, this.#publishers.waitMs(publisher, drafts.length, this.#limits));
    if (waitMs === 0) this.#takeAll(publisher, drafts.length, topics);
    return waitMs;
  }

  /** As take(), for a request that publishes nothing and counts as one event. */
  takeRequest(publisher: string): number {
    if (this.#limits.rate === 0) return 0;
    const waitMs = this.#publishers.waitMs(publisher, 1, this.#limits);
    if (waitMs === 0) this.#publishers.take(publisher, 1, this.#limits);
    return waitMs;
  }

  /**
   * For a publisher that is slowed down and not refused: takes tokens for events that were published, and returns for how many
   * milliseconds nothing more may be read from it.
   */
  pauseAfter(publisher: string, drafts: readonly Draft[]): number {
    if (this.#limits.rate === 0 && this.#rules?.hasRates !== true) return 0;
    const topic = onlyTopicOf(drafts);
    if (topic === undefined) return this.#takeAll(publisher, drafts.length, this.#countsByTopic(drafts));
    // One event with one topic, which most messages are, needs no list of topics.
    const pauseMs = this.#limits.rate > 0 ? this.#publishers.take(publisher, 1, this.#limits) : 0;
    const { rate = Number.POSITIVE_INFINITY } = this.#rules?.of(topic) ?? {};
    if (rate === Number.POSITIVE_INFINITY) return pauseMs;
    return Math.max(pauseMs, this.#topics.take(topic, 1, { rate, burst: rate }));
  }

  #takeAll(publisher: string, events: number, topics: ReadonlyMap<string, TopicCount>): number {
    let pauseMs = this.#limits.rate > 0 ? this.#publishers.take(publisher, events, this.#limits) : 0;
    for (const [topic, { events: count, limits }] of topics)
      pauseMs = Math.max(pauseMs, this.#topics.take(topic, count, limits));
    return pauseMs;
  }

  /** The topics with a limit. An event counts for each of its topics. */
  #countsByTopic(drafts: readonly Draft[]): ReadonlyMap<string, TopicCount> {
    const rules = this.#rules;
    if (rules?.hasRates !== true) return NO_TOPICS;
    const counts = new Map<string, TopicCount>();
    for (const topic of drafts.flatMap(({ topics }) => topics)) {
      const { rate = Number.POSITIVE_INFINITY } = rules.of(topic) ?? {};
      if (rate === Number.POSITIVE_INFINITY) continue;
      const count = counts.get(topic);
      if (count) count.events++;
      else counts.set(topic, { events: 1, limits: { rate, burst: rate } });
    }
    return counts;
  }
}

function onlyTopicOf(drafts: readonly Draft[]): string | undefined {
  const topics = drafts.length === 1 ? drafts[0]?.topics : undefined;
  return topics?.length === 1 ? topics[0] : undefined;
}

interface TopicCount {
  events: number;
  readonly limits: RateLimits;
}

const NO_TOPICS: ReadonlyMap<string, TopicCount> = new Map();
