/** History in memory: the newest publications, found by binary search. Ends with the process. */
import { randomBytes } from "node:crypto";
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, History, HistoryPage, KeepPolicy, ReadOptions } from "../../delivery/history.js";
import { type KeyLimits, RecentKeys } from "../../delivery/recent-keys.js";
import { type AppliedRemovals, RemovalPass, Removals } from "../../delivery/removals.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import type { KeyEntry } from "../../protocol/stored-key.js";
import type { Clock } from "../../util/clock.js";
import { firstIndex } from "../../util/first-index.js";
import { CustomIds } from "../custom-ids.js";
import { AgeIndex } from "../lmdb/age-index.js";
import { offsetsBetween } from "../lmdb/read-blocks.js";
import { KeptEvents } from "./kept-events.js";

export interface HistoryLimits {
  /** Limit of publications; the oldest beyond it are trimmed. */
  readonly maxEvents: number;
  /** Limit of the time since an append, milliseconds. */
  readonly maxAge: number;
  /** Limit of the wire bytes. */
  readonly maxBytes: number;
  /** Absent = DEFAULT_KEY_LIMITS. */
  readonly keys?: KeyLimits;
}

/** What is left of the bytes of a removed publication: it keeps its place in the list, and its id. */
const REMOVED_BYTES = Buffer.alloc(0);
/** Publications that one slice of a removal examines: 1 ms. */
const REMOVAL_SLICE_EVENTS = 5000;

/** A random name of a new epoch: 6 characters of [a-z0-9]. */
export function newEpoch(): string {
  return BigInt(`0x${randomBytes(8).toString("hex")}`)
    .toString(36)
    .padStart(6, "0")
    .slice(-6);
}

export class MemoryHistory implements History {
  readonly epoch: string;
  readonly #limits: HistoryLimits;
  readonly #clock: Clock;
  readonly #ages: AgeIndex;
  /** Rising offsets; the first #trimmed entries are empty, and are removed from time to time instead of at each trim. */
  #publications: (Publication | undefined)[] = [];
  #trimmedCount = 0;
  #last: number;
  #floor: number;
  #bytes = 0;
  readonly #ids = new CustomIds();
  readonly #keys: RecentKeys;
  readonly #kept = new KeptEvents();
  #keepPolicy: KeepPolicy | undefined;
  readonly removals = new Removals();
  #hasFinal = false;
  readonly #removalPass = new RemovalPass(this.removals, { remove: (...slice) => this.#remove(...slice) });
  #notifyRepeatedId: (topic: string) => void = () => {};

