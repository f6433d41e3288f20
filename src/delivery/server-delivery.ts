/**
 * Delivery to the clients of one Mongrel2: their registry, queues, catch-up, keep-alive and record. Every other part of the daemon reaches a
 * client through this class. Long because it is the list of these operations; each delegates to the file that it is named after.
 */

import { type Interest, interestFromTexts } from "../matching/interest.js";
import type { Budget } from "../matching/match-budget.js";
import { textOf } from "../matching/selector.js";
import type { TopicRules } from "../matching/topic-rules.js";
import { storedBlocks } from "../protocol/gzip.js";
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { AddedReader } from "./added-reader.js";
import { addressesOfIds } from "./audience.js";
import { maxBodyBytes } from "./batch.js";
import { Catchup } from "./catchup.js";
import { Acknowledgements, BEFORE_ALL, type Client } from "./client.js";
import type { ClientStore, StoredClient } from "./client-store.js";
import type { Compression } from "./compression.js";
import type { DeliveryTraces } from "./delivery-traces.js";
import { Endings } from "./endings.js";
import type { ObserveDelivery } from "./events.js";
import { Expiry } from "./expiry.js";
import { furthestBehind } from "./furthest-behind.js";
import type { History } from "./history.js";
import type { HistoryReader } from "./history-reader.js";
import { Keepalive, type KeepaliveTimes } from "./keepalive.js";
import { Outbox } from "./outbox.js";
import type { Outlet } from "./outlet.js";
import { Overload } from "./overload.js";
import type { PageReaderOptions } from "./page-reader.js";
import { PendingConnections } from "./pending-connections.js";
import type { DisconnectReason, GapReason } from "./reasons.js";
import { Registry } from "./registry.js";
import { gapEvent, namedOpening, planReplay, positionEvent, type Replay, streamStart, topicsEvent } from "./replay.js";
import type { RequestRecord } from "./request-record.js";
import { Selecting } from "./selecting.js";
import { SelectionReader, type SelectionReaderOptions } from "./selection-reader.js";
import { DEFAULT_SELECTION_LIMITS, type SelectionLimits, SelectionSearch } from "./selection-search.js";
import { StateOpenings } from "./state-openings.js";
import { type AddedReplayRequest, addedRequest, changedControl } from "./stream-control.js";
import type { Subscriber } from "./subscriber.js";
import type { Subscription } from "./subscription.js";
import type { TopicOffsets } from "./topic-offsets.js";

/** Why delivery itself ends a stream. */
type EndReason = Extract<DisconnectReason, "expired" | "too expensive" | "ended">;

export interface ServerDeliveryOptions {
  readonly history: History;
  readonly reader: HistoryReader;
  readonly topics: TopicOffsets;
  /** Absent = DEFAULT_SELECTION_LIMITS. */
  readonly selectionLimits?: SelectionLimits | undefined;
  /** Absent = no stream is compressed. */
  readonly compression?: Compression | undefined;
  readonly clients: ClientStore;
  readonly observe: ObserveDelivery;
  readonly clock: Clock;
  /** The hub's URL. */
  readonly base: string;
  /** Whether more publications have arrived than could be added yet. */
  readonly isFlooded: () => boolean;
  /** What finding the audiences of a publication may still cost. */
  readonly budget: Budget;
  /** Absent = no topic has rules. */
  readonly rules?: Pick<TopicRules, "needsToken" | "hasTokenTopics"> | undefined;
  /** Absent = traces are off. */
  readonly traces?: DeliveryTraces | undefined;
  /** Called for clients whose streams must end now; must call leave() for each. */
  readonly ends: (server: ServerDelivery, clients: readonly Client[], reason: EndReason) => void;
}

/** Counts for metrics and status. */
export interface DeliveryFigures {
  readonly clients: number;
  /** Clients that catch up. */
  readonly behind: number;
  readonly audiences: number;
  /** Queued bodies of all audiences. */
  readonly waiting: number;
  /** Connections whose request takes time: see PendingConnections. */
  readonly pending: number;
  /** Publications between the client that is furthest behind and the newest one; 0 = no client catches up. */
  readonly maxBehindEvents: number;
}

