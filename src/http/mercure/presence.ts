/**
 * Who is subscribed to what, and the events that tell watchers of it (Mercure, "Active Subscriptions"): a private update for each
 * subscription that begins or ends, in its own dialect, in a topic below the hub's own path.
 *
 * A subscriber that died without a notice is told of when the keep-alive sweep finds it; one that an earlier process served
 * and that is gone, when that is known (hub/presence-listener.ts).
 *
 * What comes and goes is noted in a log of its own (hub/presence-log.ts). Events are made of it only where somebody watches.
 */
import { randomBytes } from "node:crypto";
import type { Subscribed, Subscriber } from "../../delivery/subscriber.js";
import type { PresenceListener, RemotePresenceObserver } from "../../hub/presence-listener.js";
import { type PresenceEvent, PresenceLog } from "../../hub/presence-log.js";
import type { PresenceSource } from "../../hub/watchers.js";
import type { Interest } from "../../matching/interest.js";
import { covers, type Selector, wordsOf } from "../../matching/selector.js";
import type { MercureDialect, SubscriptionQuery, SubscriptionView } from "./dialect.js";
import { v0 } from "./v0.js";
import { v8 } from "./v8.js";

export interface PresenceOptions {
  /** The path of the hub, and its URL. */
  readonly path: string;
  readonly base: string;
  /** The offset of the newest publication. */
  readonly head: () => number;
  /** The other daemons that serve this hub; absent = there are none. */
  readonly remote?: RemotePresence | undefined;
}

/** Other daemons: they are told who is here, and tell who is there, some seconds late. */
export interface RemotePresence {
  /** `isNew`: it has just come; else it was there before this process. */
  joined(subscriber: Subscriber, isNew: boolean): void;
  changed(subscriber: Subscriber): void;
  left(subscriber: Subscriber): void;
  subscribers(): Iterable<Subscriber>;
  /** Tells of those who come and go from now on. */
  observe(observer: RemotePresenceObserver): void;
  /** Counts whatever changes subscribers(). */
  readonly changes: number;
}

export class Presence implements PresenceListener, PresenceSource {
  readonly log: PresenceLog;
  readonly #base: string;
  readonly #path: string;
  readonly #others: RemotePresence | undefined;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #instance = randomBytes(6).toString("base64url");
  #changes = 0;

  constructor({ path, base, head, remote: others }: PresenceOptions) {
    this.#base = base;
    this.#path = path;
    this.#others = others;
    const render = this.#render.bind(this);
    const log = new PresenceLog({ render, head, isShared: others !== undefined });
    this.log = log;
    others?.observe({
      joined: (subscriber) => log.add(subscriber, true),
      changed: (before, after) => this.#logChange(before, after),
      left: (subscriber) => log.add(subscriber, false),
      missed: () => log.lose(),
    });
  }

  /** Names this state of things: another one whenever somebody came or went, and in another process. */
  get version(): string {
    return `${this.#instance}.${this.#changes + (this.#others?.changes ?? 0)}`;
  }

  joined(subscriber: Subscriber): void {
    this.#add(subscriber, true);
    this.log.add(subscriber, true);
  }

  adopted(subscriber: Subscriber): void {
    this.#add(subscriber, false);
  }

  changed(before: Subscriber, after: Subscriber): void {
    this.#changes++;
    this.#subscribers.set(after.id, after);
    this.#others?.changed(after);
    this.#logChange(before, after);
  }

  #logChange(before: Subscriber, after: Subscriber): void {
    this.log.add({ ...before, subscriptions: without(before.subscriptions, after.subscriptions) }, false);
    this.log.add({ ...after, subscriptions: without(after.subscriptions, before.subscriptions) }, true);
  }

  left(subscriber: Subscriber): void {
    this.#changes++;
    this.#subscribers.delete(subscriber.id);
    this.#others?.left(subscriber);
    this.log.add(subscriber, false);
  }

  #add(subscriber: Subscriber, isNew: boolean): void {
    this.#changes++;
    this.#subscribers.set(subscriber.id, subscriber);
    this.#others?.joined(subscriber, isNew);
  }

  watches({ selectors, grants }: Interest): boolean {
    return this.#reachesSubscriptions(grants) && this.#reachesSubscriptions(selectors);
  }

  /** A narrow selector is known by the word, a wide one by trying. */
  #reachesSubscriptions(selectors: readonly Selector[]): boolean {
    const path = this.#path;
    const examples = [`${path}/subscriptions/exact/x/urn%3Auuid%3Ax`, `${path}/subscriptions/x/urn%3Auuid%3Ax`];
    const isNarrow = selectors.some((selector) => wordsOf(selector).includes("subscriptions"));
    return isNarrow || covers(selectors, examples, this.#base);
  }

  /**
   * The subscriptions that a dialect tells of and a request asks for, subscriber by subscriber, here or with another daemon, each
   * subscriber once, none for one that is not meant. A subscriber that joins or leaves meanwhile may be missing or included.
   */
  *find(dialect: MercureDialect, sought: SubscriptionQuery): Iterable<readonly SubscriptionView[]> {
    const own = this.#subscribers;
    const one = sought.subscriber === undefined ? undefined : own.get(sought.subscriber);
    if (one) {
      yield subscriptionsOf(one, dialect, sought);
      return;
    }
    if (sought.subscriber === undefined) {
      for (const subscriber of own.values()) yield subscriptionsOf(subscriber, dialect, sought);
    }
    const seen = new Set<string>();
    for (const subscriber of this.#others?.subscribers() ?? []) {
      const isOther = !own.has(subscriber.id) && !seen.has(subscriber.id);
      const isMeant = isOther && (sought.subscriber ?? subscriber.id) === subscriber.id;
      seen.add(subscriber.id);
      yield isMeant ? subscriptionsOf(subscriber, dialect, sought) : [];
    }
  }

  /** The topic of a subscription, which is also its address. */
  topicOf(dialect: MercureDialect, subscription: SubscriptionView): string {
    return `${this.#path}/subscriptions${dialect.pathOf(subscription)}`;
  }

  #render(subscriber: Subscriber, active: boolean): PresenceEvent[] {
    return subscriber.subscriptions.map((subscribed) => {
      const dialect = dialectOf(subscribed);
      const subscription = { subscriber, subscribed };
      const topic = this.topicOf(dialect, subscription);
      const data = JSON.stringify(dialect.document(topic, subscription, active));
      return { topic, data, ...(dialect.eventType !== undefined && { type: dialect.eventType }) };
    });
  }
}

function subscriptionsOf(
  subscriber: Subscriber,
  dialect: MercureDialect,
  { kind, match }: SubscriptionQuery,
): SubscriptionView[] {
  const isSought = (it: Subscribed) => (kind ?? it.kind) === it.kind && (match ?? it.match) === it.match;
  return subscriber.subscriptions
    .filter((subscribed) => isSought(subscribed) && dialect.shows(subscribed))
    .map((subscribed) => ({ subscriber, subscribed }));
}

/** The subscriptions that are not among others. */
function without(subscriptions: readonly Subscribed[], others: readonly Subscribed[]): readonly Subscribed[] {
  const known = new Set(others.map(({ kind, match }) => `${kind}\n${match}`));
  return subscriptions.filter(({ kind, match }) => !known.has(`${kind}\n${match}`));
}

const dialectOf = (subscribed: Subscribed): MercureDialect => (v8.shows(subscribed) ? v8 : v0);
