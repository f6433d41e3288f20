/**
 * Clients of all servers that watch subscriptions (Mercure, "Active Subscriptions"). Whether a client watches follows from its interest and
 * grants: a client without a grant never does, and costs nothing here.
 */
import type { Audience } from "../delivery/audience.js";
import type { Client } from "../delivery/client.js";
import type { History } from "../delivery/history.js";
import type { GapReason } from "../delivery/reasons.js";
import type { ReplayRequest } from "../delivery/replay.js";
import type { NewStream, ServerDelivery } from "../delivery/server-delivery.js";
import type { Interest } from "../matching/interest.js";
import { presenceNumberOf } from "../protocol/position.js";
import type { Clock } from "../util/clock.js";
import { PresenceFeed } from "./presence-feed.js";
import type { PresenceLog } from "./presence-log.js";

/** The presence events, and who receives them. */
export interface PresenceSource {
  readonly log: PresenceLog;
  /** Whether an interest selects presence events and its grants permit them. */
  watches(interest: Interest): boolean;
}

export class Watchers {
  readonly #source: PresenceSource | undefined;
  readonly #history: History;
  readonly #clock: Clock;
  readonly #feeds = new Map<ServerDelivery, PresenceFeed>();
  readonly #watching = new WeakMap<Audience<Client>, boolean>();

  /** Without a source no client watches. */
  constructor(source: PresenceSource | undefined, history: History, clock: Clock) {
    this.#source = source;
    this.#history = history;
    this.#clock = clock;
    if (source) source.log.changed = () => this.#changed();
  }

  serve(server: ServerDelivery): void {
    if (!this.#source) return;
    const { log } = this.#source;
    this.#feeds.set(server, new PresenceFeed({ server, log, history: this.#history, clock: this.#clock }));
  }

  /** The first bytes of a stream: its start, and for a watcher the presence events that it missed and its position among them. */
  start(server: ServerDelivery, { client, start, replay, selecting }: NewStream, requested: ReplayRequest): Buffer {
    const feed = this.#feedOf(server, client);
    // Before a selection no position is sent.
    if (!feed || selecting) return start;
    return Buffer.concat([start, feed.opening(client, replay.cursor, this.#missedAfter(requested, replay.gap))]);
  }

  add(server: ServerDelivery, client: Client): void {
    this.#feedOf(server, client)?.add(client);
  }

  remove(server: ServerDelivery, client: Client): void {
    this.#feedOf(server, client)?.remove(client);
  }

  /** The connections of this server are lost. */
  clear(server: ServerDelivery): void {
    this.#feeds.get(server)?.clear();
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }

  #changed(): void {
    for (const feed of this.#feeds.values()) feed.changed();
  }

  #feedOf(server: ServerDelivery, { audience }: Client): PresenceFeed | undefined {
    const { interest } = audience;
    if (!this.#source || interest.grants.length === 0) return undefined;
    const isWatching = this.#watching.get(audience) ?? this.#source.watches(interest);
    this.#watching.set(audience, isWatching);
    return isWatching ? this.#feeds.get(server) : undefined;
  }

  /** The number in the log after which the client has missed events; undefined = it misses none that a gap does not report already. */
  #missedAfter({ lastEventId, offset }: ReplayRequest, gap: GapReason | undefined): number | "lost" | undefined {
    if (!this.#source || lastEventId === undefined || typeof offset !== "number" || gap) return undefined;
    const { log } = this.#source;
    if (lastEventId === "earliest") return log.floor;
    const number = presenceNumberOf(this.#history.epoch, lastEventId, log.instance);
    if (number !== undefined) return number;
    if (log.isShared) return "lost";
    const sent = [...this.#feeds.values()].map((feed) => feed.sentBefore(offset) ?? Number.NEGATIVE_INFINITY);
    return Math.min(log.last, ...sent);
  }
}
