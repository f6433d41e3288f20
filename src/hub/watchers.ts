/**
 * Clients that watch subscriptions come and go (Mercure, "Active Subscriptions"), of all servers. Whether a client watches follows from
 * what it asked for and may see; without a grant nobody does, and for those nothing of this costs anything.
 */
import type { Audience } from "../delivery/audience.js";
import type { Client } from "../delivery/client.js";
import type { History } from "../delivery/ports.js";
import type { Replay, RequestedOffset } from "../delivery/replay.js";
import type { Server } from "../delivery/server-delivery.js";
import type { Interest } from "../matching/interest.js";
import { presenceNumberOf } from "../protocol/position.js";
import { PresenceFeed, type PresenceFeedOptions } from "./presence-feed.js";
import type { PresenceLog } from "./presence-log.js";

/** What there is to tell, and who is told. */
export interface PresenceSource {
  readonly log: PresenceLog;
  /** Whether an interest selects subscriptions, and grants them. */
  watches(interest: Interest): boolean;
}

/** How a client comes: its last event id, the offset that it names, and where it goes on from. */
interface Arrival extends Pick<Replay, "cursor" | "gap"> {
  readonly lastEventId: string | undefined;
  readonly asked: RequestedOffset;
}

export class Watchers {
  readonly #source: PresenceSource | undefined;
  readonly #history: History;
  readonly #feeds = new Map<string, PresenceFeed>();
  readonly #known = new WeakMap<Audience, boolean>();

  /** Without a source nobody watches. */
  constructor(source: PresenceSource | undefined, history: History) {
    this.#source = source;
    this.#history = history;
    if (source) source.log.changed = () => this.#changed();
  }

  serve(server: Server, parts: Pick<PresenceFeedOptions, "clock" | "gap">): void {
    if (!this.#source) return;
    const { log } = this.#source;
    const history = this.#history;
    const { outlet, outbox } = server;
    const position = ({ behind, audience }: Client) => behind?.cursor ?? audience.joinOffset(outbox.head);
    const options = { ...parts, log, outlet, position, epoch: () => history.epoch, head: () => history.last };
    this.#feeds.set(server.name, new PresenceFeed(options));
  }

  /** The first bytes of a stream: `start`, and for a watcher what it missed and where it is. */
  opening(server: Server, client: Client, start: Buffer, arrival: Arrival): Buffer {
    const feed = this.#feedOf(server, client);
    if (!feed) return start;
    return Buffer.concat([start, feed.opening(client, arrival.cursor, this.#missedAfter(arrival))]);
  }

  add(server: Server, client: Client): void {
    this.#feedOf(server, client)?.add(client);
  }

  remove(server: Server, client: Client): void {
    this.#feedOf(server, client)?.remove(client);
  }

  /** Nobody of this server is connected any more. */
  clear({ name }: Server): void {
    this.#feeds.get(name)?.clear();
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }

  #changed(): void {
    for (const feed of this.#feeds.values()) feed.changed();
  }

  #feedOf({ name }: Server, { audience }: Client): PresenceFeed | undefined {
    const { interest } = audience;
    if (!this.#source || interest.grants.length === 0) return undefined;
    const watches = this.#known.get(audience) ?? this.#source.watches(interest);
    this.#known.set(audience, watches);
    return watches ? this.#feeds.get(name) : undefined;
  }

  /** The number in the log after which a client has missed what there is; undefined = it misses nothing that is not told already. */
  #missedAfter({ lastEventId, asked, gap }: Arrival): number | "lost" | undefined {
    if (!this.#source || lastEventId === undefined || typeof asked !== "number" || gap) return undefined;
    const { log } = this.#source;
    if (lastEventId === "earliest") return log.floor;
    const number = presenceNumberOf(this.#history.epoch, lastEventId, log.instance);
    if (number !== undefined) return number;
    if (log.isShared) return "lost";
    const told = [...this.#feeds.values()].map((feed) => feed.toldBefore(asked) ?? Number.NEGATIVE_INFINITY);
    return Math.min(log.last, ...told);
  }
}