/** A client whose stream is not open yet: ServerDelivery.register(). */
export interface NewStream {
  readonly client: Client;
  readonly replay: Replay;
  /** The offset from which its audience goes on. */
  readonly join: number;
  /**
   * The head of the response and the client's first position, or the report of missing publications. A small selection comes in between;
   * before a larger one there is only the head: a browser that is cut off before the first event asks for the selection again.
   */
  readonly start: Buffer;
  readonly selecting: Selecting | undefined;
  readonly isPublicOnly: boolean;
  /** As the client sent it; undefined = none. */
  readonly lastEventId: string | undefined;
}

/** What a client gets from now on: ServerDelivery.changeTopics(). */
export interface TopicChange {
  readonly interest: Interest;
  readonly subscriber: Subscriber | undefined;
  /** The data of the m2push-topics event that precedes the client's next event. */
  readonly notice: string;
  /** What is asked for of the publications that added topics had before; absent = nothing. */
  readonly replay?: AddedReplayRequest | undefined;
}

/** Bytes, counted for each receiver, that one flush may spend on clients that catch up. */
const CATCHUP_FLUSH_BYTES = 1_000_000;
const NO_BYTES = Buffer.alloc(0);

export class ServerDelivery {
  /** The [[mongrel2]] name. */
  readonly name: string;
  /** For responses that are no streams. */
  readonly outlet: Outlet;
  readonly requests: RequestRecord;
  /** Whether connection ids are trusted to be the same connections as before; otherwise no private event is sent. */
  servesPrivate = true;
  readonly #options: ServerDeliveryOptions;
  readonly #registry: Registry;
  readonly #acknowledgements: Acknowledgements;
  readonly #catchup: Catchup;
  readonly #stateOpenings: StateOpenings;
  readonly #outbox: Outbox;
  readonly #keepalive: Keepalive;
  readonly #overload: Overload;
  readonly #expiry: Expiry;
  readonly #endings: Endings;
  readonly #pending = new PendingConnections();
  /** Clients that may see private events and get none: see servesPrivate. */
  readonly #publicOnly = new WeakSet<Client>();
  /** Mongrel2's latest DOWNLOAD_CREDITS, which only the first request of a connection carries. */
  #creditLimit: number | undefined;
  #generation = 0;

  constructor(name: string, outlet: Outlet, options: ServerDeliveryOptions) {
    const { history, reader, clients, observe, clock, base, isFlooded, budget, rules, ends, compression } = options;
    this.name = name;
    this.outlet = outlet;
    this.requests = clients.requests(name);
    this.#options = options;
    const registry = new Registry(outlet, base, { budget, rules, compression });
    const acknowledgements = new Acknowledgements(name, clients, history.last);
    const maxBytes = () => maxBodyBytes(registry.size);
    const trial: PageReaderOptions["trial"] = (audience, publication) => registry.trial(audience, publication);
    const reading = { history: reader, maxBytes, flushBytes: CATCHUP_FLUSH_BYTES, search: searchOf(options, registry) };
    const selections = new SelectionReader(reading);
    const position = (cursor: number, isNamed: boolean) => positionEvent(history, cursor, isNamed);
    this.#stateOpenings = new StateOpenings({ selections, history: reader, clock, position });
    const catchup = new Catchup({
      ...{ ...reading, clock, trial, selections },
      added: new AddedReader({ ...reading, trial, base }),
      gap: (reason, cursor, clients) => this.gap(reason, cursor, clients),
      position,
      topicsEvent: (notice, cursor) => topicsEvent(history, notice, cursor),
      ready: () => this.#outbox.tryFlush(),
    });
    const commit = () => history.commit();
    const outbox = new Outbox(
      {
        ...{ outlet, clock, catchup, acknowledgements, maxBytes, isFlooded, commit, compression },
        traces: options.traces,
        taken: () => this.#endings.close(),
        flushed: (flush) => observe({ type: "flushed", server: name, flush }),
        fellBehind: (reason, clients) => observe({ type: "clientsFellBehind", server: name, reason, clients }),
      },
      history.last,
    );
    this.#registry = registry;
    this.#acknowledgements = acknowledgements;
    this.#catchup = catchup;
    this.#outbox = outbox;
    this.#keepalive = new Keepalive({ outlet, registry, clock, compression });
    const disconnect = (client: Client) => ends(this, [client], "too expensive");
    this.#overload = new Overload({ clock, registry, catchup, outbox, disconnect });
    this.#endings = new Endings({ clock, close: (clients) => ends(this, clients, "ended") });
    this.#expiry = new Expiry(clock, (client) => ends(this, [client], "expired"));
  }