  /** `last`: the offset before the first append. */
  constructor(bounds: HistoryLimits, clock: Clock, { epoch = newEpoch(), last = 0 } = {}) {
    this.#limits = bounds;
    this.#clock = clock;
    this.#ages = new AgeIndex(bounds.maxAge, clock.monotonic());
    this.epoch = epoch;
    this.#keys = new RecentKeys(bounds.keys);
    this.#last = last;
    this.#floor = last;
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  get last(): number {
    return this.#last;
  }

  get floor(): number {
    return this.#floor;
  }

  get count(): number {
    return this.#publications.length - this.#trimmedCount;
  }

  get keptCount(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(publication: Publication): undefined {
    const { offset, id, topics, bytes, storedKey } = publication;
    if (offset <= this.#last) throw new TypeError(`offset ${offset} is not above ${this.#last}`);
    this.#last = offset;
    if (publication.removes) {
      this.removals.add(publication);
      this.#removalPass.start();
      return;
    }
    this.#publications.push(publication);
    if (publication.isFinal) this.#hasFinal = true;
    this.#bytes += bytes.length;
    if (storedKey !== undefined) this.#keys.add(storedKey, this.epoch, offset, this.#clock.monotonic());
    if (offsetOf(this.epoch, id) === undefined && this.#ids.add(id, offset)) this.#notifyRepeatedId(topics[0] ?? "");
    this.#trim();
  }

  get hasFinal(): boolean {
    return this.#hasFinal;
  }

  commit(): void {}

  keep(policy: KeepPolicy): void {
    this.#keepPolicy = policy;
  }

  read(after: number, options: ReadOptions): HistoryPage {
    if (options.kept && after < this.#floor) {
      const end = Math.min(options.through, this.#floor);
      return fillPage(this.#kept.read(after, end), after, end, options);
    }
    const { only, through } = options;
    const publications = only
      ? this.#publicationsAt(offsetsBetween(only, after, through))
      : this.#publicationsFrom(this.#indexAfter(after));
    return fillPage(publications, after, this.#last, options);
  }

  *#publicationsAt(offsets: readonly number[]): Iterable<Publication> {
    for (const offset of offsets) {
      const publication = this.#publications[this.#indexAfter(offset - 1)];
      if (publication?.offset === offset && publication.bytes !== REMOVED_BYTES) yield publication;
    }
  }

  *#publicationsFrom(index: number): Iterable<Publication> {
    for (let at = index; at < this.#publications.length; at++) {
      const publication = this.#publications[at];
      if (publication && publication.bytes !== REMOVED_BYTES) yield publication;
    }
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#notifyRepeatedId = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined {
    const offset = offsetOf(this.epoch, id) ?? this.#ids.find(id, which);
    const isStored = offset !== undefined && this.#publications[this.#indexAfter(offset - 1)]?.offset === offset;
    return isStored ? offset : this.#kept.find(id);
  }

  findKey(hash: string): KeyEntry | undefined {
    return this.#keys.find(hash, this.#clock.monotonic());
  }

  async close(): Promise<void> {
    this.#removalPass.close();
  }

  #remove(applied: AppliedRemovals, after: number): number {
    if (after < this.#floor)
      return this.#kept.remove((it) => applied.has(it), after, REMOVAL_SLICE_EVENTS) ?? this.#floor;
    const first = this.#indexAfter(after);
    const end = Math.min(first + REMOVAL_SLICE_EVENTS, this.#publications.length);
    for (let at = first; at < end; at++) {
      const publication = this.#publications[at];
      if (!publication || !applied.has(publication)) continue;
      this.#bytes -= publication.bytes.length;
      this.#publications[at] = { ...publication, topics: [], bytes: REMOVED_BYTES };
    }
    return end < this.#publications.length ? (this.#publications[end - 1]?.offset ?? after) : applied.through;
  }

  #trim(): void {
    const { maxEvents, maxBytes } = this.#limits;
    const policy = this.#keepPolicy?.isNeeded ? this.#keepPolicy : undefined;
    if (policy?.isReady === false) return;
    const now = this.#clock.monotonic();
    this.#ages.sample(this.#last, now);
    const expired = this.#ages.expiredOffset(now, this.#clock.now());
    for (let first = this.#publications[this.#trimmedCount]; first; first = this.#publications[this.#trimmedCount]) {
      const isWithin = this.count <= maxEvents && this.#bytes <= maxBytes && first.offset > expired;
      if (isWithin) break;
      this.#publications[this.#trimmedCount++] = undefined;
      this.#bytes -= first.bytes.length;
      this.#floor = first.offset;
      this.#ids.remove(first.id, first.offset);
      if (policy) this.#kept.add(first, policy, this.#clock.now());
    }
    if (this.#trimmedCount < 1024 || this.#trimmedCount < this.#publications.length / 2) return;
    this.#publications = this.#publications.slice(this.#trimmedCount);
    this.#trimmedCount = 0;
  }

  /** Index of the first publication above an offset. */
  #indexAfter(offset: number): number {
    const { length } = this.#publications;
    return firstIndex(this.#trimmedCount, length, (at) => (this.#publications[at]?.offset ?? 0) <= offset);
  }
}
