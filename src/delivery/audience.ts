/**
 * An audience: all clients of one server that get exactly the same publications, because they requested the same and may see the same.
 * Publications are queued for audiences; a client has no queue of its own.
 *
 * Its live members form a dense array that is divided into chunks of `maxTargets`; each chunk keeps its prepared address. The last member
 * takes the place of one that leaves (swap-remove), so at most two addresses are made again: for 10,000 clients that is two addresses of
 * 128 ids instead of 79.
 */

import type { Interest } from "../matching/interest.js";
import { PUBLICATION_UNITS } from "../matching/match-budget.js";
import { compile, type Selector } from "../matching/selector.js";
import { isPattern, type Test, type Tests, Trial, testsOf } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { Batch } from "./batch.js";
import type { Address, Outlet } from "./outlet.js";

/** What an audience needs of its live members; client.ts implements it. */
export interface Member {
  readonly id: number;
  /** Its index in the member list. */
  readonly slot: number;
  /** Bytes that may be in flight to it; Infinity = no limit. */
  readonly creditLimit: number;
  readonly creditAvailable: number;
  goLive(slot: number): void;
  moveTo(slot: number): void;
  debit(bytes: number): void;
}

export class Audience<M extends Member = Member> {
  /** Whether it is a CompressedAudience. */
  readonly isCompressed: boolean = false;
  readonly interest: Interest;
  /** Queued bodies, oldest first; only the last one still grows. */
  readonly waiting: Batch[] = [];
  /** Size of all queued bodies, bytes. */
  waitingBytes = 0;
  /** Clients that belong to it, live or catching up; counted by the registry. */
  clients = 0;
  /** When a frame was last sent to all members: Clock.monotonic(). */
  lastSent: number;
  /** When its last heartbeat event was sent: Clock.monotonic(). The first one is due at once: its clients may have been adopted. */
  lastHeartbeatEvent = Number.NEGATIVE_INFINITY;
  /** Whether some of its selectors are patterns, which must be tried on each topic. */
  readonly hasPatterns: boolean;
  /** Its patterns are too expensive to be tried while publications are delivered: see overload.ts. */
  isOverloading = false;
  /** What its patterns cost together, for comparison: see Pattern.cost; set by the registry. */
  cost = 0;
  /** Called when a member joins again: see defer(). */
  #resume: (() => void) | undefined;
  readonly #outlet: Outlet;
  readonly #base: string;
  #tests: { readonly selectors: Tests; readonly grants: Tests } | undefined;
  #members: M[] = [];
  #addresses: (Address | undefined)[] = [];
  /** Members with a credit limit: while there are none, no member's credit is read. */
  #metered = 0;

  /** `base` is the hub's URL. */
  constructor(interest: Interest, base: string, outlet: Outlet, now: number) {
    this.interest = interest;
    this.hasPatterns = interest.selectors.some(isPattern);
    this.#base = base;
    this.#outlet = outlet;
    this.lastSent = now;
  }

  /** Live members. */
  get size(): number {
    return this.#members.length;
  }

  get members(): readonly M[] {
    return this.#members;
  }