  // ---- What others read ---------------------------------------------------------------------------------------------

  get clients(): ReadonlyMap<number, Client> {
    return this.#registry.clients;
  }

  /** Incremented when the link is lost: connection ids are unique only within one generation. */
  get generation(): number {
    return this.#generation;
  }

  /** Clients of one address. */
  countFrom(remote: string): number {
    return this.#registry.countFrom(remote);
  }

  /** What the patterns of all clients cost together: see [stream] max_pattern_cost. */
  get patternCost(): number {
    return this.#registry.patternCost;
  }

  /** What an interest would add to the pattern cost. */
  patternCostOf(interest: Interest): number {
    return this.#registry.patternCostOf(interest);
  }

  get figures(): DeliveryFigures {
    const { clients, audiences } = this.#registry;
    let waiting = 0;
    for (const audience of audiences.values()) waiting += audience.waiting.length;
    const [behind, pending] = [this.#catchup.size, this.#pending.size];
    const [slowest] = this.furthestBehind(1);
    const maxBehindEvents = slowest ? this.eventsBehind(slowest) : 0;
    return { clients: clients.size, behind, audiences: audiences.size, waiting, pending, maxBehindEvents };
  }

  /** At most `limit` clients that catch up, the one that is furthest behind first. */
  furthestBehind(limit: number): Client[] {
    return furthestBehind(this.#catchup.groups, limit);
  }

  /** Publications, of all topics, that a client has not been sent yet. */
  eventsBehind(client: Client): number {
    return Math.max(0, this.#options.history.last - Math.max(0, this.sentOffset(client)));
  }

  /** Everything up to this offset has been sent to the client, and nothing after it. */
  sentOffset({ state, audience }: Client): number {
    return state.name === "catchingUp" ? state.cursor : audience.joinOffset(this.#outbox.head);
  }

  /** Mongrel2 has taken every publication for the client up to this offset; for one that catches up: what was sent. */
  acknowledgedOffset(client: Client): number {
    return client.state.name === "catchingUp" ? client.state.cursor : this.#acknowledgements.of(client);
  }

  /** Clients that may see private events and get none. */
  isPublicOnly(client: Client): boolean {
    return this.#publicOnly.has(client);
  }

  // ---- Publications ---------------------------------------------------------------------------------------------------

  /**
   * Queues a publication for the clients that get it, and flushes if possible. Offsets rise from call to call. Returns the number of live
   * clients that it was queued for.
   */
  enqueue(publication: Publication): number {
    const audiences = this.#registry.wanting(publication);
    const undecided = this.#registry.takeUndecided();
    if (undecided.length > 0) this.#overload.defer(undecided);
    this.#endings.published(publication, audiences);
    return this.#outbox.add(publication, audiences);
  }

  /** Queued publications may have been discarded or removed: clients catch up from the history, which has the others. */
  discard(): void {
    this.#outbox.discard();
    this.#catchup.forgetPages();
    queueMicrotask(() => this.#outbox.tryFlush()); // the call may come from within a flush
  }

  /**
   * The next publication does not follow the last one: some between them are lost ("expired"), or a new epoch begins, in which earlier
   * offsets are invalid ("unknown"). All clients catch up from the history, which reports what they miss; streams stay open.
   */
  discontinuity(reason: GapReason): void {
    const { clients, audiences } = this.#registry;
    this.#outbox.discontinuity(this.#options.history.last, audiences.values());
    if (reason === "unknown") {
      this.#endings.clear();
      this.#catchup.rewind();
      this.#acknowledgements.forgetOffsets(clients.values());
    }
    this.#outbox.tryFlush();
  }

  /** The one topic of a client has ended: it is closed once it has been sent everything. */
  endWithTopic({ audience }: Client): void {
    this.#endings.add(audience);
    this.#endings.close();
  }

  /** Sends what is queued or can be read from the history, unless a flush is in flight. */
  flush(): void {
    this.#outbox.tryFlush();
  }

  /** Resolves once every queued publication has been sent and taken; at once when the link is not live. */
  delivered(): Promise<void> {
    return this.#outbox.delivered();
  }

  /** Sends bytes to some clients besides what they get anyway; each must have credit for Audience.maxWireBytes(). */
  sendAlone(clients: readonly Client[], body: Buffer): void {
    const compressed = clients.filter(({ audience }) => audience.isCompressed);
    const plain = compressed.length === 0 ? clients : clients.filter(({ audience }) => !audience.isCompressed);
    for (const client of compressed) client.audience.leaveRide(client);
    this.#sendBytes(plain, body);
    if (compressed.length > 0) this.#sendBytes(compressed, storedBlocks(body));
  }

  #sendBytes(clients: readonly Client[], bytes: Buffer): void {
    for (const client of clients) client.debit(bytes.length);
    const ids = clients.map(({ id }) => id);
    for (const address of addressesOfIds(ids, this.outlet)) this.outlet.deliver(address, bytes);
  }

  /** Makes the event that reports missing publications to these clients. */
  gap(reason: GapReason, cursor: number, clients: Iterable<Client>): Buffer {
    this.#options.observe({ type: "gapReported", server: this.name, reason, clients });
    return gapEvent(this.#options.history, reason, cursor);
  }

  // ---- Clients --------------------------------------------------------------------------------------------------------

  /** See PendingConnections.continueAfter(). */
  continueAfter<T, Result>(
    id: number,
    operation: Promise<T>,
    then: (result: T) => Result | Promise<Result>,
  ): Promise<Result | undefined> {
    return this.#pending.continueAfter(id, operation, then);
  }

  /** The first half of opening a stream: registers the client. Must be followed by open() in the same turn. A TypeError if the id is in use. */
  register(subscription: Subscription): NewStream {
    const { history, clock } = this.#options;
    const { head, isPublicOnly = false, namesOpening = true, selection } = subscription;
    const { creditLimit = this.#creditLimit } = subscription;
    this.#creditLimit = creditLimit;
    const { id, remote, interest, expiresAt, keyFingerprints, tokenIds, subscriber, control, subject } = subscription;
    const { lastEventId } = subscription.replay;
    const since = clock.monotonic();
    // Spreading the subscription takes 15 us more for each of the first 10,000 connects.
    const client = this.#registry.add({
      id,
      remote,
      interest,
      since,
      expiresAt,
      keyFingerprints,
      tokenIds,
      subscriber,
      creditLimit,
      control,
      subject,
    });
    const join = client.audience.joinOffset(this.#outbox.head);
    const replay = planReplay(history, subscription.replay, join);
    const { cursor, gap } = replay;
    client.startsAt(selection ? this.#outbox.head : cursor);
    const opening = control && namedOpening(history, selection ? undefined : cursor, control.name);
    if (selection) {
      const selecting = new Selecting({ request: selection, join: this.#outbox.head, isNamed: namesOpening });
      const start = opening ? Buffer.concat([head, opening]) : head;
      const state = this.#stateOpenings.of(client, selecting, start.length);
      if (!state) return { client, replay, join, start, isPublicOnly, selecting, lastEventId };
      const joined = { ...replay, cursor: selecting.join };
      const opened = Buffer.concat([start, state]);
      return { client, replay: joined, join, start: opened, isPublicOnly, selecting: undefined, lastEventId };
    }
    const gapBlock = gap ? this.gap(gap, cursor, [client]) : undefined;
    const start =
      gapBlock || opening
        ? Buffer.concat([head, gapBlock ?? NO_BYTES, opening ?? NO_BYTES])
        : streamStart(history, head, cursor, namesOpening);
    return { client, replay, join, start, isPublicOnly, selecting: undefined, lastEventId };
  }

  /** Opens the stream: sends `start`; the next flush continues it from its last event id, or from now. */
  open({ client, replay, join, isPublicOnly, selecting, lastEventId }: NewStream, start: Buffer): void {
    const wire = client.audience.opening(start);
    this.outlet.open(client.id, wire);
    client.debit(wire.length);
    if (isPublicOnly) this.#publicOnly.add(client);
    this.#place(client, selecting ? 0 : replay.cursor, join, selecting);
    const { size: clients } = this.#registry;
    this.#options.observe({ type: "clientConnected", server: this.name, client, clients, lastEventId });
  }

  /**
   * Continues the stream of a client that the previous process, or the previous generation of the link, opened. The caller knows that the
   * connection is the same and that its id is free. `isFromOldEpoch`: its offset belongs to an earlier epoch.
   */
  adopt(stored: StoredClient, isFromOldEpoch: boolean): Client {
    const client = this.#registry.add({ ...stored, interest: interestFromTexts(stored) });
    const cursor = isFromOldEpoch ? BEFORE_ALL : stored.acknowledgedOffset;
    const selecting = stored.selection && cursor !== BEFORE_ALL ? new Selecting(stored.selection) : undefined;
    this.#place(client, cursor, client.audience.joinOffset(this.#outbox.head), selecting);
    this.#options.observe({ type: "clientAdopted", server: this.name, client, clients: this.#registry.size });
    return client;
  }

  /**
   * Calls `run` between two flushes: now, or when Mongrel2 has taken the flush that is in flight, or when the connections are lost.
   * changeTopics() may be called then.
   */
  betweenFlushes(run: () => void): void {
    this.#outbox.betweenFlushes(run);
  }

  /**
   * Moves a client to the audience of another interest at its present offset, between two publications: it gets those up to that offset by its
   * former interest, and those after it by the new one, each once. Returns the offset. The client record has the change after
   * ClientStore.written(). A TypeError for a client that did not ask for control; "unavailable" if too many of its replays wait.
   */
  changeTopics(client: Client, { interest, subscriber, notice, replay }: TopicChange): number {
    if (!client.control) throw new TypeError(`the topics of client ${client.id} do not change`);
    const { history, clock } = this.#options;
    const former = client.audience.interest.selectors.map(textOf);
    // A selection is of what was published up to its join: what is left of it is sent first, in the way of a replay.
    const selecting = client.state.name === "catchingUp" ? client.state.selecting : undefined;
    const sent = this.sentOffset(client);
    const offset = selecting ? selecting.join : sent;
    const control = changedControl(client.control, offset, {
      ...{ former, selectors: interest.selectors.map(textOf), notice },
      unsent: selecting && {
        selectors: former,
        former: [],
        after: sent,
        request: selecting.request,
        gap: selecting.gap,
      },
      request: replay && addedRequest(history, replay, offset),
    });
    if (client.state.name === "catchingUp") this.#catchup.remove(client);
    else client.audience.remove(client);
    client.close();
    this.#registry.move(client, interest, { subscriber, control }, clock.monotonic());
    this.#catchup.add(client, { cursor: offset }, control.pending);
    this.#acknowledgements.changed(client, offset);
    this.#options.observe({ type: "topicsChanged", server: this.name, client });
    return offset;
  }

  /** The client is not connected any more. Undefined when the id has no client: notices arrive late, twice, or for other connections. */
  leave(id: number, reason: DisconnectReason): Client | undefined {
    const client = this.#registry.clients.get(id);
    if (!client) {
      this.#pending.gone(id);
      return undefined;
    }
    this.#expiry.forget(client);
    if (client.state.name === "catchingUp") this.#catchup.remove(client);
    else client.audience.remove(client);
    this.#registry.remove(client);
    this.#options.clients.remove(this.name, id);
    this.#disconnected(client, reason, this.#registry.size);
    return client;
  }

  /** Why Mongrel2 has sent a disconnect notice for this connection. */
  reasonOfNotice(id: number): DisconnectReason {
    const client = this.clients.get(id);
    const isAnswer = client !== undefined && (this.#keepalive.isProbing(client) || this.#outbox.isAfterQuiet);
    return isAnswer ? "found dead" : "left";
  }

  /** Mongrel2 has written this number of bytes to a connection. */
  credit(id: number, bytes: number): void {
    const client = this.clients.get(id);
    if (!client) return;
    client.credit(bytes);
    if (client.state.name === "catchingUp") this.#outbox.tryFlush();
  }

  // ---- The link and the end -------------------------------------------------------------------------------------------

  /** Starts keep-alives and heartbeats, or continues with other times. */
  keepAlive(times: KeepaliveTimes): void {
    this.#keepalive.start(times);
  }

  /** The link is live: queued publications may be sent. */
  start(): void {
    this.#outbox.start();
  }

  /**
   * The link is lost: connection ids are invalid until proven otherwise, and nothing is sent to them. Returns the clients, to be adopted if
   * that is proven.
   */
  reset(): StoredClient[] {
    const clients = [...this.clients.values()];
    const left = clients.map((client) => this.#acknowledgements.stored(client));
    this.#options.clients.markUntrusted(this.name);
    this.#generation++;
    this.#expiry.clear();
    this.#outbox.reset();
    this.#catchup.clear();
    this.#overload.reset();
    this.#endings.clear();
    this.#registry.clear();
    this.#keepalive.reset();
    this.#pending.clear();
    clients.forEach((client, at) => {
      this.#disconnected(client, "server lost", clients.length - at - 1);
    });
    return left;
  }

  /** Sends nothing more, and leaves every stream open for the next process. */
  handOver(): void {
    this.#expiry.clear();
    this.#keepalive.stop();
    this.#overload.reset();
    this.#outbox.stop();
  }

  /** Live if the cursor is where its audience is and it gets nothing before, neither a selection nor a notice; otherwise catching up. */
  #place(client: Client, cursor: number, join: number, selecting?: Selecting): void {
    this.#expiry.watch(client);
    const pending = client.control?.pending;
    const isLive = cursor === join && !selecting && !pending;
    if (isLive) client.audience.add(client);
    else this.#catchup.add(client, { cursor, selecting }, pending);
    this.#acknowledgements.start(client, cursor, isLive, selecting);
  }

  #disconnected(client: Client, reason: DisconnectReason, clients: number): void {
    this.#options.observe({ type: "clientDisconnected", server: this.name, client, reason, clients });
  }
}

/** Makes the searches for the events of selections. */
function searchOf(
  { topics, reader: history, base, selectionLimits: limits = DEFAULT_SELECTION_LIMITS }: ServerDeliveryOptions,
  registry: Registry,
): SelectionReaderOptions["search"] {
  return (audience, selection, selectors) =>
    new SelectionSearch(selectors ? { ...audience.interest, selectors } : audience.interest, selection, {
      ...{ topics, history, base, limits },
      trial: (publication) => registry.trial(audience, publication),
      mustTry: () => registry.mayBar(audience),
    });
}
