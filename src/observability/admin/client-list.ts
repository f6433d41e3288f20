/** Lists clients in pages and disconnects clients, for operators. */

import type { Client } from "../../delivery/client.js";
import type { ServerDelivery } from "../../delivery/server-delivery.js";
import { tooManyRequests } from "../../errors.js";
import type { Hub } from "../../hub/hub.js";
import { compile, type Selector, wordsOf } from "../../matching/selector.js";
import { positionId } from "../../protocol/position.js";
import type { Clock } from "../../util/clock.js";
import { SlicedWork, type Steps } from "../../util/sliced-work.js";

export interface ClientView {
  readonly server: string;
  readonly id: number;
  readonly remote: string;
  readonly selectors: readonly Selector[];
  /** Topics whose private events it may receive. */
  readonly grants: readonly Selector[];
  /** ISO 8601. */
  readonly connectedAt: string;
  readonly connectedSeconds: number;
  /** When its token expires, which ends its stream; null = never. */
  readonly expiresAt: string | null;
  /** "catching up": it reads from the history. */
  readonly state: "live" | "catching up";
  /** Mongrel2 has acknowledged all events up to this one; for a client that catches up: they are sent. */
  readonly cursor: string;
  /** Bytes that may be unacknowledged, and how many may be sent now; null = Mongrel2 sets no limit. */
  readonly credit: { readonly limitBytes: number; readonly availableBytes: number } | null;
  /** Its id in Mercure's subscription API; null = it has none. */
  readonly subscriber: string | null;
  /** The `sub` of its token. */
  readonly subject: string | null;
}

export interface ClientPage {
  /** Clients connected to all servers, or to PageOptions.server. */
  readonly total: number;
  readonly clients: readonly ClientView[];
  /** `after` of the next page; null = this is the last one. */
  readonly next: string | null;
}

export interface PageOptions {
  /** Absent = all servers. */
  readonly server?: string;
  /** The last client of the page before. */
  readonly after?: { readonly server: string; readonly id: number };
  readonly limit: number;
}

export interface ClientListParts {
  readonly hub: Pick<Hub, "end">;
  /** In the order in which they are listed. */
  readonly servers: () => readonly ServerDelivery[];
  /** Epoch of the history. */
  readonly epoch: () => string;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
}

/** A page ends before its limit at this size of selectors: one client may have 32 kB of them. */
const MAX_PAGE_CHARACTERS = 1_000_000;
/** Ids compared in one step. */
const STEP_ID_COUNT = 1000;

export class ClientList {
  readonly #parts: ClientListParts;
  readonly #work: SlicedWork;

  constructor(parts: ClientListParts) {
    this.#parts = parts;
    this.#work = new SlicedWork(parts.clock, tooManyRequests);
  }

  /**
   * Server by server, the newest first: ids rise, so a client that connects between two pages is on neither, and none moves to another
   * page. Resolves with undefined when there is no such server, rejects with "unavailable" where too many requests are queued.
   */
  page(options: PageOptions): Promise<ClientPage | undefined> {
    return this.#work.run(this.#page(options));
  }

  *#page({ server: name, after, limit }: PageOptions): Steps<ClientPage | undefined> {
    const servers = this.#parts.servers().filter((it) => name === undefined || it.name === name);
    const first = after === undefined ? 0 : servers.findIndex((it) => it.name === after.server);
    if (servers.length === 0 || first < 0) return undefined;
    const found: [server: ServerDelivery, client: Client][] = [];
    for (const server of servers.slice(first)) {
      const below = server.name === after?.server ? after.id : Number.POSITIVE_INFINITY;
      const { clients } = server;
      for (const id of yield* newest([...clients.keys()], below, limit + 1 - found.length)) {
        const client = clients.get(id);
        if (client) found.push([server, client]);
      }
    }
    const views: ClientView[] = [];
    let charactersLeft = MAX_PAGE_CHARACTERS;
    for (const [server, client] of found.slice(0, limit)) {
      yield;
      if (charactersLeft <= 0) break;
      views.push(this.#view(server, client));
      charactersLeft -= charactersOf(client);
    }
    const last = views.at(-1);
    const total = servers.reduce((sum, { clients }) => sum + clients.size, 0);
    return { total, clients: views, next: found.length > views.length && last ? `${last.server}/${last.id}` : null };
  }

