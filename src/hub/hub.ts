/**
 * The hub: takes publications from the bus and clients from HTTP, and gives every client the publications it requested, in order, each once.
 * Publishing: publish() -> bus -> #deliver() -> ServerDelivery.enqueue(). Subscribing: subscribe() -> ServerDelivery.open().
 * Long because it is the list of these operations.
 */

import type { Client } from "../delivery/client.js";
import type { ClientStore, StoredClient } from "../delivery/client-store.js";
import { closeGracefully } from "../delivery/close-gracefully.js";
import type { Compression } from "../delivery/compression.js";
import type { ObserveDelivery } from "../delivery/events.js";
import type { EqualIds, History } from "../delivery/history.js";
import { HistoryReader } from "../delivery/history-reader.js";
import type { KeepaliveTimes } from "../delivery/keepalive.js";
import type { Outlet } from "../delivery/outlet.js";
import type { DisconnectReason, GapReason } from "../delivery/reasons.js";
import { offsetOfId, offsetSince, planReplay, type ReplayRequest } from "../delivery/replay.js";
import type { SelectionLimits } from "../delivery/selection-search.js";
import { ServerDelivery, type TopicChange } from "../delivery/server-delivery.js";
import type { Subscription } from "../delivery/subscription.js";
import { TopicEnds } from "../delivery/topic-ends.js";
import { TopicOffsets } from "../delivery/topic-offsets.js";
import { M2pushError } from "../errors.js";
import type { Interest } from "../matching/interest.js";
import { MatchBudget } from "../matching/match-budget.js";
import type { TopicRules } from "../matching/topic-rules.js";
import { storedBlocks } from "../protocol/gzip.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import type { Bus, PublishedEvent } from "./bus.js";
import { ControlledStreams, type OpenStream } from "./controlled-streams.js";
import type { PresenceListener } from "./presence-listener.js";
import type { PublicationTraces } from "./publication-traces.js";
import { TrustedKeys } from "./trusted-keys.js";
import { type PresenceSource, Watchers } from "./watchers.js";

export interface HubOptions {
  /** Whether the token of a client was revoked; absent = none was. */
  readonly isRevoked?: (client: Client) => boolean;
  readonly bus: Bus;
  readonly history: History;
  readonly clients: ClientStore;
  readonly observe: ObserveDelivery;
  readonly presenceListener: PresenceListener;
  /** Absent = no client gets presence events. */
  readonly presence?: PresenceSource;
  readonly clock: Clock;
  /** Where failing reads of the history are reported; absent = nowhere. */
  readonly conditions?: Conditions;
  /** Whether more publications have arrived than could be taken yet; absent = never. */
  readonly isFlooded?: () => boolean;
  /** The hub's absolute URL, against which relative topics and patterns are resolved. */
  readonly base: string;
  /** Absent = no topic has rules. */
  readonly rules?: TopicRules;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** Absent = DEFAULT_SELECTION_LIMITS. */
  readonly selectionLimits?: SelectionLimits;
  /** Absent = no stream is compressed. */
  readonly compression?: Compression | undefined;
  /** Absent = traces are off. */
  readonly traces?: PublicationTraces | undefined;
  /** Called when a publication is queued, with the number of live clients that get it. It is called often, and must not take long. */
  readonly queued?: (publication: Publication, clients: number) => void;
}

export class Hub {
  /** The streams whose topics can be changed. */
  readonly streams: ControlledStreams;
  /** The stored events of each topic. */
  readonly topics: TopicOffsets;
  readonly #options: HubOptions;
  readonly #servers = new Map<string, ServerDelivery>();
  /** "storing": publications are stored, and this process does not send them any more. */
  #phase: "open" | "storing" | "sealed" = "open";
  readonly #ends: TopicEnds;
  readonly #budget: MatchBudget;
  readonly #watchers: Watchers;
  readonly #reader: HistoryReader;
  /** When the present epoch began, if this process saw it begin; positions known before are invalid. Clock.monotonic(). */
  #epochSince = Number.NEGATIVE_INFINITY;
  readonly #keys = new TrustedKeys();
  /** The last answer of findReplaySince(): streams that open together ask for the same. */
  #lastSince: { readonly time: number; readonly epoch: string; readonly replay: ReplayRequest } | undefined;
  /** Publications up to this offset were discarded after some servers had taken them: no other server may take them. */
  #discardedThrough = 0;

