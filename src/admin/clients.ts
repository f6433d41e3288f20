/** The clients as an operator sees them: a list in pages, one of them in full, and an end to some. */
import type { Client } from "../hub/client.js";
import type { Hub } from "../hub/hub.js";
import { positionId } from "../hub/position.js";
import { compile, type Selector, wordsOf } from "../hub/selector.js";
import type { Server } from "../hub/server.js";
import { stored } from "../hub/subscription.js";
import type { Clock } from "../util/clock.js";

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

export interface ClientsParts {
  readonly hub: Pick<Hub, "end">;
  /** In the order in which they are listed. */
  readonly servers: () => readonly Server[];
  /** Of the history. */
  readonly epoch: () => string;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
}

/** Clients that are ended in one turn of the event loop: each is a line in the log and a frame. */
const AT_ONCE = 200;

export class Clients {
  readonly #parts: ClientsParts;

  constructor(parts: ClientsParts) {
    this.#parts = parts;
  }

  /**
   * Server by server, the newest first: ids rise, so who comes between two pages is on neither, and nobody moves to another
   * page. Undefined when there is no such server.
   */
  page({ server: name, after, limit }: PageOptions): ClientPage | undefined {
    const servers = this.#parts.servers().filter((it) => name === undefined || it.name === name);
    const first = after === undefined ? 0 : servers.findIndex((it) => it.name === after.server);
    if (servers.length === 0 || first < 0) return undefined;
    const found: [server: Server, client: Client][] = [];
    for (const server of servers.slice(first)) {
      const below = server.name === after?.server ? after.id : Number.POSITIVE_INFINITY;
      const { clients } = server.registry;
      for (const id of newest(clients.keys(), below, limit + 1 - found.length)) {
        const client = clients.get(id);
        if (client) found.push([server, client]);
      }
    }
    const shown = found.slice(0, limit).map(([server, client]) => this.#view(server, client));
    const last = shown.at(-1);
    const total = servers.reduce((sum, { registry }) => sum + registry.size, 0);
    return { total, clients: shown, next: found.length > limit && last ? `${last.server}/${last.id}` : null };
  }

  one(name: string, id: number): ClientView | undefined {
    const server = this.#server(name);
    const client = server?.registry.clients.get(id);
    return server && client && this.#view(server, client);
  }

  /** False when there is no such client. */
  end(name: string, id: number): boolean {
    const server = this.#server(name);
    if (!server?.registry.clients.has(id)) return false;
    this.#parts.hub.end(server, id, "kicked");
    return true;
  }

  /** Ends those who follow a topic, by its name or by a pattern that selects it; those who follow everything only by "*". */
  endTopic(topic: string): Promise<number> {
    const follows = (selector: Selector): boolean =>
      wordsOf(selector) === topic || (selector.kind !== "any" && compile(selector, this.#parts.base)(topic));
    return this.#endAll(({ audience }) => audience.interest.selectors.some(follows));
  }

  /** Ends those whose token names this subject. */
  endSubject(subject: string): Promise<number> {
    return this.#endAll(({ subscriber }) => subscriber?.subject === subject);
  }

  /** How many were ended: who leaves by itself meanwhile is not counted, and whoever has got its id since then is spared. */
  async #endAll(isMeant: (client: Client) => boolean): Promise<number> {
    const meant = this.#parts.servers().flatMap((server) => {
      return [...server.registry.clients.values()].filter(isMeant).map((client) => ({ server, client }));
    });
    let ended = 0;
    for (const [at, { server, client }] of meant.entries()) {
      if (at % AT_ONCE === AT_ONCE - 1) await this.#turn();
      if (server.registry.clients.get(client.id) !== client) continue;
      this.#parts.hub.end(server, client.id, "kicked");
      ended++;
    }
    return ended;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(0, resolve));
  }

  #server(name: string): Server | undefined {
    return this.#parts.servers().find((server) => server.name === name);
  }

  #view(server: Server, client: Client): ClientView {
    const { clock, epoch } = this.#parts;
    const { id, remote, audience, since, expiresAt, behind, allowance, credit, subscriber } = client;
    const age = Math.max(0, clock.monotonic() - since);
    const isMetered = allowance !== Number.POSITIVE_INFINITY;
    return {
      server: server.name,
      id,
      remote,
      selectors: audience.interest.selectors,
      grants: audience.interest.grants,
      since: new Date(clock.now() - age).toISOString(),
      seconds: Math.round(age) / 1000,
      expires: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      state: behind ? "behind" : "live",
      cursor: positionId(epoch(), Math.max(0, behind?.cursor ?? stored(server, client).seen)),
      credits: isMetered ? { allowance, left: credit } : null,
      subscriber: subscriber?.id ?? null,
      subject: subscriber?.subject ?? null,
    };
  }
}

/** The highest ids below `below`, at most `most`, falling; without sorting them all. */
function newest(ids: Iterable<number>, below: number, most: number): number[] {
  const cut = (some: number[]) => some.sort((a, b) => b - a).slice(0, most);
  let kept: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  if (most <= 0) return kept;
  for (const id of ids) {
    if (id >= below || id <= least) continue;
    kept.push(id);
    if (kept.length < 2 * most) continue;
    kept = cut(kept);
    least = kept.at(-1) ?? least;
  }
  return cut(kept);
}
