/**
 * The one way from an ingress (HTTP, ZeroMQ, an embedding program) to the hub, for requests that are answered. Rules that hold for
 * every ingress belong here.
 */
import type { PublishedEvent } from "../hub/bus.js";
import type { Hub } from "../hub/hub.js";
import type { Draft } from "../protocol/publication.js";
import type { PublishRequest } from "./publish-request.js";

export interface PublisherOptions {
  readonly hub: Pick<Hub, "publish" | "publishAll">;
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
  async publish({ drafts }: PublishRequest): Promise<readonly PublishedEvent[]> {
    const { hub } = this.#options;
    const [first] = drafts;
    if (first !== undefined && drafts.length === 1) return [await hub.publish(first)];
    return hub.publishAll(drafts);
  }

  /** Publishes one event, as publish(); rejects with its error. */
  async publishOne(draft: Draft, origin: Omit<PublishRequest, "drafts">): Promise<{ readonly id: string }> {
    const [published] = await this.publish({ drafts: [draft], ...origin });
    if (published === undefined) throw new TypeError("a request of one event was answered without it");
    if ("error" in published) throw published.error;
    return published;
  }
}
