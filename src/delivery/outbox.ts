/**
 * The outbox of one server: what waits to be sent to its clients, and when it is sent.
 *
 * Mongrel2 kills a connection at its 17th undelivered message, even one that reads fast, because it takes messages from its
 * SUB socket without letting its writers run. So publications are never sent one by one: they gather, a flush joins all
 * that wait for a client into one body, and a fence after the flush tells when Mongrel2 has taken it. One flush is under way
 * at a time; while it is, and until it is written (flush-pacer.ts), publications gather, and the next flush is larger. Light load: sent
 * at once. Heavy load: same number of frames, larger bodies. (A classic handler that loops over send() loses all of 1000 clients at
 * 200 events in a row.) Long because it is one state machine.
 */
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { type Audience, addressesOf } from "./audience.js";
import { Batch } from "./batch.js";
import type { Catchup, CatchupStep } from "./catchup.js";
import type { Client } from "./client.js";
import { FlushPacer } from "./flush-pacer.js";
import type { Outlet } from "./ports.js";

export interface OutboxOptions {
  readonly outlet: Outlet;
  readonly clock: Clock;
  readonly catchup: Catchup;
  /** The largest body that is made of several events, bytes. */
  readonly maxBytes: () => number;
  /** More publications are there that could not be added yet. */
  readonly isFlooded: () => boolean;
  /** Called before each flush: see History.commit. */
  readonly commit: () => void;
  /** Called after each flush with its figures. */
  readonly flushed: (flush: Flush) => void;
  /**
   * Called when Mongrel2 has taken a flush: everything up to `through` for the live clients, and the steps of those behind.
   */
  readonly fenced: (through: number, steps: readonly CatchupStep[]) => void;
  /** Called for clients that were live and are behind now, before anything else happens. */
  readonly fellBehind: (clients: readonly Client[]) => void;
}

/**
 * What may wait for an audience, bytes, and one event in any case. Beyond that Mongrel2 writes more slowly than is published, and what
 * waits would grow without end: its clients read on from history instead, at the pace of Mongrel2, and lose in the end what history trims.
 */
const MAX_WAITING = 6_400_000;

/** A first flush after so long without one finds connections that died meanwhile, milliseconds. */
const QUIET_MS = 1000;

/** Figures of one flush. */
export interface Flush {
  readonly bodies: number;
  readonly frames: number;
  readonly bytes: number;
  /** Publications times the clients they go to. */
  readonly deliveries: number;
  /** When the oldest publication for live clients was published, milliseconds since 1970; undefined = there is none. */
  readonly oldest: number | undefined;
}

type Count = { -readonly [Name in keyof Flush]: Flush[Name] };

export class Outbox {
  readonly #options: OutboxOptions;
  /** Audiences that have something waiting. */
  readonly #dirty = new Set<Audience>();
  #alone: Batch | undefined;
  /** A flush has been sent, and its fence has not passed. */
  #underway = false;
  /** Clock.monotonic() of the last flush. */
  #flushedAt = Number.NEGATIVE_INFINITY;
  #isAfterQuiet = false;
  #head: number;
  /** Counts resets: a fence from before the last reset has nothing to say any more. */
  #life = 0;
  /** Counts interruptions: a fence from before the last one speaks of positions that are over. */
  #era = 0;
  #open = false;
  #fenced: number;
  #waiting: (() => void)[] = [];
  readonly #cadence: FlushPacer;
  #pausing = false;

  constructor(options: OutboxOptions, head: number) {
    this.#options = options;
    const { clock, outlet, isFlooded } = options;
    this.#cadence = new FlushPacer({ clock, isFlooded, fence: (passed) => outlet.fence(passed) });
    this.#head = head;
    this.#fenced = head;
  }

  /** Mongrel2 has taken everything up to this offset for every settled client. */
  get fenced(): number {
    return this.#fenced;
  }

  /** The offset of the newest publication this outbox has seen. */
  get head(): number {
    return this.#head;
  }

  /** A flush is under way that came after a quiet second: notices that come meanwhile answer it. */
  get isAfterQuiet(): boolean {
    return this.#underway && this.#isAfterQuiet;
  }

  /** Resolves once everything that waits has been sent and taken; at once when the link is not live. */
  settled(): Promise<void> {
    if (!this.#open || this.#idle) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get #idle(): boolean {
    return !this.#underway && this.#dirty.size === 0;
  }

  /** Nothing could be sent now. */
  get #isEmpty(): boolean {
    return this.#dirty.size === 0 && !this.#options.catchup.hungry(this.#head);
  }

