/** Tells webhooks of clients: what happens becomes sessions, then events in the log, from which each webhook is sent its own. */
import type { ClientEventKind, Config, WebhookTable } from "../config/schema.js";
import type { Observe } from "../hub/events.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import type { Describer } from "./client-event.js";
import type { EventStore } from "./event-store.js";
import { type Post, post } from "./post.js";
import { Sessions } from "./sessions.js";
import { WebhookQueue } from "./webhook-queue.js";
import { type SenderStatus, WebhookSender } from "./webhook-sender.js";

/** How often events that are too old are looked for. */
const CHECK_INTERVAL_MS = 1000;

export interface WebhooksOptions {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly conditions: Conditions;
  readonly describer: Describer;
  readonly servers: ReadonlySet<string>;
  /** Events were removed that a webhook had not got. */
  readonly lost: (webhook: string, count: number) => void;
  readonly random: () => number;
  /** Absent = over the network. */
  readonly post?: Post;
}

type Settings = Pick<Config, "webhook" | "events">;

export interface WebhookStatus extends SenderStatus {
  readonly name: string;
  /** Events that wait. */
  readonly pending: number;
  /** Age of the oldest of them. */
  readonly oldestSeconds: number;
  /** Events that were removed before it got them, since the process began. */
  readonly lost: number;
}

interface Webhook {
  readonly name: string;
  readonly queue: WebhookQueue;
  readonly sender: WebhookSender;
  lost: number;
}

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #sessions: Sessions;
  readonly #timer: Cancel;
  #webhooks: readonly Webhook[] = [];
  /** Kinds that some webhook gets: others are not stored. */
  #kinds: ReadonlySet<ClientEventKind>;
  #isScheduled = false;
  #isClosed = false;

  constructor(settings: Settings, options: WebhooksOptions) {
    const { store, clock, describer, servers } = options;
    this.#options = options;
    this.#kinds = kindsOf(settings);
    this.#sessions = new Sessions({
      ...{ store, clock, describer, servers, grace: settings.events.grace },
      tell: (kind, time, json) => this.#append(kind, time, json),
    });
    this.configure(settings);
    this.#timer = clock.every(CHECK_INTERVAL_MS, () => this.#advance());
    this.#schedule();
  }

  /** Other webhooks, or other settings of them. Events that wait stay with the name of their webhook. */
  configure(settings: Settings): void {
    const { webhook: tables, events } = settings;
    this.#kinds = kindsOf(settings);
    const known = new Map(this.#webhooks.map((webhook) => [webhook.name, webhook]));
    this.#webhooks = tables.map((table) => {
      const webhook = known.get(table.name) ?? this.#open(table, events.max_pending);
      webhook.queue.configure(new Set(table.events), events.max_pending);
      known.delete(table.name);
      return webhook;
    });
    for (const { name, sender } of known.values()) {
      void sender.close();
      this.#options.conditions.end("webhook_failing", name);
    }
    this.#options.store.keepPositions(tables.map(({ name }) => name));
    for (const [at, table] of tables.entries()) this.#webhooks[at]?.sender.configure(table);
    this.#sessions.grace = events.grace;
  }

  readonly observe: Observe = (event) => {
    switch (event.type) {
      case "clientConnected":
        return this.#sessions.connected(event);
      case "clientAdopted":
        return this.#sessions.adopted(event);
      case "clientDisconnected":
        return this.#sessions.disconnected(event);
      case "topicsChanged":
        return this.#sessions.topicsChanged(event);
      case "gapReported":
        return this.#kinds.has("gap") ? this.#sessions.gapReported(event) : undefined;
      case "adoptionCompleted":
        return this.#sessions.adoptionCompleted(event.server);
      default:
        return; // webhooks are told of clients only
    }
  };

  get status(): readonly WebhookStatus[] {
    const now = this.#options.clock.now();
    return this.#webhooks.map(({ name, queue, sender, lost }) => {
      const { oldestTime = now, pending } = queue;
      return { name, ...sender.status, pending, oldestSeconds: Math.max(0, now - oldestTime) / 1000, lost };
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer();
    this.#sessions.close();
    await Promise.all(this.#webhooks.map(({ sender }) => sender.close()));
    await this.#options.store.close();
  }

  #open(table: WebhookTable, maxPending: number): Webhook {
    const { store, clock, conditions, random, post: send = post } = this.#options;
    const queue = new WebhookQueue({ name: table.name, kinds: new Set(table.events), store, maxPending });
    const taken = () => this.#trim();
    const sender = new WebhookSender(table, { queue, post: send, clock, conditions, random, taken });
    return { name: table.name, queue, sender, lost: 0 };
  }

  #append(kind: ClientEventKind, time: number, json: string): void {
    if (!this.#kinds.has(kind)) return;
    this.#options.store.append({ kind, time, json });
    this.#schedule();
  }

  /** At the end of the turn, behind the transaction that stores its events. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#isClosed || !this.#options.store.commit()) return;
    for (const webhook of this.#webhooks) {
      this.#dropOldest(webhook);
      webhook.sender.send();
    }
    this.#trim();
  }

  #dropOldest(webhook: Webhook): void {
    if (webhook.sender.isSending) return;
    const count = webhook.queue.dropOldest();
    if (count === 0) return;
    webhook.lost += count;
    this.#options.lost(webhook.name, count);
  }

  /** Removes what every webhook has had. */
  #trim(): void {
    if (this.#isClosed) return;
    const { store } = this.#options;
    store.trim(this.#webhooks.reduce((least, { queue }) => Math.min(least, queue.doneThrough), store.last));
  }
}

const kindsOf = ({ webhook }: Settings): ReadonlySet<ClientEventKind> =>
  new Set(webhook.flatMap(({ events: kinds }) => kinds));
