/**
 * Tells subscribers of a PUB socket what happens: messages of two parts, the kind of the event and its JSON. Each has two numbers, one over
 * all events of this process and one over those of its kind, so that a subscriber of some kinds, too, sees what it has lost; `instance`
 * names the process.
 */
import { randomBytes } from "node:crypto";
import type { EventKind } from "../config/schema.js";
import type { Observe } from "../hub/events.js";
import type { EventPublisher } from "../zmq/event-publisher.js";
import { type Describer, kindOf } from "./client-event.js";

export interface EventFeedOptions {
  readonly publisher: Pick<EventPublisher, "publish" | "subscribers" | "dropped">;
  readonly describer: Describer;
  readonly kinds: readonly EventKind[];
}

export interface FeedStatus {
  readonly subscribers: number;
  /** Events since the process began. */
  readonly events: number;
  /** Messages that slow subscribers have lost; null = libzmq does not tell. */
  readonly dropped: number | null;
}

interface Topic {
  readonly bytes: Buffer;
  count: number;
}

export class EventFeed {
  readonly #instance = randomBytes(6).toString("base64url");
  readonly #options: EventFeedOptions;
  readonly #topics: ReadonlyMap<EventKind, Topic>;
  #sequence = 0;

  constructor(options: EventFeedOptions) {
    this.#options = options;
    this.#topics = new Map(options.kinds.map((kind) => [kind, { bytes: Buffer.from(kind), count: 0 }]));
  }

  readonly observe: Observe = (event) => {
    const kind = kindOf(event.type);
    const topic = kind && this.#topics.get(kind);
    if (!topic) return;
    const { publisher, describer } = this.#options;
    for (const described of describer.describe(event)) {
      const numbers = { sequence: ++this.#sequence, kindSequence: ++topic.count, instance: this.#instance };
      if (publisher.subscribers > 0)
        publisher.publish(topic.bytes, Buffer.from(JSON.stringify({ ...described, ...numbers })));
    }
  };

  get status(): FeedStatus {
    const { subscribers, dropped = null } = this.#options.publisher;
    return { subscribers, events: this.#sequence, dropped };
  }
}
