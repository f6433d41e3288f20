/**
 * The one way from an ingress (HTTP, ZeroMQ, an embedding program) to the hub, for requests that are answered. Rules that hold for
 * every ingress belong here.
 */
import { ProtocolError } from "../errors.js";
import type { PublishedEvent } from "../hub/bus.js";
import type { Hub } from "../hub/hub.js";
import type { Draft } from "../protocol/publication.js";
import type { NewestEvents } from "./newest-events.js";
import { checkCondition, type PublishCondition } from "./publish-condition.js";
import type { PublishRequest } from "./publish-request.js";

export interface PublisherOptions {
  readonly hub: Pick<Hub, "publish" | "publishAll">;
  /** Absent = conditions are not supported: in a cluster another daemon may publish between the check and the publication. */
  readonly newest?: NewestEvents;
}

export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Publishes the events of one request; resolves, when they are as durable as configured, with what became of each of them. Rejects
   * with an M2pushError when none of them was published, or when that is unknown ("unavailable").
   */
  async publish({ drafts, condition }: PublishRequest): Promise<readonly PublishedEvent[]> {
    const { hub } = this.#options;
    const [first] = drafts;
    if (first === undefined || drafts.length > 1) return hub.publishAll(drafts);
    return [await (condition ? this.#publishIf(condition, first) : hub.publish(first))];
  }

  /** The check and the publication are in one tick, so that nothing comes between them. Rejects with ConditionFailed. */
  async #publishIf(condition: PublishCondition, draft: Draft): Promise<PublishedEvent> {
    const { hub, newest } = this.#options;
    if (!newest) throw new ProtocolError("unsupported", "conditions are not supported in a cluster");
    const [topic] = draft.topics;
    let current = newest.of(topic);
    while (current instanceof Promise) {
      await current;
      current = newest.of(topic);
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
