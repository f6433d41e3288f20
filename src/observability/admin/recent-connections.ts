/** The clients that connected and disconnected last, so that the dashboard shows them at once. */
import { randomBytes } from "node:crypto";
import type { DisconnectReason } from "../../delivery/reasons.js";
import type { EventOf, Observe } from "../../hub/events.js";
import { type Selector, wordsOf } from "../../matching/selector.js";
import { abbreviate, abbreviateList } from "../../util/abbreviate.js";
import type { Clock } from "../../util/clock.js";

export interface RecentConnection {
  readonly event: "connect" | "adopt" | "disconnect";
  /** ISO 8601. */
  readonly at: string;
  readonly server: string;
  readonly client: number;
  readonly remote: string;
  /** Its first topics and patterns, abbreviated. */
  readonly topics: readonly string[];
  /** Clients of this server after that. */
  readonly clients: number;
  /** Of a disconnect. */
  readonly reason?: DisconnectReason;
  /** Of a disconnect: for how long it was connected. */
  readonly seconds?: number;
}

export interface RecentChanges {
  /** Oldest first. */
  readonly connections: readonly RecentConnection[];
  /** Connections before these that are no longer held. */
  readonly skipped: number;
}

const MAX_HELD_COUNT = 50;
/** What is shown of a client's topics: it may have 100 of 4 kB each. */
const SHOWN_TOPICS = { maxWords: 3, maxWordCharacters: 80, maxCharacters: 300 };

export class RecentConnections {
  readonly #clock: Clock;
  readonly #instance = randomBytes(6).toString("base64url");
  /** Made only when they are read: in a storm nearly all are dropped before that. */
  readonly #held: (() => RecentConnection)[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Connections since the process began. */
  get count(): number {
    return this.#count;
  }

  /** Connections before the first one that is held. */
  get firstHeld(): number {
    return this.#count - this.#held.length;
  }

  readonly observe: Observe = (event) => {
    switch (event.type) {
      case "clientConnected":
        return this.#add("connect", event);
      case "clientAdopted":
        return this.#add("adopt", event);
      case "clientDisconnected": {
        const seconds = Math.round(this.#clock.monotonic() - event.client.since) / 1000;
        return this.#add("disconnect", event, { reason: event.reason, seconds });
      }
      default:
        return;
    }
  };

  /** Those after the first `count`. */
  after(count: number): RecentChanges {
    const connections = this.#held.slice(Math.max(0, this.#held.length - (this.#count - count))).map((make) => make());
    return { connections, skipped: this.#count - count - connections.length };
  }

  /** The id of a dashboard event that includes all connections until now. */
  get id(): string {
    return `${this.#instance}.${this.#count}`;
  }

  /** The connections that the event with this id and those before it include; undefined for an id of another process. */
  countAt(id: string): number | undefined {
    const [instance, digits = ""] = id.split(".", 2);
    const count = instance === this.#instance && /^[0-9]{1,15}$/.test(digits) ? Number(digits) : undefined;
    return count !== undefined && count <= this.#count ? count : undefined;
  }

  #add(
    event: RecentConnection["event"],
    { server, client, clients }: EventOf<"clientConnected" | "clientAdopted" | "clientDisconnected">,
    ended: Partial<RecentConnection> = {},
  ): void {
    const now = this.#clock.now();
    const { id, remote, audience } = client;
    const { selectors } = audience.interest;
    this.#held.push(() => {
      const at = new Date(now).toISOString();
      const shown = { remote: abbreviate(remote), topics: topicsOf(selectors) };
      return { event, at, server, client: id, ...shown, clients, ...ended };
    });
    this.#count++;
    if (this.#held.length > MAX_HELD_COUNT) this.#held.shift();
  }
}

const topicsOf = (selectors: readonly Selector[]): string[] => abbreviateList(selectors.map(wordsOf), SHOWN_TOPICS);
