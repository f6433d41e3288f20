/**
 * The hub: publications come in, clients come and go, and every client gets every publication it asked for, in order, once.
 * This file is the list of what can happen; how each step works stands in the file it is named after.
 */
import type { Draft, Publication } from "../protocol/publication.js";
import { encodeEvent } from "../protocol/sse.js";
import type { Clock } from "../util/clock.js";
import { Catchup, type Feed } from "./catchup.js";
import type { Client } from "./client.js";
import { Keepalive, type KeepaliveTimes } from "./keepalive.js";
import { Outbox } from "./outbox.js";
import type { Bus, ClientStore, GapReason, History, Journal, Outlet, Reason, StoredClient } from "./ports.js";
import { offsetOf, positionId } from "./position.js";
import { Registry } from "./registry.js";
import type { Server } from "./server.js";
import type { Selectors } from "./topic.js";

/** The largest body that is sent at once, bytes; Mongrel2's flow control kills a connection at 102,400 pending. */
export const MAX_BODY = 100_000;
/** What one flush may spend on clients that are behind, bytes times receivers. */
const CATCHUP_BYTES = 1_000_000;

export interface HubOptions {
  readonly bus: Bus;
  readonly history: History;
  readonly clients: ClientStore;
  readonly journal: Journal;
  readonly clock: Clock;
}

