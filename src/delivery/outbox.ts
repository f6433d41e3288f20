/**
 * The outbox of one server: what is queued for its clients, and when it is sent.
 *
 * Mongrel2 kills a connection at its 17th undelivered message, even one that reads fast, because it takes messages from its SUB socket
 * without letting its writers run (docs/architecture/mongrel2.md 2.1). So publications are not sent one by one: they are queued, a flush
 * joins all that are queued for a client into one body, and a fence after the flush tells when Mongrel2 has taken it. One flush is in
 * flight at a time. While it is, and until Mongrel2 has written it (flush-pacer.ts), publications are queued, and the next flush is
 * larger. Light load: sent at once. Heavy load: as many frames, larger bodies. (A handler that calls send() for each of 200 events in a
 * row loses all of 1000 clients.) Long because it is the only writer of what is queued and in flight.
 */
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import { Batch } from "./batch.js";
import type { Catchup, CatchupStep } from "./catchup.js";
import type { Acknowledgements, Client } from "./client.js";
import type { Compression } from "./compression.js";
import type { DeliveryTraces } from "./delivery-traces.js";
import { type Flush, FlushWriter, type QueuedBodies } from "./flush.js";
import { FlushPacer } from "./flush-pacer.js";
import type { Outlet } from "./outlet.js";
import type { FallBehindReason } from "./reasons.js";

export interface OutboxOptions {
  readonly outlet: Outlet;
  readonly clock: Clock;
  readonly catchup: Catchup;
  /** Absent = no audience is compressed. */
  readonly compression?: Compression | undefined;
  /** Told what Mongrel2 has taken, and which clients fall behind. */
  readonly acknowledgements: Acknowledgements;
  /** The largest body made of several publications, bytes. */
  readonly maxBytes: () => number;
  /** Whether more publications have arrived than could be added yet. */
  readonly isFlooded: () => boolean;
  /** Called before each flush: see History.commit. */
  readonly commit: () => void;
  /** Called when Mongrel2 has taken a flush; absent = nobody is told. */
  readonly taken?: () => void;
  /** Absent = traces are off. */
  readonly traces?: DeliveryTraces | undefined;
  /** Called after each flush with its figures. */
  readonly flushed: (flush: Flush) => void;
  /** Called when live clients fall behind because they, or Mongrel2, are slow; absent = nobody is told. */
  readonly fellBehind?: (reason: FallBehindReason, clients: number) => void;
}

/**
 * The queue of one audience; one publication is queued in any case. Beyond this Mongrel2 writes more slowly than publishers publish, and the
 * queue would grow without limit: the clients catch up from the history instead, at the pace of Mongrel2, and finally miss what is trimmed.
 */
const MAX_QUEUED_BYTES = 6_400_000;

/** The first flush after this time without one finds connections that died meanwhile. */
const QUIET_MS = 1000;

export class Outbox {
  readonly #options: OutboxOptions;
  /** Audiences with queued publications. */
  readonly #queued = new Set<Audience<Client>>();
  readonly #pacer: FlushPacer;
  /** The batch of the newest publication alone. */
  #single: Batch | undefined;
  /** Publications that were ever queued, once for each audience. */
  #queuedCount = 0;
  /** A flush was sent, and its fence has not passed. */
  #isInFlight = false;
  #isPausing = false;
  #isStarted = false;
  /** Clock.monotonic() of the last flush. */
  #flushedAt = Number.NEGATIVE_INFINITY;
  #isAfterQuiet = false;
  #head: number;
  /** Incremented by reset(): fences and pauses of an earlier generation have no effect. */
  #generation = 0;
  /** Incremented by discontinuity(): fences from before it acknowledge no positions. */
  #discontinuities = 0;
  #awaitingDelivery: (() => void)[] = [];
  #betweenFlushes: (() => void)[] = [];

  /** `head`: the offset of the newest publication. */
  constructor(options: OutboxOptions, head: number) {
    this.#options = options;
    const { clock, outlet, isFlooded } = options;
    this.#pacer = new FlushPacer({ clock, isFlooded, fence: (passed) => outlet.fence(passed) });
    this.#head = head;
  }