  find(name: string, id: number): ClientView | undefined {
    const server = this.#server(name);
    const client = server?.clients.get(id);
    return server && client && this.#view(server, client);
  }

  /** False when there is no such client. */
  disconnect(name: string, id: number): boolean {
    const server = this.#server(name);
    if (!server?.clients.has(id)) return false;
    this.#parts.hub.end(server, id, "kicked");
    return true;
  }

  /** Disconnects the clients whose topics or patterns match; those that subscribe to all topics only with "*". */
  disconnectTopic(topic: string): Promise<number> {
    const matches = (selector: Selector): boolean =>
      wordsOf(selector) === topic || (selector.kind !== "any" && compile(selector, this.#parts.base)(topic));
    const known = new Map<Client["audience"], boolean>();
    return this.#disconnectAll(function* ({ audience }): Steps<boolean> {
      const before = known.get(audience);
      if (before !== undefined) return before;
      let isIncluded = false;
      for (const selector of audience.interest.selectors) {
        yield; // the pattern of one selector may be expensive
        isIncluded ||= matches(selector);
      }
      known.set(audience, isIncluded);
      return isIncluded;
    });
  }

  /** Disconnects the clients whose token has this subject. */
  disconnectSubject(subject: string): Promise<number> {
    return this.#disconnectAll((client) => client.subject === subject);
  }

  /**
   * Resolves with the number of disconnected clients: not those that left by themselves meanwhile, nor clients that have connected, or got
   * an id again, since the call. Rejects with "unavailable" where too many requests are queued.
   */
  #disconnectAll(includes: (client: Client) => Steps<boolean> | boolean): Promise<number> {
    const { servers, hub } = this.#parts;
    return this.#work.run(
      (function* (): Steps<number> {
        let disconnected = 0;
        for (const server of servers()) {
          const { clients } = server;
          for (const client of [...clients.values()]) {
            yield;
            const result = includes(client);
            const isIncluded = typeof result === "boolean" ? result : yield* result;
            if (!isIncluded || clients.get(client.id) !== client) continue;
            hub.end(server, client.id, "kicked");
            disconnected++;
          }
        }
        return disconnected;
      })(),
    );
  }

  #server(name: string): ServerDelivery | undefined {
    return this.#parts.servers().find((server) => server.name === name);
  }

  #view(server: ServerDelivery, client: Client): ClientView {
    const { clock, epoch } = this.#parts;
    const {
      id,
      remote,
      audience,
      since,
      expiresAt,
      creditLimit: limitBytes,
      creditAvailable: availableBytes,
      subscriber,
    } = client;
    const age = Math.max(0, clock.monotonic() - since);
    const isLimited = limitBytes !== Number.POSITIVE_INFINITY;
    return {
      server: server.name,
      id,
      remote,
      selectors: audience.interest.selectors,
      grants: audience.interest.grants,
      connectedAt: new Date(clock.now() - age).toISOString(),
      connectedSeconds: Math.round(age) / 1000,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      state: client.state.name === "catchingUp" ? "catching up" : "live",
      cursor: positionId(epoch(), Math.max(0, server.acknowledgedOffset(client))),
      credit: isLimited ? { limitBytes, availableBytes } : null,
      subscriber: subscriber?.id ?? null,
      subject: client.subject ?? null,
    };
  }
}

const charactersOf = ({ audience: { interest } }: Client): number =>
  [...interest.selectors, ...interest.grants].reduce((sum, selector) => sum + wordsOf(selector).length, 0);

/** The highest ids below `below`, at most `limit` of them, falling; without a sort of all ids. */
function* newest(ids: readonly number[], below: number, limit: number): Steps<number[]> {
  const highest = (some: number[]) => some.sort((a, b) => b - a).slice(0, limit);
  let kept: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  if (limit <= 0) return kept;
  for (const [at, id] of ids.entries()) {
    if (at % STEP_ID_COUNT === 0) yield;
    if (id >= below || id <= least) continue;
    kept.push(id);
    if (kept.length < 2 * limit) continue;
    kept = highest(kept);
    least = kept.at(-1) ?? least;
  }
  return highest(kept);
}
