/**
 * The hub: publications come in, clients come and go, and every client gets every publication it asked for, in order, once.
 * This file is the list of what can happen; how each step works stands in the file it is named after. Long because it is that list.
 */

import { BEFORE_ALL } from "../delivery/catchup.js";
import type { Client } from "../delivery/client.js";
import { closeGracefully } from "../delivery/close-gracefully.js";
import { applyDiscontinuity } from "../delivery/discontinuity.js";
import type { ObserveDelivery } from "../delivery/events.js";
import { Expiry } from "../delivery/expiry.js";
import { HistoryReader } from "../delivery/history-reader.js";
import type { KeepaliveTimes } from "../delivery/keepalive.js";
import type {
  Bus,
  ClientStore,
  DisconnectReason,
  GapReason,
  History,
  Outlet,
  PresenceListener,
  StoredClient,
} from "../delivery/ports.js";
import { gapEvent, offsetOfId, planReplay, type RequestedOffset, streamStart } from "../delivery/replay.js";
import { closeTimers, openServer, resetServer, type Server } from "../delivery/server-delivery.js";
import { interestOf, type Subscription, toStoredClient } from "../delivery/subscription.js";
import { M2pushError } from "../errors.js";
import { MatchBudget } from "../matching/match-budget.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { TrustedKeys } from "./trusted-keys.js";
import { type PresenceSource, Watchers } from "./watchers.js";

const stopping = () => new M2pushError("unavailable", "the daemon is stopping");