/** What a client that connects asks for. */
export interface Subscription {
  readonly id: number;
  readonly remote: string;
  readonly selectors: Selectors;
  /** The last event it has seen; undefined = none, "earliest" = before everything that is held. */
  readonly lastEventId: string | undefined;
  /** Makes the first bytes to the browser (the HTTP head and what comes before the first event). */
  readonly opening: () => Buffer;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #servers = new Map<string, Server>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  get servers(): Iterable<Server> {
    return this.#servers.values();
  }

  /** Clients connected to all servers. */
  get clients(): number {
    let clients = 0;
    for (const server of this.#servers.values()) clients += server.registry.size;
    return clients;
  }

  /** Begins to take publications from the bus. */
  async start(): Promise<void> {
    await this.#options.bus.start((publication) => this.#deliver(publication));
  }

  /** Adds a Mongrel2. Nothing is sent to it until live(). */
  serve(name: string, outlet: Outlet, times: KeepaliveTimes): Server {
    const { clock, history, journal } = this.#options;
    const registry = new Registry(outlet);
    const catchup = new Catchup({
      history,
      maxBytes: MAX_BODY,
      flushBytes: CATCHUP_BYTES,
      gap: () => this.#gap(name, "expired"),
      ready: () => outbox.pump(),
    });
    const flushed = journal.flushed.bind(journal, name);
    const fenced = (through: number, steps: readonly Feed[]) => this.#fenced(server, through, steps);
    const outbox = new Outbox({ outlet, clock, catchup, maxBytes: MAX_BODY, flushed, fenced }, history.last);
    const sweep = new Keepalive({ outlet, registry, clock }, times);
    const server: Server = { name, outlet, registry, outbox, catchup, keepalive: sweep };
    this.#servers.set(name, server);
    sweep.start();
    return server;
  }

  /** Publishes one event; settles when it is as durable as configured. */
  publish(draft: Draft): Promise<Publication> {
    return this.#options.bus.publish(draft);
  }

  /** One publication with its place: keep it, and send it on. Never waits between the two. */
  #deliver(publication: Publication): Promise<void> | undefined {
    const kept = this.#options.history.append(publication);
    this.#options.journal.published(publication);
    for (const { outbox, registry } of this.#servers.values()) outbox.add(publication, registry.audiences.values());
    return kept;
  }

  /**
   * A browser connects. It is opened and given a position of its own at once (an event with an id only), so that it can come
   * back even if it never saw an event; then it is live, or behind. The id must be free: see Registry.
   */
  subscribe(server: Server, subscription: Subscription): Client {
    const { id, remote, selectors, lastEventId, opening } = subscription;
    const { registry, outbox, outlet } = server;
    const client = registry.add(id, remote, selectors, this.#options.clock.monotonic());
    const join = client.audience.joinOffset(outbox.head);
    const { cursor, notice } = this.#resume(server, lastEventId, join);
    outlet.deliver(outlet.address([id]), Buffer.concat([opening(), ...notice, this.#prime(cursor)]));
    this.#place(server, client, cursor, join);
    this.#options.journal.connected(server.name, client, registry.size);
    outbox.pump();
    return client;
  }

  /**
   * Serves on a client that an earlier process, or an earlier life of the link, has opened: nobody notices, but for events
   * that were under way twice. The caller knows that the connection is still the same one, and that the id is free.
   */
  adopt(server: Server, { id, remote, selectors, since, seen }: StoredClient): Client {
    const { registry, outbox } = server;
    const client = registry.add(id, remote, selectors, since);
    this.#place(server, client, seen, client.audience.joinOffset(outbox.head));
    this.#options.journal.adopted(server.name, client, registry.size);
    outbox.pump();
    return client;
  }

  /** Cuts connections that an earlier process left behind and that cannot be served on. */
  abandon(server: Server, ids: readonly number[]): void {
    for (const id of ids) this.#options.clients.remove(server.name, id);
    server.outlet.cancel(ids);
  }

  /** Live, or behind. */
  #place(server: Server, client: Client, cursor: number, join: number): void {
    client.seen = cursor;
    client.settled = cursor === join;
    if (client.settled) client.audience.add(client);
    else server.catchup.add(client, cursor);
    this.#options.clients.put(server.name, stored(server, client));
  }

  /** Mongrel2 has taken a flush: what its receivers have seen is now known. */
  #fenced(server: Server, through: number, steps: readonly Feed[]): void {
    const { clients: store } = this.#options;
    for (const { clients, cursor, live } of steps) {
      for (const client of clients) {
        if (server.registry.clients.get(client.id) !== client) continue;
        client.seen = cursor;
        client.settled = live;
        store.put(server.name, stored(server, client));
      }
    }
    store.fenced(server.name, through);
  }

  /** Where a client goes on from, and what it must be told first. */
  #resume(server: Server, lastEventId: string | undefined, join: number): { cursor: number; notice: Buffer[] } {
    const { history } = this.#options;
    if (lastEventId === undefined) return { cursor: join, notice: [] };
    const asked = lastEventId === "earliest" ? history.floor : this.#find(lastEventId);
    if (asked === undefined) return { cursor: join, notice: [this.#gap(server.name, "unknown")] };
    if (asked < history.floor) return { cursor: history.floor, notice: [this.#gap(server.name, "expired")] };
    return { cursor: asked, notice: [] };
  }

  /** The offset of an id: our own name it, a publisher's own are looked up. */
  #find(id: string): number | undefined {
    const { history } = this.#options;
    const offset = offsetOf(history.epoch, id);
    if (offset === undefined) return history.find(id);
    return offset <= history.last ? offset : undefined;
  }

  #prime(offset: number): Buffer {
    return encodeEvent({ id: positionId(this.#options.history.epoch, offset) });
  }

  #gap(server: string, reason: GapReason): Buffer {
    const { history, journal } = this.#options;
    journal.gap(server, reason);
    const data = JSON.stringify({ reason, oldest: positionId(history.epoch, history.floor) });
    return encodeEvent({ type: "m2push-gap", data });
  }

  /** A client is no longer connected. False when the id has no client: notices come late, twice, or for strangers. */
  leave(server: Server, id: number, reason: Reason): boolean {
    const client = server.registry.clients.get(id);
    if (!client) return false;
    this.#detach(server, client);
    server.registry.remove(client);
    this.#options.clients.remove(server.name, id);
    this.#options.journal.disconnected(server.name, client, reason, server.registry.size);
    return true;
  }

  #detach(server: Server, client: Client): void {
    if (client.behind) server.catchup.remove(client);
    else client.audience.remove(client);
  }

  /** The link to a server is live: what waits may be sent. */
  live(server: Server): void {
    server.outbox.open();
  }

  /**
   * A server restarted, or may have: its connection ids mean nothing until proven otherwise. Nobody it had is sent anything
   * more. Returns what is known of its clients, for whoever can prove it.
   */
  lost(server: Server): StoredClient[] {
    const clients = [...server.registry.clients.values()];
    const left = clients.map((client) => stored(server, client));
    this.#options.clients.doubt(server.name);
    server.outbox.reset();
    server.catchup.clear();
    server.registry.clear();
    server.keepalive.reset();
    clients.forEach((client, gone) => {
      this.#options.journal.disconnected(server.name, client, "server lost", clients.length - gone - 1);
    });
    return left;
  }

  /** Stops: closes every stream politely. What was published before has been handed to the outlets. */
  close(): void {
    for (const server of this.#servers.values()) {
      server.keepalive.close();
      const ids = [...server.registry.clients.keys()];
      for (const id of ids) this.leave(server, id, "shutdown");
      if (ids.length > 0) server.outlet.close(ids);
    }
  }
}

/** What the next one to serve a client needs to know. */
function stored(server: Server, { id, remote, audience, since, seen, settled }: Client): StoredClient {
  const through = settled ? Math.max(seen, server.outbox.fenced) : seen;
  return { id, remote, selectors: audience.selectors, since, seen: through, settled };
}
