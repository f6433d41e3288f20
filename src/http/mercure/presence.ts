/**
 * Who is subscribed to what, and telling those who watch (Mercure, "Active Subscriptions"): a private update for each
 * subscription that begins or ends, in its own dialect, in a topic below the hub's own path.
 *
 * A subscriber that died without a notice is told of when the keep-alive sweep finds it; one that an earlier process served
 * and that is gone, when that is known (hub/ports.ts, Attendance).
 *
 * Nobody is told what nobody asks for: until somebody watches (follows a topic below the hub's path, or asks for the list),
 * nothing is published, so that a crowd that reconnects does not push other events out of the history.
 */
import { randomBytes } from "node:crypto";
import type { Attendance, Subscribed, Subscriber } from "../../hub/ports.js";
import type { Draft } from "../../protocol/publication.js";
import type { Dialect, Sought, Subscription } from "./dialect.js";
import { v0 } from "./v0.js";
import { v8 } from "./v8.js";

export interface PresenceOptions {
  /** Publishes an event of the hub's own. */
  readonly publish: (draft: Draft) => void;
  /** The path of the hub. */
  readonly path: string;
  /** The other daemons that serve this hub. They may have somebody who watches; absent = there are none. */
  readonly others?: Others | undefined;
}

/** Other daemons: they are told who is here, and tell who is there, some seconds late. */
export interface Others {
  joined(subscriber: Subscriber): void;
  left(id: string): void;
  subscribers(): Iterable<Subscriber>;
  /** Counts whatever changes subscribers(). */
  readonly changes: number;
}

export class Presence implements Attendance {
  readonly #options: PresenceOptions;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #instance = randomBytes(6).toString("base64url");
  #changes = 0;
  #watched: boolean;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#watched = options.others !== undefined;
  }

  /** Names this state of things: another one whenever somebody came or went, and in another process. */
  get version(): string {
    return `${this.#instance}.${this.#changes + (this.#options.others?.changes ?? 0)}`;
  }

  /** From now on subscriptions are told of. */
  watch(): void {
    this.#watched = true;
  }

  joined(subscriber: Subscriber): void {
    this.stayed(subscriber);
    this.#tell(subscriber, true);
  }

  stayed(subscriber: Subscriber): void {
    if (subscriber.watches) this.watch();
    this.#changes++;
    this.#subscribers.set(subscriber.id, subscriber);
    this.#options.others?.joined(subscriber);
  }

  /** A watcher that an earlier process served may come back, and then has missed nothing. */
  left(subscriber: Subscriber): void {
    if (subscriber.watches) this.watch();
    this.#changes++;
    this.#subscribers.delete(subscriber.id);
    this.#options.others?.left(subscriber.id);
    this.#tell(subscriber, false);
  }

  /** The subscriptions that a dialect tells of and a request asks for. */
  find(dialect: Dialect, { kind, match, subscriber: id }: Sought): Subscription[] {
    const found: Subscription[] = [];
    for (const subscriber of this.#among(id)) {
      for (const subscribed of subscriber.subscriptions) {
        const isSought =
          (kind ?? subscribed.kind) === subscribed.kind && (match ?? subscribed.match) === subscribed.match;
        if (isSought && dialect.tells(subscribed)) found.push({ subscriber, subscribed });
      }
    }
    return found;
  }

  /** All, or the one with this id: here or with another daemon, each once. */
  #among(id: string | undefined): Iterable<Subscriber> {
    const own = this.#subscribers;
    const one = id === undefined ? undefined : own.get(id);
    if (one) return [one];
    if (!this.#options.others) return id === undefined ? own.values() : [];
    const all = new Map([...this.#options.others.subscribers()].map((it) => [it.id, it] as const));
    for (const subscriber of own.values()) all.set(subscriber.id, subscriber);
    const other = id === undefined ? undefined : all.get(id);
    return id === undefined ? all.values() : other ? [other] : [];
  }

  /** The topic of a subscription, which is also its address. */
  topicOf(dialect: Dialect, subscription: Subscription): string {
    return `${this.#options.path}/subscriptions${dialect.pathOf(subscription)}`;
  }

  #tell(subscriber: Subscriber, active: boolean): void {
    if (!this.#watched) return;
    for (const subscribed of subscriber.subscriptions) this.#publish({ subscriber, subscribed }, active);
  }

  #publish(subscription: Subscription, active: boolean): void {
    const dialect = dialectOf(subscription.subscribed);
    const topic = this.topicOf(dialect, subscription);
    const data = JSON.stringify(dialect.document(topic, subscription, active));
    const type = dialect.eventType === undefined ? {} : { type: dialect.eventType };
    this.#options.publish({ topics: [topic], data, private: true, ...type });
  }
}

const dialectOf = (subscribed: Subscribed): Dialect => (v8.tells(subscribed) ? v8 : v0);
