/**
 * What a backend is told about clients, for the PUB socket and for webhooks: who connects, who is adopted, whose topics change, who leaves,
 * and who missed publications. It names nothing that gives access: no token, no name of a controlled stream.
 *
 * The size of an event is bounded, whatever a client asks for: MAX_SELECTOR_CHARACTERS of its selectors, MAX_CONNECTION_COUNT connections.
 */
import type { ClientEventKind, EventKind } from "../config/schema.js";
import type { Client } from "../delivery/client.js";
import type { DisconnectReason } from "../delivery/reasons.js";
import type { DaemonEvent, EventOf } from "../hub/events.js";
import type { Interest } from "../matching/interest.js";
import { type Selector, wordsOf } from "../matching/selector.js";
import { abbreviate } from "../util/abbreviate.js";
import type { Clock } from "../util/clock.js";
import { memoizeLast } from "../util/memoize-last.js";

/** Characters of the selectors of one event; further ones are only counted. */
const MAX_SELECTOR_CHARACTERS = 2000;
/** Connections of one gap event; more are told in further events. */
const MAX_CONNECTION_COUNT = 1000;
/** Topics of one publication that are told. */
const MAX_TOPIC_COUNT = 10;

/** What is told of one client; the members of its JSON in this order. */
export interface ClientEvent {
  readonly kind: EventKind;
  /** ISO 8601. */
  readonly time: string;
  /** Host and process, "host/pid". */
  readonly daemon: string;
  /** The [[mongrel2]] name, and its send_ident. */
  readonly server?: string;
  readonly ident?: string | undefined;
  /** Mongrel2's connection id: unique until that Mongrel2 restarts. */
  readonly connection?: number;
  /** Of a gap: all clients that missed the same. */
  readonly connections?: readonly number[];
  readonly remote?: string;
  /** The `sub` claim of its token. */
  readonly subject?: string | undefined;
  readonly selectors?: readonly Selector[];
  /** Selectors that are left out. */
  readonly moreSelectors?: number | undefined;
  /** As the client sent it, abbreviated. */
  readonly lastEventId?: string | undefined;
  readonly reason?: string;
  /** From its connect to its disconnect. */
  readonly connectedSeconds?: number;
  /** Of a publication. */
  readonly eventId?: string;
  readonly topics?: readonly string[];
  readonly private?: boolean;
  readonly bytes?: number;
}

export interface DescriberOptions {
  readonly clock: Clock;
  readonly daemon: string;
  /** The send_ident of each [[mongrel2]], by its name. */
  readonly idents: ReadonlyMap<string, string>;
}

/** The kind of a daemon event; undefined = backends are not told of it. */
export function kindOf(type: DaemonEvent["type"]): EventKind | undefined {
  switch (type) {
    case "published":
      return "publish";
    case "clientConnected":
      return "connect";
    case "clientAdopted":
      return "adopt";
    case "clientDisconnected":
      return "disconnect";
    case "topicsChanged":
      return "topics";
    case "gapReported":
      return "gap";
    default:
      return undefined;
  }
}

/** Turns daemon events into what is told. */
export class Describer {
  readonly #options: DescriberOptions;

  constructor(options: DescriberOptions) {
    this.#options = options;
  }

  /** One event, several for a gap of many clients, or none: see kindOf(). */
  describe(event: DaemonEvent): readonly ClientEvent[] {
    switch (event.type) {
      case "clientConnected":
        return [this.connect(event)];
      case "clientAdopted":
        return [this.ofClient("adopt", event.server, event.client)];
      case "topicsChanged":
        return [this.ofClient("topics", event.server, event.client)];
      case "clientDisconnected":
        return [this.disconnect(event.server, event.client, event.reason)];
      case "gapReported":
        return this.gaps(event);
      case "published":
        return [this.#publish(event)];
      default:
        return [];
    }
  }

  connect({ server, client, lastEventId }: EventOf<"clientConnected">): ClientEvent {
    return { ...this.ofClient("connect", server, client), lastEventId: lastEventId && abbreviate(lastEventId) };
  }

  disconnect(server: string, client: Client, reason: DisconnectReason): ClientEvent {
    const connectedSeconds = Math.round(this.#options.clock.monotonic() - client.since) / 1000;
    return { ...this.ofClient("disconnect", server, client), reason, connectedSeconds };
  }

  /** A client of the previous process that was not connected any more when this one looked. */
  gone(server: string, connection: number): ClientEvent {
    return { ...this.#head("disconnect"), ...this.#serverOf(server), connection, reason: "gone" };
  }

  /** Clients of one server that missed the same. */
  gaps({ server, reason, clients }: EventOf<"gapReported">): ClientEvent[] {
    const ids = Array.from(clients, ({ id }) => id);
    const events: ClientEvent[] = [];
    for (let at = 0; at < ids.length; at += MAX_CONNECTION_COUNT) {
      const connections = ids.slice(at, at + MAX_CONNECTION_COUNT);
      events.push({ ...this.#head("gap"), ...this.#serverOf(server), connections, reason });
    }
    return events;
  }

  ofClient(kind: ClientEventKind, server: string, { id, remote, subject, audience }: Client): ClientEvent {
    const { selectors, moreSelectors } = selectorsOf(audience.interest);
    return {
      ...this.#head(kind),
      ...this.#serverOf(server),
      ...{ connection: id, remote: abbreviate(remote), subject, selectors, moreSelectors },
    };
  }

  #publish({ publication }: EventOf<"published">): ClientEvent {
    const { id, topics, private: isPrivate, bytes } = publication;
    const shown = topics.slice(0, MAX_TOPIC_COUNT).map((topic) => abbreviate(topic));
    return { ...this.#head("publish"), eventId: id, topics: shown, private: isPrivate, bytes: bytes.length };
  }

  #head(kind: EventKind): Pick<ClientEvent, "kind" | "time" | "daemon"> {
    const { clock, daemon } = this.#options;
    return { kind, time: new Date(clock.now()).toISOString(), daemon };
  }

  #serverOf(server: string): Pick<ClientEvent, "server" | "ident"> & { readonly server: string } {
    return { server, ident: this.#options.idents.get(server) };
  }
}

/** Consecutive clients often have the same interest. */
const selectorsOf = memoizeLast(
  ({
    selectors,
  }: Interest): { readonly selectors: readonly Selector[]; readonly moreSelectors: number | undefined } => {
    let characters = 0;
    const shown = selectors.filter((selector) => {
      characters += wordsOf(selector).length;
      return characters <= MAX_SELECTOR_CHARACTERS;
    });
    return { selectors: shown, moreSelectors: selectors.length - shown.length || undefined };
  },
);