export interface HubOptions {
  readonly bus: Bus;
  readonly history: History;
  readonly clients: ClientStore;
  readonly observe: ObserveDelivery;
  readonly attendance: PresenceListener;
  /** Absent = nobody is told who comes and goes. */
  readonly presence?: PresenceSource;
  readonly clock: Clock;
  /** Where failures to read the history are told; absent = nowhere. */
  readonly conditions?: Conditions;
  /** Whether more is published than could be taken in yet; absent = never. */
  readonly isFlooded?: () => boolean;
  /** The hub's URL, absolute: what relative topics and patterns are resolved against. */
  readonly base: string;
  /** A number from 0 up to 1. */
  readonly random: () => number;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #servers = new Map<string, Server>();
  readonly #expiry: Expiry;
  /** "storing": what is published is kept, and not sent by this process any more. */
  #phase: "open" | "storing" | "sealed" = "open";
  readonly #budget: MatchBudget;
  readonly #watchers: Watchers;
  readonly #reader: HistoryReader;
  /** When the present epoch began, if it was while we were there: positions from before mean nothing. */
  #renewed = Number.NEGATIVE_INFINITY;
  readonly #keys = new TrustedKeys();
  /** Publications up to this offset were rejected after some servers had taken them: no other server may. */
  #discarded = 0;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#expiry = new Expiry(options.clock);
    this.#budget = new MatchBudget(options.clock);
    this.#watchers = new Watchers(options.presence, options.history);
    this.#reader = new HistoryReader(options.history, options.clock, options.conditions);
  }

  get servers(): Iterable<Server> {
    return this.#servers.values();
  }

  /** Clients connected to all servers. */
  get clients(): number {
    return [...this.#servers.values()].reduce((sum, { registry }) => sum + registry.size, 0);
  }

  /** Clients from one address. */
  countOf(remote: string): number {
    let count = 0;
    for (const { registry } of this.#servers.values()) count += registry.countOf(remote);
    return count;
  }

  /** What the patterns of all clients cost together: see Registry. */
  get patternCost(): number {
    return [...this.#servers.values()].reduce((sum, { registry }) => sum + registry.patternCost, 0);
  }

  /** Begins to take publications from the bus. */
  async start(): Promise<void> {
    const { bus, history, observe } = this.#options;
    history.onDiscarded?.(() => this.#discard());
    history.onRepeatedId?.((topic) => observe({ type: "idRepeated", topic }));
    await bus.start(this.#deliver.bind(this), this.#interrupted.bind(this));
  }

  /** Adds a Mongrel2. Nothing is sent to it until live(). */
  serveMongrel2(name: string, outlet: Outlet, times: KeepaliveTimes): Server {
    const { clock, isFlooded = () => false } = this.#options;
    const gap = (reason: GapReason, cursor: number) => this.#gap(name, reason, cursor);
    const cut = (server: Server, id: number) => this.end(server, id, "too expensive");
    const parts = { ...this.#options, reader: this.#reader, budget: this.#budget, isFlooded, gap, cut };
    const server = openServer(name, outlet, times, parts);
    this.#servers.set(name, server);
    this.#watchers.serve(server, { clock, gap: (offset) => this.#gap(name, "presence", offset) });
    server.keepalive.start();
    return server;
  }

  /** Publishes one event; settles when it is as durable as configured. Rejects with "unavailable" once sealed. */
  publish(draft: Draft): Promise<Publication> {
    return this.#phase === "sealed" ? Promise.reject(stopping()) : this.#options.bus.publish(draft);
  }

  /** See Bus.post. */
  post(draft: Draft): Promise<unknown> | undefined {
    return this.#phase === "sealed" ? Promise.reject(stopping()) : this.#options.bus.post(draft);
  }

  /**
   * From now on what is published is stored for the next process and not sent by this one: what was sent can then be known to have
   * arrived, and is not sent again.
   */
  suspendDelivery(): void {
    if (this.#phase === "open") this.#phase = "storing";
  }

  /** From now on nothing more is published or sent. */
  seal(): void {
    this.#phase = "sealed";
  }

  /** One publication with its place: keep it, and send it on. Never waits between the two. */
  #deliver(publication: Publication): Promise<void> | undefined {
    if (this.#phase === "sealed") return undefined;
    const kept = this.#options.history.append(publication);
    this.#options.observe({ type: "published", publication });
    if (this.#phase === "storing") return kept;
    this.#budget.begin();
    for (const { outbox, registry, overload } of this.#servers.values()) {
      if (publication.offset <= this.#discarded) break;
      const audiences = registry.wanting(publication);
      const undecided = registry.takeUndecided();
      if (undecided.length > 0) overload.defer(undecided);
      outbox.add(publication, audiences);
    }
    return kept;
  }

  /** What waits may have been rejected: clients read on from the history, which has what was not. */
  #discard(): void {
    this.#discarded = this.#options.history.last;
    for (const { outbox } of this.#servers.values()) {
      outbox.discard();
      queueMicrotask(() => outbox.pump()); // this may be in the middle of one
    }
  }

  /** What comes next does not follow on what came last: whoever misses something is told, and goes on from there. */
  #interrupted(reason: GapReason): void {
    const { clock, history, clients: store } = this.#options;
    if (reason === "unknown") {
      this.#renewed = clock.monotonic();
      store.renew(history.epoch);
    }
    for (const server of this.#servers.values()) applyDiscontinuity(server, reason, history, store);
  }

  /**
   * A browser connects. It is opened and given a position of its own at once (an event with an id only), so that it can come
   * back even if it never saw an event; then it is live, or behind. The id must be free: see Registry. Where the history must
   * be asked for its last event id, that comes first. Undefined when it is not admitted, or its connection is gone by then.
   */
  subscribe(server: Server, subscription: Subscription): Client | undefined | Promise<Client | undefined> {
    const { lastEventId, equalIds } = subscription;
    const asked = lastEventId === undefined ? undefined : offsetOfId(this.#reader, lastEventId, equalIds);
    if (!(asked instanceof Promise)) return this.#open(server, subscription, asked);
    const arrival = server.arrivals.begin(subscription.id);
    return asked
      .then((offset) => (arrival.isGone ? undefined : this.#open(server, subscription, offset)))
      .finally(() => server.arrivals.end(arrival));
  }

  /** `asked`: the offset of its last event id. */
  #open(server: Server, subscription: Subscription, asked: RequestedOffset): Client | undefined {
    if (subscription.admit?.() === false) return undefined;
    const { id, remote, interest, expiresAt, keyFingerprints, subscriber, lastEventId, opening } = subscription;
    const { registry, outbox, outlet } = server;
    const { history, clock } = this.#options;
    const { allowance = server.creditLimit } = subscription;
    server.creditLimit = allowance;
    const since = clock.monotonic();
    const client = registry.add({ id, remote, interest, since, expiresAt, keyFingerprints, subscriber, allowance });
    const join = client.audience.joinOffset(outbox.head);
    const { cursor, gap, after } = planReplay(history, lastEventId, asked, join);
    const head = opening(after);
    const first = gap
      ? Buffer.concat([head, this.#gap(server.name, gap, cursor)])
      : streamStart(history, head, cursor, subscription.namesOpening ?? true);
    const start = this.#watchers.opening(server, client, first, { lastEventId, asked, cursor, gap });
    outlet.open(id, start);
    client.creditAvailable -= start.length;
    this.#place(server, client, cursor, join);
    this.#options.observe({ type: "clientConnected", server: server.name, client, clients: registry.size });
    if (subscriber) this.#options.attendance.joined(subscriber);
    outbox.pump();
    return client;
  }

  /**
   * Serves on a client that an earlier process, or an earlier life of the link, has opened: nobody notices, but for events
   * that were under way twice. The caller knows that the connection is still the same one, and that the id is free. `asOf`: what
   * is known of it was so then (Clock.monotonic()); absent = now.
   */
  adopt(server: Server, known: StoredClient, asOf = Number.POSITIVE_INFINITY): Client {
    const { registry, outbox } = server;
    const client = registry.add({ ...known, interest: interestOf(known) });
    const seen = asOf < this.#renewed ? BEFORE_ALL : known.acknowledgedOffset;
    this.#place(server, client, seen, client.audience.joinOffset(outbox.head));
    this.#options.observe({ type: "clientAdopted", server: server.name, client, clients: registry.size });
    if (known.subscriber) this.#options.attendance.adopted(known.subscriber);
    if (this.#keys.isRevoked(client)) this.end(server, client.id, "revoked");
    outbox.pump();
    return client;
  }

  /** What an earlier process, or an earlier life of the link, has left and cannot be served on: connected or not. */
  forget(server: Server, clients: readonly StoredClient[]): void {
    for (const { id, subscriber } of clients) {
      if (!server.registry.clients.has(id)) this.#options.clients.remove(server.name, id);
      if (subscriber) this.#options.attendance.left(subscriber);
    }
  }

  /**
   * Tokens signed by these keys are good from now on, by their fingerprints, and no others: streams opened with others are closed, also
   * those that are adopted later. Returns how many were closed now.
   */
  trustKeys(fingerprints: ReadonlySet<string>): number {
    this.#keys.replace(fingerprints);
    let closed = 0;
    for (const server of this.#servers.values()) {
      const ids = this.#keys.revoked(server.registry.clients.values());
      for (const id of ids) this.leave(server, id, "revoked");
      if (ids.length > 0) server.outlet.close(ids);
      closed += ids.length;
    }
    return closed;
  }

  /** Whether all of these keys are good now. */
  trusts(fingerprints: readonly string[]): boolean {
    return this.#keys.has(fingerprints);
  }

  /** Live, or behind; until its time is over. */
  #place(server: Server, client: Client, cursor: number, join: number): void {
    this.#expiry.watch(client, () => this.end(server, client.id, "expired"));
    client.acknowledgedOffset = cursor;
    client.coveredByServerFence = cursor === join;
    if (client.coveredByServerFence) client.audience.add(client);
    else server.catchup.add(client, cursor);
    this.#watchers.add(server, client);
    this.#options.clients.put(server.name, toStoredClient(server, client));
  }

  /** A client is no longer connected. False when the id has no client: notices come late, twice, or for strangers. */
  leave(server: Server, id: number, reason: DisconnectReason): boolean {
    const client = server.registry.clients.get(id);
    if (!client) {
      server.arrivals.gone(id);
      return false;
    }
    this.#detach(server, client);
    server.registry.remove(client);
    this.#options.clients.remove(server.name, id);
    const clients = server.registry.size;
    this.#options.observe({ type: "clientDisconnected", server: server.name, client, reason, clients });
    if (client.subscriber) this.#options.attendance.left(client.subscriber);
    return true;
  }

  /** Mongrel2 says that a connection is closed: by itself, or in answer to something that was sent to it. */
  closed(server: Server, id: number): boolean {
    const client = server.registry.clients.get(id);
    const isAnswer = client !== undefined && (server.keepalive.isProbing(client) || server.outbox.isAfterQuiet);
    return this.leave(server, id, isAnswer ? "found dead" : "left");
  }

  /** Cuts a connection on which something came that has no answer: in the middle of a stream any would be part of it. */
  evict(server: Server, id: number): void {
    this.leave(server, id, "second request");
    server.outlet.cancel([id]);
    server.requests.ended(id);
  }

  /** Ends a client's stream: polite if it reads, and at once for us in any case. */
  end(server: Server, id: number, reason: "expired" | "revoked" | "kicked" | "reopened" | "too expensive"): void {
    if (this.leave(server, id, reason)) server.outlet.close([id]);
  }

  #gap(server: string, reason: GapReason, cursor: number): Buffer {
    this.#options.observe({ type: "gapReported", server, reason });
    return gapEvent(this.#options.history, reason, cursor);
  }

  #detach(server: Server, client: Client): void {
    this.#expiry.forget(client);
    this.#watchers.remove(server, client);
    if (client.behind) server.catchup.remove(client);
    else client.audience.remove(client);
  }

  /** Mongrel2 has written so many bytes to a connection: as many more may be under way to it. */
  credit(server: Server, id: number, bytes: number): void {
    const client = server.registry.clients.get(id);
    if (!client) return;
    client.creditAvailable = Math.min(client.creditLimit, client.creditAvailable + bytes);
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
    const left = clients.map((client) => toStoredClient(server, client));
    for (const client of clients) this.#expiry.forget(client);
    this.#options.clients.markUntrusted(server.name);
    resetServer(server);
    this.#watchers.clear(server);
    clients.forEach((client, gone) => {
      const reason = "server lost";
      const left = clients.length - gone - 1;
      this.#options.observe({ type: "clientDisconnected", server: server.name, client, reason, clients: left });
    });
    return left;
  }

  /** Resolves when everything published so far has been sent to the live clients and taken. */
  async settled(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(({ outbox }) => outbox.settled()));
  }

  /** Leaves every stream open, for the next process to go on with. Nothing more is sent to them. */
  handOver(): void {
    this.#expiry.close();
    this.#watchers.close();
    this.#reader.close();
    for (const server of this.#servers.values()) {
      closeTimers(server);
      server.outbox.hold();
    }
  }

  /**
   * Closes every stream politely. Browsers are told to come back after `retry` milliseconds or up to half as long again, so
   * that they do not all come at once.
   */
  close(retry: number): void {
    this.#watchers.close();
    this.#reader.close();
    for (const server of this.#servers.values()) {
      closeTimers(server);
      server.outbox.hold();
      const ids = [...server.registry.clients.keys()];
      for (const id of ids) this.leave(server, id, "shutdown");
      closeGracefully(server.outlet, ids, retry, this.#options.random);
    }
  }
}
