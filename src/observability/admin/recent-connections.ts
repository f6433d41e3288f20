/** Who came and went last: kept so that whoever begins to watch sees it at once. */
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
  /** What it asked for: the first few words of it. */
  readonly topics: readonly string[];
  /** Clients of this server after that. */
  readonly clients: number;
  /** Of a disconnect. */
  readonly reason?: DisconnectReason;
  /** Of a disconnect: how long it was connected. */
  readonly seconds?: number;
}

export interface RecentChanges {
  /** Oldest first. */
  readonly visits: readonly RecentConnection[];
  /** Visits before these that are not held any more. */
  readonly skipped: number;
}

/** Visits that are held. */
const HELD = 50;
/** What is shown of a client's topics, which can be 100 of 4 kB each. */
const TOPICS = { maxWords: 3, maxWordCharacters: 80, maxCharacters: 300 };

export class RecentConnections {
  readonly #clock: Clock;
  readonly #instance = randomBytes(6).toString("base64url");
  /** Told in words when somebody asks: in a storm nearly all are forgotten before that. */
  readonly #held: (() => RecentConnection)[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  /** How many of them are not held any more. */
  get forgotten(): number {
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
    const visits = this.#held.slice(Math.max(0, this.#held.length - (this.#count - count))).map((tell) => tell());
    return { visits, skipped: this.#count - count - visits.length };
  }

  /** The id of an event after which everything so far is known. */
  get id(): string {
    return `${this.#instance}.${this.#count}`;
  }

  /** How many were known after the event with this id; undefined for an id of another process, or none. */
  countAt(id: string): number | undefined {
    const [instance, digits = ""] = id.split(".", 2);
    const count = instance === this.#instance && /^[0-9]{1,15}$/.test(digits) ? Number(digits) : undefined;
    return count !== undefined && count <= this.#count ? count : undefined;
  }

  #add(
    event: RecentConnection["event"],
    { server, client, clients }: EventOf<"clientConnected" | "clientAdopted" | "clientDisconnected">,
    left: Partial<RecentConnection> = {},
  ): void {
    const now = this.#clock.now();
    const { id, remote, audience } = client;
    const { selectors } = audience.interest;
    this.#held.push(() => {
      const at = new Date(now).toISOString();
      const shown = { remote: abbreviate(remote), topics: topicsOf(selectors) };
      return { event, at, server, client: id, ...shown, clients, ...left };
    });
    this.#count++;
    if (this.#held.length > HELD) this.#held.shift();
  }
}

const topicsOf = (selectors: readonly Selector[]): string[] => abbreviateList(selectors.map(wordsOf), TOPICS);
