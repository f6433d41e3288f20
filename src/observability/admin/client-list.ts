/** The clients as an operator sees them: a list in pages, one of them in full, and an end to some. */

import type { Client } from "../../delivery/client.js";
import type { Server } from "../../delivery/server-delivery.js";
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
  /** Topics whose private events it may see. */
  readonly grants: readonly Selector[];
  /** ISO 8601. */
  readonly since: string;
  readonly seconds: number;
  /** When its token ends, and its stream; null = never. */
  readonly expires: string | null;
  /** "behind": it is fed from history. */
  readonly state: "live" | "behind";
  /** Mongrel2 has taken everything up to this event for it; behind: so far it has been sent. */
  readonly cursor: string;
  /** Bytes that may be under way to it, and how many more may be sent now; null = Mongrel2 sets no limit. */
  readonly credits: { readonly allowance: number; readonly left: number } | null;
  /** As others may be told of it (Mercure); null = nobody is. */
  readonly subscriber: string | null;
  /** The `sub` of its token. */
  readonly subject: string | null;
}

export interface ClientPage {
  /** Connected, to all servers or to the one that was asked for. */
  readonly total: number;
  readonly clients: readonly ClientView[];
  /** What to ask for `after` to go on; null = this was the last page. */
  readonly next: string | null;
}

export interface PageOptions {
  /** Of this server only. */
  readonly server?: string;
  /** After this client: "server/id". */
  readonly after?: { readonly server: string; readonly id: number };
  readonly limit: number;
}

export interface ClientListParts {
  readonly hub: Pick<Hub, "end">;
  /** In the order in which they are listed. */
  readonly servers: () => readonly Server[];
  /** Of the history. */
  readonly epoch: () => string;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
}

/** A page ends before its limit where its clients' selectors have so many characters: one client may have 32 kB of them. */
const PAGE_CHARACTERS = 1_000_000;
/** Ids that are looked at in one step. */
const STEP_IDS = 1000;

export class ClientList {
  readonly #parts: ClientListParts;
  readonly #work: SlicedWork;

  constructor(parts: ClientListParts) {
    this.#parts = parts;
    this.#work = new SlicedWork(parts.clock, tooManyRequests);
  }

  /**
   * Server by server, the newest first: ids rise, so who comes between two pages is on neither, and nobody moves to another
   * page. Resolves with undefined when there is no such server, rejects with "unavailable" when too many ask.
   */
  page(options: PageOptions): Promise<ClientPage | undefined> {
    return this.#work.run(this.#page(options));
  }

  *#page({ server: name, after, limit }: PageOptions): Steps<ClientPage | undefined> {
    const servers = this.#parts.servers().filter((it) => name === undefined || it.name === name);
    const first = after === undefined ? 0 : servers.findIndex((it) => it.name === after.server);
    if (servers.length === 0 || first < 0) return undefined;
    const found: [server: Server, client: Client][] = [];
    for (const server of servers.slice(first)) {
      const below = server.name === after?.server ? after.id : Number.POSITIVE_INFINITY;
      const { clients } = server;
      for (const id of yield* newest([...clients.keys()], below, limit + 1 - found.length)) {
        const client = clients.get(id);
        if (client) found.push([server, client]);
      }
    }
    const shown: ClientView[] = [];
    let room = PAGE_CHARACTERS;
    for (const [server, client] of found.slice(0, limit)) {
      yield;
      if (room <= 0) break;
      shown.push(this.#view(server, client));
      room -= charactersOf(client);
    }
    const last = shown.at(-1);
    const total = servers.reduce((sum, { clients }) => sum + clients.size, 0);
    return { total, clients: shown, next: found.length > shown.length && last ? `${last.server}/${last.id}` : null };
  }

  one(name: string, id: number): ClientView | undefined {
    const server = this.#server(name);
    const client = server?.clients.get(id);
    return server && client && this.#view(server, client);
  }

  /** False when there is no such client. */
  end(name: string, id: number): boolean {
    const server = this.#server(name);
    if (!server?.clients.has(id)) return false;
    this.#parts.hub.end(server, id, "kicked");
    return true;
  }

  /** Ends those who follow a topic, by its name or by a pattern that selects it; those who follow everything only by "*". */
  endTopic(topic: string): Promise<number> {
    const follows = (selector: Selector): boolean =>
      wordsOf(selector) === topic || (selector.kind !== "any" && compile(selector, this.#parts.base)(topic));
    const known = new Map<Client["audience"], boolean>();
    return this.#endAll(function* ({ audience }): Steps<boolean> {
      const before = known.get(audience);
      if (before !== undefined) return before;
      let isMeant = false;
      for (const selector of audience.interest.selectors) {
        yield; // one selector may be a pattern of the worst kind
        isMeant ||= follows(selector);
      }
      known.set(audience, isMeant);
      return isMeant;
    });
  }

  /** Ends those whose token names this subject. */
  endSubject(subject: string): Promise<number> {
    return this.#endAll(({ subscriber }) => subscriber?.subject === subject);
  }

  /**
   * How many were ended: who leaves by itself meanwhile is not counted, and whoever comes or has got its id since then is spared.
   * Rejects with "unavailable" when too many ask.
   */
  #endAll(isMeant: (client: Client) => Steps<boolean> | boolean): Promise<number> {
    const { servers, hub } = this.#parts;
    return this.#work.run(
      (function* (): Steps<number> {
        let ended = 0;
        for (const server of servers()) {
          const { clients } = server;
          for (const client of [...clients.values()]) {
            yield;
            const looking = isMeant(client);
            const isIncluded = typeof looking === "boolean" ? looking : yield* looking;
            if (!isIncluded || clients.get(client.id) !== client) continue;
            hub.end(server, client.id, "kicked");
            ended++;
          }
        }
        return ended;
      })(),
    );
  }

  #server(name: string): Server | undefined {
    return this.#parts.servers().find((server) => server.name === name);
  }

  #view(server: Server, client: Client): ClientView {
    const { clock, epoch } = this.#parts;
    const { id, remote, audience, since, expiresAt, creditLimit, creditAvailable, subscriber } = client;
    const age = Math.max(0, clock.monotonic() - since);
    const isMetered = creditLimit !== Number.POSITIVE_INFINITY;
    return {
      server: server.name,
      id,
      remote,
      selectors: audience.interest.selectors,
      grants: audience.interest.grants,
      since: new Date(clock.now() - age).toISOString(),
      seconds: Math.round(age) / 1000,
      expires: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      state: client.state.name === "catchingUp" ? "behind" : "live",
      cursor: positionId(epoch(), Math.max(0, server.acknowledgedOffset(client))),
      credits: isMetered ? { allowance: creditLimit, left: creditAvailable } : null,
      subscriber: subscriber?.id ?? null,
      subject: subscriber?.subject ?? null,
    };
  }
}

const charactersOf = ({ audience: { interest } }: Client): number =>
  [...interest.selectors, ...interest.grants].reduce((sum, selector) => sum + wordsOf(selector).length, 0);

/** The highest ids below `below`, at most `most`, falling; without sorting them all. */
function* newest(ids: readonly number[], below: number, most: number): Steps<number[]> {
  const cut = (some: number[]) => some.sort((a, b) => b - a).slice(0, most);
  let kept: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  if (most <= 0) return kept;
  for (const [at, id] of ids.entries()) {
    if (at % STEP_IDS === 0) yield;
    if (id >= below || id <= least) continue;
    kept.push(id);
    if (kept.length < 2 * most) continue;
    kept = cut(kept);
    least = kept.at(-1) ?? least;
  }
  return cut(kept);
}
