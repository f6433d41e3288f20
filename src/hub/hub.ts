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

/** Clients that are told the same time to come back when the daemon closes their streams. */
const JITTER_GROUP = 32;

export interface HubOptions {
  readonly bus: Bus;
  readonly history: History;
  readonly clients: ClientStore;
  readonly journal: Journal;
  readonly clock: Clock;
  /** A number from 0 up to 1. */
  readonly random: () => number;
}

/** What a client that connects asks for. */
export interface Subscription {
  readonly id: number;
  readonly remote: string;
  readonly selectors: Selectors;
  /** The last event it has seen; undefined = none, "earliest" = before everything that is held. */
  readonly lastEventId: string | undefined;
  /** Mongrel2's DOWNLOAD_CREDITS: bytes that may be under way to it; undefined = it said nothing. */
  readonly allowance?: number | undefined;
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
    const fellBehind = (clients: readonly Client[]) => this.#fellBehind(server, clients);
    const outbox = new Outbox(
      { outlet, clock, catchup, maxBytes: MAX_BODY, flushed, fenced, fellBehind },
      history.last,
    );
    const sweep = new Keepalive({ outlet, registry, clock }, times);
    const server: Server = { name, outlet, registry, outbox, catchup, keepalive: sweep, allowance: undefined };
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
    const { id, remote, selectors, lastEventId, opening, allowance } = subscription;
    const { registry, outbox, outlet } = server;
    const since = this.#options.clock.monotonic();
    if (allowance !== undefined) server.allowance = allowance;
    const client = registry.add({ id, remote, selectors, since, allowance: allowance ?? server.allowance });
    const join = client.audience.joinOffset(outbox.head);
    const { cursor, notice } = this.#resume(server, lastEventId, join);
    const start = Buffer.concat([opening(), ...notice, this.#prime(cursor)]);
    outlet.deliver(outlet.address([id]), start);
    client.credit -= start.length;
    this.#place(server, client, cursor, join);
    this.#options.journal.connected(server.name, client, registry.size);
    outbox.pump();
    return client;
  }

  /**
   * Serves on a client that an earlier process, or an earlier life of the link, has opened: nobody notices, but for events
   * that were under way twice. The caller knows that the connection is still the same one, and that the id is free.
   */
  adopt(server: Server, known: StoredClient): Client {
    const { registry, outbox } = server;
    const client = registry.add(known);
    this.#place(server, client, known.seen, client.audience.joinOffset(outbox.head));
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

  /** What its server has fenced so far counts for a client, what it fences from now on does not. */
  #fellBehind(server: Server, clients: readonly Client[]): void {
    for (const client of clients) {
      client.seen = stored(server, client).seen;
      client.settled = false;
      this.#options.clients.put(server.name, stored(server, client));
    }
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

  /** Mongrel2 has written so many bytes to a connection: as many more may be under way to it. */
  credit(server: Server, id: number, bytes: number): void {
    const client = server.registry.clients.get(id);
    if (!client) return;
    client.credit = Math.min(client.allowance, client.credit + bytes);
    if (client.behind) server.outbox.pump();
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

  /** Resolves when everything published so far has been sent to the live clients and taken. */
  async settled(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(({ outbox }) => outbox.settled()));
  }

  /** Leaves every stream open, for the next process to go on with. */
  handOver(): void {
    for (const { keepalive } of this.#servers.values()) keepalive.close();
  }

  /**
   * Closes every stream politely. Browsers are told to come back after `retry` milliseconds or up to half as long again, so
   * that they do not all come at once.
   */
  close(retry: number): void {
    for (const server of this.#servers.values()) {
      server.keepalive.close();
      const ids = [...server.registry.clients.keys()];
      for (const id of ids) this.leave(server, id, "shutdown");
      for (let from = 0; from < ids.length; from += JITTER_GROUP) {
        const some = ids.slice(from, from + JITTER_GROUP);
        const wait = Math.round(retry * (1 + this.#options.random() / 2));
        server.outlet.deliver(server.outlet.address(some), encodeEvent({ retry: wait }));
        server.outlet.close(some);
      }
    }
  }
}

/** What the next one to serve a client needs to know. */
function stored(server: Server, { id, remote, audience, since, seen, settled, allowance }: Client): StoredClient {
  const through = settled ? Math.max(seen, server.outbox.fenced) : seen;
  const known = { id, remote, selectors: audience.selectors, since, seen: through, settled };
  return allowance === Number.POSITIVE_INFINITY ? known : { ...known, allowance };
}
