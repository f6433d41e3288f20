/**
 * An audience: all clients of one server that get exactly the same publications, because they asked for the same and may
 * see the same. It is the unit that publications are queued for: a client has no queue of its own.
 *
 * Its members lie in a dense array that is cut into chunks of `maxTargets`; each chunk keeps its ready frame head. A client
 * that leaves is replaced by the last one (swap-remove), so at most two chunks lose their head: for 10,000 clients that is
 * two heads of 128 ids made anew instead of 79.
 */

import type { Interest } from "../matching/interest.js";
import { PUBLICATION_UNITS } from "../matching/match-budget.js";
import { compile, type Selector } from "../matching/selector.js";
import { isPattern, type Test, type Tests, Trial, testsOf } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { Batch } from "./batch.js";
import type { Client } from "./client.js";
import type { Address, Outlet } from "./ports.js";

export class Audience {
  readonly interest: Interest;
  /** Bodies that wait to be sent, oldest first; only the last one still grows. */
  readonly waiting: Batch[] = [];
  /** All of them together, bytes. */
  waitingBytes = 0;
  /** How many belong to it, live or behind; counted by the registry. */
  clients = 0;
  /** When something was last sent to all of it, monotonic milliseconds. */
  lastSent: number;
  /** Whether it has selectors that must be tried on topics. */
  readonly hasPatterns: boolean;
  /** What it asks for is too expensive to be tried while publications are delivered: see overload.ts. */
  isOverloading = false;
  /** What its patterns cost together, for comparison: see Pattern.cost; set by the registry. */
  cost = 0;
  /** Called when somebody joins it again: see defer(). */
  #resume: (() => void) | undefined;
  readonly #outlet: Outlet;
  readonly #base: string;
  #tests: { readonly selectors: Tests; readonly grants: Tests } | undefined;
  #members: Client[] = [];
  #addresses: (Address | undefined)[] = [];
  /** Members with a limit on what may be under way to them: while there are none, nobody's credit is looked at. */
  #metered = 0;

  /** `base` is the hub's URL. */
  constructor(interest: Interest, base: string, outlet: Outlet, now: number) {
    this.interest = interest;
    this.hasPatterns = interest.selectors.some(isPattern);
    this.#base = base;
    this.#outlet = outlet;
    this.lastSent = now;
  }

  get size(): number {
    return this.#members.length;
  }

  get members(): readonly Client[] {
    return this.#members;
  }

  /** Finds out whether it gets a publication of the history. `testOf`: of one of its patterns. */
  trial(publication: Publication, testOf: (selector: Selector) => Test): Trial {
    const { selectors, grants } = this.interest;
    this.#tests ??= {
      selectors: testsOf(selectors, testOf),
      grants: testsOf(grants, (it) => compile(it, this.#base)),
    };
    return new Trial(publication, this.#tests.selectors, this.#tests.grants);
  }

  /** Whether it gets an event of the hub's own. What takes longer than a publication may is not for it. */
  wants(publication: Publication): boolean {
    const trial = this.trial(publication, (it) => compile(it, this.#base));
    return trial.run({ left: PUBLICATION_UNITS }) === true;
  }

  /** All its clients read from history; `resume` is called when the first one joins it again. */
  defer(resume: () => void): void {
    this.#resume = resume;
  }

  /** Queues a publication; bodies are cut at `maxBytes`. */
  queue(publication: Publication, maxBytes: number, alone: (publication: Publication) => Batch): void {
    this.waitingBytes += publication.bytes.length;
    const growing = this.waiting.at(-1);
    if (growing && growing.bytes + publication.bytes.length <= maxBytes) {
      this.waiting[this.waiting.length - 1] = growing.with(publication);
    } else {
      this.waiting.push(alone(publication));
    }
  }

  /** The oldest body that waits, which does not from now on. */
  take(): Batch | undefined {
    const batch = this.waiting.shift();
    if (batch) this.waitingBytes -= batch.bytes;
    return batch;
  }

  /** Nothing waits any more. */
  drop(): void {
    this.waiting.length = 0;
    this.waitingBytes = 0;
  }

  /**
   * The offset after which a client that joins now gets everything this audience wants: what waits will reach it, what was
   * sent before will not. `head` is the offset of the newest publication of all.
   */
  joinOffset(head: number): number {
    const oldest = this.waiting[0];
    return oldest ? oldest.first.offset - 1 : head;
  }

  add(client: Client): void {
    this.#resume?.();
    this.#resume = undefined;
    client.slot = this.#members.length;
    if (isMetered(client)) this.#metered++;
    // Most audiences have one member, and V8 makes room for 17 at the first push().
    if (this.#members.length === 0) this.#members = [client];
    else this.#members.push(client);
    this.#forget(client.slot);
  }

  remove(client: Client): void {
    const last = this.#members.pop();
    if (!last) return;
    if (isMetered(client)) this.#metered--;
    this.#forget(last.slot);
    if (this.#members.length === 0) this.drop();
    if (last === client) return;
    this.#forget(client.slot);
    last.slot = client.slot;
    this.#members[client.slot] = last;
  }

  /** Removes all members, and with them what waited for them; returns who they were. */
  empty(): Client[] {
    this.drop();
    this.#addresses.length = 0;
    this.#metered = 0;
    return this.#members.splice(0);
  }

  /** Those who may not be sent a body of this size now. */
  short(bytes: number): Client[] {
    return this.#metered === 0 ? [] : this.#members.filter(({ creditAvailable: credit }) => credit < bytes);
  }

  /** A body of this size is under way to all of them. */
  spend(bytes: number): void {
    if (this.#metered > 0) for (const client of this.#members) client.creditAvailable -= bytes;
  }

  /** Ready addresses of all members. */
  addresses(): Address[] {
    const max = this.#outlet.maxTargets;
    const chunks = Math.ceil(this.#members.length / max);
    for (let chunk = 0; chunk < chunks; chunk++) {
      this.#addresses[chunk] ??= this.#outlet.address(this.#ids(chunk * max, (chunk + 1) * max));
    }
    this.#addresses.length = chunks;
    return this.#addresses as Address[];
  }

  #ids(from: number, to: number): number[] {
    return this.#members.slice(from, to).map((client) => client.id);
  }

  #forget(slot: number): void {
    const chunk = Math.floor(slot / this.#outlet.maxTargets);
    if (chunk < this.#addresses.length) this.#addresses[chunk] = undefined;
  }
}

function isMetered({ creditLimit: allowance }: Client): boolean {
  return allowance !== Number.POSITIVE_INFINITY;
}

/**
 * Addresses of several audiences together, as few as can be: a small audience does not cost a frame of its own. An audience
 * that fills frames by itself uses its ready ones.
 */
export function addressesOf(audiences: readonly Audience[], outlet: Outlet): Address[] {
  const [only] = audiences;
  if (only && audiences.length === 1) return only.addresses();
  const addresses: Address[] = [];
  let ids: number[] = [];
  for (const audience of audiences) {
    if (audience.size >= outlet.maxTargets) {
      addresses.push(...audience.addresses());
      continue;
    }
    for (const client of audience.members) {
      ids.push(client.id);
      if (ids.length === outlet.maxTargets) {
        addresses.push(outlet.address(ids));
        ids = [];
      }
    }
  }
  if (ids.length > 0) addresses.push(outlet.address(ids));
  return addresses;
}