  constructor(options: HubOptions) {
    const { history, clients, clock, conditions, presence } = options;
    this.#options = options;
    this.streams = new ControlledStreams({ clients, apply: this.#changeTopics.bind(this) });
    this.topics = new TopicOffsets(history, options.rules);
    this.#ends = new TopicEnds({ history, topics: this.topics, base: options.base });
    this.#budget = new MatchBudget(clock);
    this.#watchers = new Watchers(presence, history, clock);
    this.#reader = new HistoryReader(history, clock, conditions);
  }

  get servers(): Iterable<ServerDelivery> {
    return this.#servers.values();
  }

  /** Clients of all servers. */
  get clients(): number {
    return this.#sum((server) => server.clients.size);
  }

  /** Clients of one address. */
  countOf(remote: string): number {
    return this.#sum((server) => server.countFrom(remote));
  }

  /** What the patterns of all clients cost together: see [stream] max_pattern_cost. */
  get patternCost(): number {
    return this.#sum((server) => server.patternCost);
  }

  #sum(count: (server: ServerDelivery) => number): number {
    return [...this.#servers.values()].reduce((sum, server) => sum + count(server), 0);
  }

  // ---- Publications ---------------------------------------------------------------------------------------------------

  /** Starts to take publications from the bus. */
  async start(): Promise<void> {
    const { bus, history, observe } = this.#options;
    history.onDiscarded?.(() => this.#discard());
    history.onRepeatedId?.((topic) => observe({ type: "idRepeated", topic }));
    await bus.start(this.#deliver.bind(this), this.#discontinuity.bind(this));
  }

  /** Publishes one event; resolves when it is as durable as configured. Rejects with "unavailable" once sealed; see Bus.publish. */
  publish(draft: Draft): Promise<Publication> {
    return this.#phase === "sealed" ? rejectStopping() : this.#options.bus.publish(this.#ruled(draft));
  }

  /** Publishes a batch; see Bus.publishAll. */
  publishAll(drafts: readonly Draft[]): Promise<readonly PublishedEvent[]> {
    if (this.#phase === "sealed") return rejectStopping();
    return this.#options.bus.publishAll(this.#options.rules ? drafts.map((draft) => this.#ruled(draft)) : drafts);
  }

  /** See Bus.remove. */
  remove(removal: Removal): Promise<Publication> {
    return this.#phase === "sealed" ? rejectStopping() : this.#options.bus.remove(removal);
  }

  /** See Bus.post. */
  post(draft: Draft): Promise<unknown> | undefined {
    return this.#phase === "sealed" ? rejectStopping() : this.#options.bus.post(this.#ruled(draft));
  }

  #ruled(draft: Draft): Draft {
    const { rules } = this.#options;
    return rules === undefined ? draft : rules.applyTo(draft);
  }

  /**
   * Stores positioned publications and queues them for delivery. Synchronous, so that order is preserved. All are appended before the
   * first is queued: queueing may send, and what is sent is committed before.
   */
  #deliver(publications: readonly Publication[]): Promise<void> | undefined {
    if (this.#phase === "sealed") return undefined;
    let stored: Promise<void> | undefined;
    for (const publication of publications) {
      const trace = publication.traceparent === undefined ? undefined : this.#options.traces?.positioned(publication);
      stored = this.#options.history.append(publication);
      trace?.(stored);
      if (publication.removes) {
        this.topics.removed(publication.offset);
        this.#options.observe({ type: "removed", removal: publication.removes });
        continue;
      }
      this.topics.published(publication);
      this.#options.observe({ type: "published", publication });
    }
    if (this.#phase === "open") for (const publication of publications) this.#enqueue(publication);
    return stored;
  }

  #enqueue(publication: Publication): void {
    if (publication.removes) {
      // Queued publications may be removed: clients get the others from the history.
      for (const server of this.#servers.values()) server.discard();
      return;
    }
    this.#budget.begin();
    let clients = 0;
    for (const server of this.#servers.values()) {
      if (publication.offset <= this.#discardedThrough) return;
      clients += server.enqueue(publication);
    }
    this.#options.queued?.(publication, clients);
  }

  #discard(): void {
    this.#discardedThrough = this.#options.history.last;
    this.topics.reset();
    for (const server of this.#servers.values()) server.discard();
  }

  #discontinuity(reason: GapReason): void {
    const { clock, history, clients } = this.#options;
    this.topics.reset();
    if (reason === "unknown") {
      this.#epochSince = clock.monotonic();
      clients.renew(history.epoch);
    }
    for (const server of this.#servers.values()) server.discontinuity(reason);
  }

  // ---- Clients --------------------------------------------------------------------------------------------------------

  /**
   * Finds where the replay of a stream starts. A promise where a publisher's last event id must be looked up. `lastEventId` and `equalIds`: see
   * ReplayRequest and offsetOfId().
   */
  findReplay(lastEventId: string | undefined, equalIds?: EqualIds): ReplayRequest | Promise<ReplayRequest> {
    const offset = lastEventId === undefined ? undefined : offsetOfId(this.#reader, lastEventId, equalIds);
    if (!(offset instanceof Promise)) return { lastEventId, offset };
    return offset.then((found) => ({ lastEventId, offset: found }));
  }

  /** Where a stream starts that asks for the events since a time, milliseconds since 1970. */
  findReplaySince(time: number): ReplayRequest | Promise<ReplayRequest> {
    const known = this.#lastSince;
    const { epoch } = this.#options.history;
    if (known?.time === time && known.epoch === epoch) return known.replay;
    return offsetSince(this.#reader, time).then((offset) => {
      const replay = { lastEventId: undefined, offset };
      // Later events follow, unless the time is still to come.
      if (time <= this.#options.clock.now() && offset !== "unavailable") this.#lastSince = { time, epoch, replay };
      return replay;
    });
  }

  /** The id of the event before the first one that would be sent, if the client named it; undefined = events may be missing. */
  replayedAfter(replay: ReplayRequest): string | undefined {
    return planReplay(this.#options.history, replay, 0).after;
  }

  /** Opens a stream, whose connection id must be free. */
  subscribe(server: ServerDelivery, subscription: Subscription): void {
    const { replay, subscriber, stateKind } = subscription;
    if (stateKind) this.#options.observe({ type: "stateRequested", server: server.name, kind: stateKind });
    const stream = server.register(subscription);
    server.open(stream, this.#watchers.start(server, stream, replay));
    this.#watchers.add(server, stream.client);
    this.streams.add(server, stream.client);
    if (subscriber) this.#options.presenceListener.joined(subscriber);
    server.flush();
    if (subscription.hasEnded) server.endWithTopic(stream.client);
  }

  /** Whether topics may have ended. */
  get hasFinal(): boolean {
    return this.#options.history.hasFinal;
  }

  /** See TopicEnds.of(). */
  topicEnd(interest: Interest): number | undefined | Promise<unknown> {
    return this.#ends.of(interest);
  }

  /** The previous process may have ended before it closed the streams of a topic. A failed look-up leaves this one open. */
  #endWithTopic(server: ServerDelivery, client: Client): void {
    const end = this.#ends.of(client.audience.interest);
    if (end === undefined || server.clients.get(client.id) !== client) return;
    if (!(end instanceof Promise)) {
      server.endWithTopic(client);
      return;
    }
    end.then(
      () => this.#endWithTopic(server, client),
      () => {},
    );
  }

  #changeTopics({ server, client }: OpenStream, change: TopicChange): number {
    const { subscriber } = client;
    this.#watchers.remove(server, client);
    const offset = server.changeTopics(client, change);
    this.#watchers.add(server, client);
    if (subscriber && change.subscriber) this.#options.presenceListener.changed(subscriber, change.subscriber);
    return offset;
  }

  /** Clients of the previous process may still be connected: adopt() or forget() decides. */
  expect(clients: readonly StoredClient[]): void {
    this.streams.expect(clients);
  }

  /**
   * Continues the stream of a client that the previous process, or the previous generation of the link, opened: its browser notices nothing,
   * but may get events twice that were in flight. The caller knows that the connection is the same and that its id is free. `asOf`: when
   * the stored client was up to date (Clock.monotonic()); absent = now.
   */
  adopt(server: ServerDelivery, stored: StoredClient, asOf = Number.POSITIVE_INFINITY): Client {
    const client = server.adopt(stored, asOf < this.#epochSince);
    this.#watchers.add(server, client);
    this.streams.add(server, client);
    if (stored.subscriber) this.#options.presenceListener.adopted(stored.subscriber);
    if (this.#keys.isRevoked(client) || this.#options.isRevoked?.(client)) this.end(server, client.id, "revoked");
    server.flush();
    this.#endWithTopic(server, client);
    return client;
  }

  /** Removes clients of the previous process or generation whose streams cannot be continued, connected or not. */
  forget(server: ServerDelivery, clients: readonly StoredClient[]): void {
    for (const client of clients) {
      const { id, subscriber } = client;
      if (!server.clients.has(id)) this.#options.clients.remove(server.name, id);
      this.streams.remove(client);
      if (subscriber) this.#options.presenceListener.left(subscriber);
    }
  }

  /**
   * From now on only these keys, named by their fingerprints, may have signed tokens: streams opened with other keys are closed, also those
   * that are adopted later. Undefined: not all keys are known yet, and none is closed. Returns the number of streams closed now.
   */
  trustKeys(fingerprints: ReadonlySet<string> | undefined): number {
    this.#keys.replace(fingerprints);
    let closed = 0;
    for (const server of this.#servers.values()) {
      const revoked = [...server.clients.values()].filter((client) => this.#keys.isRevoked(client)).map(({ id }) => id);
      for (const id of revoked) this.leave(server, id, "revoked");
      if (revoked.length > 0) server.outlet.close(revoked);
      closed += revoked.length;
    }
    return closed;
  }

  /** Whether all these keys may sign tokens now. */
  trusts(fingerprints: readonly string[]): boolean {
    return this.#keys.has(fingerprints);
  }

  /** A client is not connected any more. False when the id has no client: notices arrive late, twice, or for other connections. */
  leave(server: ServerDelivery, id: number, reason: DisconnectReason): boolean {
    const client = server.leave(id, reason);
    if (!client) return false;
    this.#watchers.remove(server, client);
    this.streams.remove(client);
    if (client.subscriber) this.#options.presenceListener.left(client.subscriber);
    return true;
  }

  /** Mongrel2 has sent a notice that a connection is closed. */
  closed(server: ServerDelivery, id: number): boolean {
    return this.leave(server, id, server.reasonOfNotice(id));
  }

  /** Cancels a connection that sent a request to which no response is possible: within a stream it would be part of the stream. */
  evict(server: ServerDelivery, id: number): void {
    this.leave(server, id, "second request");
    server.outlet.cancel([id]);
    server.requests.ended(id);
  }

  /** Ends a client's stream: gracefully for its browser, at once for the hub. */
  end(server: ServerDelivery, id: number, reason: DisconnectReason): void {
    if (this.leave(server, id, reason)) server.outlet.close([id]);
  }

  #endAll(server: ServerDelivery, clients: readonly Client[], reason: DisconnectReason): void {
    const ids = clients.map(({ id }) => id).filter((id) => this.leave(server, id, reason));
    if (ids.length > 0) server.outlet.close(ids);
  }

  /** Adds a Mongrel2. No publication is sent to it until ServerDelivery.start(). */
  serveMongrel2(name: string, outlet: Outlet, times: KeepaliveTimes): ServerDelivery {
    const { isFlooded = () => false, traces } = this.#options;
    const server = new ServerDelivery(name, outlet, {
      ...this.#options,
      traces: traces?.deliveryOf(name),
      reader: this.#reader,
      topics: this.topics,
      budget: this.#budget,
      isFlooded,
      ends: this.#endAll.bind(this),
    });
    this.#servers.set(name, server);
    this.#watchers.serve(server);
    server.keepAlive(times);
    return server;
  }

  /**
   * The link to a server is lost: Mongrel2 may have restarted, and its connection ids are invalid until proven otherwise. Returns the clients,
   * to be adopted if that is proven.
   */
  lost(server: ServerDelivery): StoredClient[] {
    const left = server.reset();
    this.#watchers.clear(server);
    this.streams.expect(left);
    return left;
  }

  /**
   * From now on publications are stored for the next process and not sent by this one: then it is known which events have reached the clients,
   * and none is sent twice.
   */
  suspendDelivery(): void {
    if (this.#phase === "open") this.#phase = "storing";
  }

  /** From now on publications are rejected. */
  seal(): void {
    this.#phase = "sealed";
  }

  /** Resolves once every publication so far has been sent to the live clients and taken. */
  async delivered(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.delivered()));
  }

  /** Sends nothing more, and leaves every stream open for the next process. */
  handOver(): void {
    this.#watchers.close();
    this.#reader.close();
    for (const server of this.#servers.values()) server.handOver();
  }

  /** Closes every stream gracefully; browsers are told to reconnect after `retryMs` to 1.5 x `retryMs`. */
  close(retryMs: number): void {
    this.handOver();
    for (const server of this.#servers.values()) this.closeStreams(server, retryMs);
  }

  /** Closes every stream of one server gracefully, while the daemon goes on. */
  closeStreams(server: ServerDelivery, retryMs: number): void {
    const { random } = this.#options;
    const clients = [...server.clients.values()];
    const isCompressed = ({ audience }: Client) => audience.isCompressed;
    const compressed = clients.filter(isCompressed).map(({ id }) => id);
    const plain = clients.filter((it) => !isCompressed(it)).map(({ id }) => id);
    for (const { id } of clients) this.leave(server, id, "shutdown");
    closeGracefully(server.outlet, plain, { retryMs, random, encode: (line) => line });
    closeGracefully(server.outlet, compressed, { retryMs, random, encode: storedBlocks });
  }
}

const rejectStopping = () => Promise.reject(new M2pushError("unavailable", "the daemon is stopping"));