  /** The offset of the newest publication that was added. */
  get head(): number {
    return this.#head;
  }

  /** A flush is in flight that followed a quiet second: notices that arrive meanwhile answer it. */
  get isAfterQuiet(): boolean {
    return this.#isInFlight && this.#isAfterQuiet;
  }

  /** Resolves once everything queued has been sent and taken; at once when the link is not live. */
  delivered(): Promise<void> {
    if (!this.#isStarted || this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#awaitingDelivery.push(resolve));
  }

  /**
   * Calls `run` between two flushes: now, or when Mongrel2 has taken the flush that is in flight, or after reset(). Everything that was sent
   * is acknowledged then. The next flush follows, unless `run` throws.
   */
  betweenFlushes(run: () => void): void {
    if (this.#isInFlight) {
      this.#betweenFlushes.push(run);
      return;
    }
    run();
    this.tryFlush();
  }

  /**
   * Queues a publication for its audiences and flushes if possible. Offsets rise from call to call. Returns the number of clients that it
   * was queued for.
   */
  add(publication: Publication, audiences: readonly Audience<Client>[]): number {
    const maxBytes = this.#options.maxBytes();
    let clients = 0;
    for (const audience of audiences) {
      const { size } = audience;
      if (size === 0) continue;
      clients += size;
      audience.queue(publication, maxBytes, this.#batchOf);
      this.#queued.add(audience);
      this.#queuedCount++;
      if (audience.waitingBytes > MAX_QUEUED_BYTES && audience.waiting.length > 1) {
        this.#options.fellBehind?.("queue full", size);
        this.fallBehind(audience);
      }
    }
    this.#head = publication.offset;
    if (publication.traceparent !== undefined && clients > 0) this.#options.traces?.queued(publication, clients);
    this.tryFlush();
    return clients;
  }

  /** Drops the queue of an audience: its members catch up from the history, which has the same publications. */
  fallBehind(audience: Audience<Client>): void {
    const cursor = audience.joinOffset(this.#head);
    const clients = audience.removeAll();
    if (this.#queued.has(audience)) this.#options.traces?.fellBehind();
    this.#queued.delete(audience);
    this.#catchUp(clients, cursor);
  }

  /**
   * The next publication does not follow the last one; `head` is the newest offset from here on. All members of `audiences` fall behind,
   * and the flush in flight acknowledges nothing.
   */
  discontinuity(head: number, audiences: Iterable<Audience<Client>>): void {
    for (const audience of audiences) this.fallBehind(audience);
    this.#head = head;
    this.#options.acknowledgements.restart(head);
    this.#discontinuities++;
  }

  /** Drops all queues: some of the publications were discarded, and the history has the others. */
  discard(): void {
    for (const audience of this.#queued) this.fallBehind(audience);
  }

  /** The link is live: flushes may be sent. */
  start(): void {
    this.#isStarted = true;
    this.tryFlush();
  }

  /** Sends no flush until start(); the fence of the flush in flight still counts. */
  stop(): void {
    this.#isStarted = false;
  }

  /** The connections are lost: drops everything queued or in flight. Nothing is sent until start(). */
  reset(): void {
    this.#generation++;
    this.#isStarted = false;
    this.#isInFlight = false;
    this.#isPausing = false;
    for (const audience of this.#queued) audience.drop();
    this.#queued.clear();
    this.#options.traces?.reset();
    this.#reportDelivery();
    queueMicrotask(() => this.#runBetween()); // the clients are still registered
  }

  /** Sends a flush, unless one is in flight, the pacer demands a pause, or nothing is queued. */
  tryFlush(): void {
    if (!this.#isStarted || this.#isInFlight || this.#isPausing || this.#isEmpty) return;
    const pause = this.#pacer.pause(this.#queuedCount);
    if (!pause) {
      const steps = this.#flush();
      if (steps) this.#fence(steps);
      else if (this.#isIdle) this.#reportDelivery(); // all that was queued has expired
      return;
    }
    const generation = this.#generation;
    this.#isPausing = true;
    pause(() => {
      if (generation !== this.#generation) return;
      this.#isPausing = false;
      this.tryFlush();
    });
  }

  get #isIdle(): boolean {
    return !this.#isInFlight && this.#queued.size === 0;
  }

  /** There is nothing that a flush could send. */
  get #isEmpty(): boolean {
    return this.#queued.size === 0 && !this.#options.catchup.hasWork(this.#head);
  }

  /** The batch of one publication: the same node for all audiences whose queue starts with it. */
  readonly #batchOf = (publication: Publication): Batch => {
    if (this.#single?.last !== publication.bytes) this.#single = new Batch(publication);
    return this.#single;
  };

  /** Sends one body to each client that has one queued; undefined when there was none. */
  #flush(): readonly CatchupStep[] | undefined {
    const { outlet, catchup, compression, commit, flushed } = this.#options;
    commit();
    compression?.begin();
    const flush = new FlushWriter(outlet, compression);
    flush.sendLive(this.#takeBodies());
    const steps = catchup.takeSteps(this.#head);
    flush.sendSteps(steps);
    if (flush.frames === 0 && steps.length === 0) return undefined;
    flushed(flush);
    return steps;
  }

  /** The oldest queued body of each audience, without what has expired meanwhile, grouped by body. */
  #takeBodies(): QueuedBodies {
    const { clock } = this.#options;
    const [now, wall] = [clock.monotonic(), clock.now()];
    const plain = new Map<Batch, Audience<Client>[]>();
    const compressed = new Map<Batch, Audience<Client>[]>();
    for (const audience of this.#queued) {
      let batch = audience.take()?.unexpired(wall);
      while (!batch && audience.waiting.length > 0) batch = audience.take()?.unexpired(wall);
      if (audience.waiting.length === 0) this.#queued.delete(audience);
      if (batch) this.#passOver(audience, batch);
      if (!batch || audience.size === 0) continue;
      // The size of a compressed body is not known yet.
      if (!audience.isCompressed) audience.debit(batch.bytes);
      audience.lastSent = now;
      const groups = audience.isCompressed ? compressed : plain;
      const group = groups.get(batch);
      if (group) group.push(audience);
      else groups.set(batch, [audience]);
    }
    return { plain, compressed };
  }

  /** Members without credit for a body catch up when they have credit again; the others are not delayed. */
  #passOver(audience: Audience<Client>, batch: Batch): void {
    const clients = audience.withoutCredit(audience.maxWireBytes(batch.bytes));
    if (clients.length === 0) return;
    for (const client of clients) audience.remove(client);
    this.#options.traces?.fellBehind();
    this.#options.fellBehind?.("no credit", clients.length);
    this.#catchUp(clients, batch.first.offset - 1);
  }

  #catchUp(clients: readonly Client[], cursor: number): void {
    for (const client of clients) this.#options.catchup.add(client, { cursor });
    this.#options.acknowledgements.fallBehind(clients);
  }

  #fence(steps: readonly CatchupStep[]): void {
    const { clock, outlet, acknowledgements, traces } = this.#options;
    this.#isInFlight = true;
    const now = clock.monotonic();
    this.#isAfterQuiet = now - this.#flushedAt >= QUIET_MS;
    this.#flushedAt = now;
    this.#pacer.sent();
    const [generation, discontinuities] = [this.#generation, this.#discontinuities];
    const through = this.#sentThrough();
    traces?.sent(through);
    outlet.fence(() => {
      if (generation !== this.#generation) return;
      this.#isInFlight = false;
      traces?.taken();
      this.#pacer.taken(!this.#isEmpty);
      if (discontinuities === this.#discontinuities) acknowledgements.flushTaken(through, steps);
      this.#runBetween();
      this.#options.taken?.();
      this.tryFlush();
      if (this.#isIdle) this.#reportDelivery();
    });
  }

  /** Everything up to this offset has been sent to every live client that gets it. */
  #sentThrough(): number {
    let through = this.#head;
    for (const audience of this.#queued) through = Math.min(through, audience.joinOffset(this.#head));
    return through;
  }

  #runBetween(): void {
    for (const run of this.#betweenFlushes.splice(0)) run();
  }

  #reportDelivery(): void {
    for (const resolve of this.#awaitingDelivery.splice(0)) resolve();
  }
}