  /** Determines whether it gets a publication of the history. `testOf`: compiles one of its patterns. */
  trial(publication: Publication, testOf: (selector: Selector) => Test): Trial {
    const { selectors, grants } = this.interest;
    this.#tests ??= {
      selectors: testsOf(selectors, testOf),
      grants: testsOf(grants, (it) => compile(it, this.#base)),
    };
    return new Trial(publication, this.#tests.selectors, this.#tests.grants);
  }

  /** Whether it gets a presence event; false if that takes longer than matching one publication may. */
  wants(publication: Publication): boolean {
    const trial = this.trial(publication, (it) => compile(it, this.#base));
    return trial.run({ left: PUBLICATION_UNITS }) === true;
  }

  /** All its clients read from the history; `resume` is called when the first one joins again. */
  defer(resume: () => void): void {
    this.#resume = resume;
  }

  /** Queues a publication. A body ends before it exceeds `maxBytes`; `alone` makes the batch of one publication. */
  queue(publication: Publication, maxBytes: number, alone: (publication: Publication) => Batch): void {
    this.waitingBytes += publication.bytes.length;
    const growing = this.waiting.at(-1);
    if (growing && growing.bytes + publication.bytes.length <= maxBytes) {
      this.waiting[this.waiting.length - 1] = growing.with(publication);
    } else {
      this.waiting.push(alone(publication));
    }
  }

  /** Removes the oldest queued body and returns it. */
  take(): Batch | undefined {
    const batch = this.waiting.shift();
    if (batch) this.waitingBytes -= batch.bytes;
    return batch;
  }

  /** Drops every queued body. */
  drop(): void {
    this.waiting.length = 0;
    this.waitingBytes = 0;
  }

  /**
   * The offset after which a client that joins now gets every publication for this audience: it will get the queued ones and none that was
   * sent before. `head` is the offset of the newest publication of all.
   */
  joinOffset(head: number): number {
    const oldest = this.waiting[0];
    return oldest ? oldest.first.offset - 1 : head;
  }

  add(member: M): void {
    this.#resume?.();
    this.#resume = undefined;
    const slot = this.#members.length;
    member.goLive(slot);
    if (isMetered(member)) this.#metered++;
    // Most audiences have one member, and V8 allocates 17 places at the first push().
    if (slot === 0) this.#members = [member];
    else this.#members.push(member);
    this.#invalidate(slot);
  }

  /** A live member leaves; the last one takes its place. */
  remove(member: M): void {
    const last = this.#members.pop();
    if (!last) return;
    if (isMetered(member)) this.#metered--;
    this.#invalidate(last.slot);
    if (this.#members.length === 0) this.drop();
    if (last === member) return;
    this.#put(last, member.slot);
  }

  /** Removes all members and the bodies queued for them; returns the members. */
  removeAll(): M[] {
    this.drop();
    this.#addresses.length = 0;
    this.#metered = 0;
    return this.#members.splice(0);
  }

  /** What is sent to this member next is for it alone: see CompressedAudience. */
  leaveRide(_member: M): void {}

  /** The largest size that a body of this size can have on the wire. */
  maxWireBytes(bytes: number): number {
    return bytes;
  }

  /** The first bytes of a stream as they are sent. */
  opening(start: Buffer): Buffer {
    return start;
  }

  /** A body for some of its clients alone as it is sent. */
  wire(plain: Buffer): Buffer {
    return plain;
  }

  /** Such a body was sent to a number of them. */
  wireSent(_clients: number, _plainBytes: number, _wireBytes: number): void {}

  /** Members that lack the credit for a body of this size. */
  withoutCredit(bytes: number): M[] {
    return this.#metered === 0 ? [] : this.#members.filter(({ creditAvailable }) => creditAvailable < bytes);
  }

  /** A body of this size is in flight to every member. */
  debit(bytes: number): void {
    if (this.#metered > 0) for (const member of this.#members) member.debit(bytes);
  }

  /** The same for the members at some indexes. */
  protected debitMembers(from: number, to: number, bytes: number): void {
    if (this.#metered === 0) return;
    for (let slot = from; slot < to; slot++) this.#members[slot]?.debit(bytes);
  }

  /** Two members take each other's index. */
  protected exchange(slot: number, other: number): void {
    const [member, second] = [this.#members[slot], this.#members[other]];
    if (!member || !second || slot === other) return;
    this.#put(second, slot);
    this.#put(member, other);
  }

  #put(member: M, slot: number): void {
    this.#invalidate(slot);
    member.moveTo(slot);
    this.#members[slot] = member;
  }

  /** Prepared addresses of all members. */
  addresses(): Address[] {
    const max = this.#outlet.maxTargets;
    const chunks = Math.ceil(this.#members.length / max);
    for (let chunk = 0; chunk < chunks; chunk++) this.#prepared(chunk);
    this.#addresses.length = chunks;
    return this.#addresses as Address[];
  }

  /** Addresses of the members at some indexes: the prepared ones of whole chunks. */
  protected addressesBetween(from: number, to: number): Address[] {
    const max = this.#outlet.maxTargets;
    const addresses: Address[] = [];
    for (let at = from; at < to; ) {
      const chunk = Math.floor(at / max);
      const end = Math.min((chunk + 1) * max, this.size);
      if (at === chunk * max && end <= to) addresses.push(this.#prepared(chunk));
      else addresses.push(this.#outlet.address(this.#ids(at, Math.min(end, to))));
      at = end;
    }
    return addresses;
  }

  #prepared(chunk: number): Address {
    const max = this.#outlet.maxTargets;
    this.#addresses[chunk] ??= this.#outlet.address(this.#ids(chunk * max, (chunk + 1) * max));
    return this.#addresses[chunk];
  }

  #ids(from: number, to: number): number[] {
    return this.#members.slice(from, to).map(({ id }) => id);
  }

  #invalidate(slot: number): void {
    const chunk = Math.floor(slot / this.#outlet.maxTargets);
    if (chunk < this.#addresses.length) this.#addresses[chunk] = undefined;
  }
}

function isMetered({ creditLimit }: Member): boolean {
  return creditLimit !== Number.POSITIVE_INFINITY;
}

/** Addresses of some connections, as few as `maxTargets` permits. */
export function addressesOfIds(ids: readonly number[], outlet: Outlet): Address[] {
  const addresses: Address[] = [];
  for (let from = 0; from < ids.length; from += outlet.maxTargets) {
    addresses.push(outlet.address(ids.slice(from, from + outlet.maxTargets)));
  }
  return addresses;
}

/**
 * Addresses of several audiences together, as few as possible: small audiences share frames, and an audience that fills frames by itself
 * uses its prepared ones.
 */
export function addressesOf(audiences: readonly Audience[], outlet: Outlet): Address[] {
  const [only] = audiences;
  if (only && audiences.length === 1) return only.addresses();
  const addresses: Address[] = [];
  const ids: number[] = [];
  for (const audience of audiences) {
    if (audience.size >= outlet.maxTargets) addresses.push(...audience.addresses());
    else for (const { id } of audience.members) ids.push(id);
  }
  addresses.push(...addressesOfIds(ids, outlet));
  return addresses;
}
