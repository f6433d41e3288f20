/**
 * The one way from an ingress (HTTP, ZeroMQ, an embedding program) to the hub, for requests that are answered. Rules that hold for
 * every ingress belong here.
 */
import type { History } from "../delivery/history.js";
import type { TopicOffsets } from "../delivery/topic-offsets.js";
import { ProtocolError } from "../errors.js";
import type { PublishedEvent } from "../hub/bus.js";
import type { Hub } from "../hub/hub.js";
import type { Draft } from "../protocol/publication.js";
import { KeyedPublisher } from "./keyed-publisher.js";
import { checkCondition, type PublishCondition } from "./publish-condition.js";
import type { PublishRequest } from "./publish-request.js";
import type { PublishTraces, TracedRequest } from "./publish-traces.js";
import type { RateLimiter } from "./rate-limiter.js";

export interface PublisherOptions {
  readonly hub: Pick<Hub, "publish" | "publishAll">;
  /** Absent = conditions are not supported: in a cluster another daemon may publish between the check and the publication. */
  readonly topics?: Pick<TopicOffsets, "newestOf">;
  readonly keys: Pick<History, "findKey">;
  /** Called for each request or event whose idempotency key was used before, and which was not published again. */
  readonly repeated: () => void;
  /** Absent = no limit. */
  readonly rates?: Pick<RateLimiter, "take">;
  /** Absent = traces are off. */
  readonly traces?: PublishTraces | undefined;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #keyed: KeyedPublisher;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#keyed = new KeyedPublisher({
      ...options,
      publish: (drafts, condition) => this.#publish(drafts, condition),
    });
  }

  /**
   * Publishes the events of one request; resolves, when they are as durable as configured, with what became of each of them. Rejects
   * with an M2pushError when none of them was published, or when that is unknown ("unavailable"). A request or event whose idempotency
   * key was used before is not published again, and has the first one's ids. Rejects with "rate_limited" over the rate of the publisher or of a
   * topic.
   */
  publish(request: PublishRequest): Promise<readonly PublishedEvent[]> {
    const trace = this.#options.traces?.begin(request.drafts, request.receivedAt);
    return trace === undefined ? this.#publishRequest(request) : this.#publishTraced(request, trace);
  }

  async #publishTraced(request: PublishRequest, trace: TracedRequest): Promise<readonly PublishedEvent[]> {
    try {
      const results = await this.#publishRequest({ ...request, drafts: trace.drafts });
      trace.end(results);
      return results;
    } catch (error) {
      trace.fail(error);
      throw error;
    }
  }

  async #publishRequest(request: PublishRequest): Promise<readonly PublishedEvent[]> {
    if (!request.isPaced) this.#takeRate(request);
    return KeyedPublisher.concerns(request)
      ? this.#keyed.publish(request)
      : this.#publish(request.drafts, request.condition);
  }

  #takeRate({ publisher, rateScope = publisher, drafts }: PublishRequest): void {
    const retryAfterMs = this.#options.rates?.take(rateScope, drafts) ?? 0;
    if (retryAfterMs > 0)
      throw new ProtocolError("rate_limited", "too many events; fix: repeat it later", { retryAfterMs });
  }

  async #publish(drafts: readonly Draft[], condition?: PublishCondition): Promise<readonly PublishedEvent[]> {
    const { hub } = this.#options;
    const [first] = drafts;
    if (first === undefined || drafts.length > 1) return hub.publishAll(drafts);
    return [await (condition ? this.#publishIf(condition, first) : hub.publish(first))];
  }

  /** The check and the publication are in one tick, so that nothing comes between them. Rejects with ConditionFailed. */
  async #publishIf(condition: PublishCondition, draft: Draft): Promise<PublishedEvent> {
    const { hub, topics } = this.#options;
    if (!topics) throw new ProtocolError("unsupported", "conditions are not supported in a cluster");
    const [topic] = draft.topics;
    let current = topics.newestOf(topic);
    while (current instanceof Promise) {
      await current;
      current = topics.newestOf(topic);
    }
    checkCondition(condition, current.id);
    return hub.publish(draft);
  }

  /** Publishes one event, as publish(); rejects with its error. */
  async publishOne(draft: Draft, origin: Omit<PublishRequest, "drafts">): Promise<{ readonly id: string }> {
    const [published] = await this.publish({ drafts: [draft], ...origin });
    if (published === undefined) throw new TypeError("a request of one event was answered without it");
    if ("error" in published) throw published.error;
    return published;
  }
}