  /** Queues a publication for the audiences that get it and sends what may be sent. Offsets rise from call to call. */
  add(publication: Publication, audiences: readonly Audience[]): void {
    const maxBytes = this.#options.maxBytes();
    for (const audience of audiences) {
      if (audience.size === 0) continue;
      audience.queue(publication, maxBytes, this.#batch);
      this.#dirty.add(audience);
      if (audience.waitingBytes > MAX_WAITING && audience.waiting.length > 1) this.#spill(audience);
    }
    this.#head = publication.offset;
    this.pump();
  }

  /** The clients of an audience go on from history: before add(), from the publication that is to be added. */
  defer(audience: Audience): void {
    this.#spill(audience);
  }

  /**
   * What comes next does not follow on what came last: from here on `head` is the newest. Nobody is live any more; what waits is
   * let go of, and what is under way proves nothing.
   */
  applyDiscontinuity(head: number, audiences: Iterable<Audience>): void {
    for (const audience of audiences) this.#spill(audience);
    this.#head = head;
    this.#fenced = head;
    this.#era++;
  }

  /** Lets go of what waits: some of it was rejected, and history has the rest. */
  discard(): void {
    for (const audience of this.#dirty) this.#spill(audience);
  }

  /** From now on things are sent: the link is live. */
  open(): void {
    this.#open = true;
    this.pump();
  }

  /** Sends nothing more until open(); a fence that is under way still counts. */
  hold(): void {
    this.#open = false;
  }

  /** Forgets everything that waits or is under way: its receivers are gone. Nothing is sent until open(). */
  reset(): void {
    this.#life++;
    this.#open = false;
    this.#underway = false;
    this.#pausing = false;
    for (const audience of this.#dirty) audience.drop();
    this.#dirty.clear();
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Sends what waits, unless a flush is under way. */
  pump(): void {
    if (!this.#open || this.#underway || this.#pausing || this.#isEmpty) return;
    const pause = this.#cadence.pause();
    if (pause) {
      const life = this.#life;
      this.#pausing = true;
      pause(() => {
        if (life !== this.#life) return;
        this.#pausing = false;
        this.pump();
      });
      return;
    }
    const steps = this.#flush();
    if (steps) this.#fence(steps);
  }

  /** The batch of one publication, the same node for all audiences that start with it. */
  readonly #batch = (publication: Publication): Batch => {
    if (this.#alone?.last !== publication.bytes) this.#alone = new Batch(publication);
    return this.#alone;
  };

  /** Clients that have no credit for a body go on from history when they have: nobody waits for them. */
  #passOver(audience: Audience, batch: Batch): void {
    const clients = audience.short(batch.bytes);
    if (clients.length === 0) return;
    for (const client of clients) {
      audience.remove(client);
      this.#options.catchup.add(client, batch.first.offset - 1);
    }
    this.#options.fellBehind(clients);
  }

  /** Lets go of what waits for an audience: history has it too. */
  #spill(audience: Audience): void {
    const cursor = audience.joinOffset(this.#head);
    const clients = audience.empty();
    this.#dirty.delete(audience);
    for (const client of clients) this.#options.catchup.add(client, cursor);
    this.#options.fellBehind(clients);
  }

  /** Sends one body to each client that has one waiting; undefined when nobody had. */
  #flush(): readonly CatchupStep[] | undefined {
    const { outlet, catchup } = this.#options;
    this.#options.commit();
    const flush: Count = { bodies: 0, frames: 0, bytes: 0, deliveries: 0, oldest: undefined };
    const groups = this.#take();
    outlet.prepare(copied(groups));
    for (const [batch, audiences] of groups) {
      this.#send(flush, addressesOf(audiences, outlet), batch.body());
      for (const { size } of audiences) flush.deliveries += size * batch.events;
      flush.oldest = Math.min(flush.oldest ?? batch.first.time, batch.first.time);
    }
    const steps = catchup.take(this.#head);
    for (const { clients, body, events } of steps) {
      if (body) this.#send(flush, this.#addresses(clients), body);
      flush.deliveries += clients.length * events;
    }
    if (flush.frames === 0 && steps.length === 0) return undefined;
    this.#options.flushed(flush);
    return steps;
  }

  #addresses(clients: readonly Client[]): Buffer[] {
    const { outlet } = this.#options;
    const addresses: Buffer[] = [];
    for (let from = 0; from < clients.length; from += outlet.maxTargets) {
      addresses.push(outlet.address(clients.slice(from, from + outlet.maxTargets).map((client) => client.id)));
    }
    return addresses;
  }

  /** The oldest waiting batch of each audience, grouped by batch: one body for all that wait for the same. */
  #take(): Map<Batch, Audience[]> {
    const now = this.#options.clock.monotonic();
    const groups = new Map<Batch, Audience[]>();
    for (const audience of this.#dirty) {
      const batch = audience.take();
      if (audience.waiting.length === 0) this.#dirty.delete(audience);
      if (batch) this.#passOver(audience, batch);
      if (!batch || audience.size === 0) continue;
      audience.spend(batch.bytes);
      audience.lastSent = now;
      const group = groups.get(batch);
      if (group) group.push(audience);
      else groups.set(batch, [audience]);
    }
    return groups;
  }

  #send(flush: Count, addresses: Iterable<Buffer>, body: Buffer): void {
    flush.bodies++;
    for (const address of addresses) {
      this.#options.outlet.deliver(address, body);
      flush.frames++;
      flush.bytes += body.length;
    }
  }

  #fence(steps: readonly CatchupStep[]): void {
    this.#underway = true;
    const now = this.#options.clock.monotonic();
    this.#isAfterQuiet = now - this.#flushedAt >= QUIET_MS;
    this.#flushedAt = now;
    this.#cadence.sent();
    const [life, era] = [this.#life, this.#era];
    const through = this.#sentThrough();
    this.#options.outlet.fence(() => {
      if (life !== this.#life) return;
      this.#underway = false;
      this.#cadence.taken(!this.#isEmpty);
      if (era === this.#era) {
        this.#fenced = through;
        this.#options.fenced(through, steps);
      }
      this.pump();
      if (this.#idle) this.#tell();
    });
  }

  /** Everything up to here has been sent to every live client that wants it. */
  #sentThrough(): number {
    let through = this.#head;
    for (const audience of this.#dirty) through = Math.min(through, audience.joinOffset(this.#head));
    return through;
  }
}

/** What Mongrel2 will copy, bytes. */
function copied(groups: ReadonlyMap<Batch, readonly Audience[]>): number {
  let bytes = 0;
  for (const [batch, audiences] of groups) for (const { size } of audiences) bytes += batch.bytes * size;
  return bytes;
}
