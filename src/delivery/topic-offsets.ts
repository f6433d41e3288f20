/**
 * The index of topics: the offsets of the stored events of each topic, whether it is the canonical one or an alternate. Nothing is kept
 * until the first question: then the stored events are read once, in slices, and from then on each publication updates the index. A daemon
 * that is never asked pays nothing for it (docs/decisions/0055-an-index-of-topics.md has the figures).
 *
 * The index knows which events were stored, not which may still be read: an event that was removed or has expired stays an entry until it
 * is trimmed. Who needs the event reads it, and goes on to the entry before where it is not there any more.
 */
import type { TopicRules } from "../matching/topic-rules.js";
import type { Publication } from "../protocol/publication.js";
import { firstIndex } from "../util/first-index.js";
import { SortedTexts } from "../util/sorted-texts.js";
import type { History } from "./history.js";

/** Events read in one turn of the event loop: about 1 ms. */
const PAGE_EVENTS = 250;
const PAGE_BYTES = 1_000_000;
/** Topics that are sorted in one turn: about 1 ms. */
const SORTED_TOPIC_COUNT = 250;
/** Topics that are examined for each one that is added: a round is over before half as many were added as there are. */
const EXAMINED_TOPIC_COUNT = 2;
/** Entries of one topic from which on trimmed ones are removed before all of them are. */
const MIN_PRUNED_ENTRIES = 16;

/** An event of a topic as one number: its offset times FLAGS_FACTOR, and flags. */
type Entry = number;
const FLAGS_FACTOR = 8;
const PRIVATE_FLAG = 1;
/** The topic is not the canonical one of the event. */
const ALTERNATE_FLAG = 2;
/** It expires at some time. */
const EXPIRY_FLAG = 4;

const offsetOf = (entry: Entry): number => Math.floor(entry / FLAGS_FACTOR);

/** One event of a topic. */
export interface TopicEntry {
  readonly offset: number;
  readonly isPrivate: boolean;
  /** The topic is the first of the event. */
  readonly isCanonical: boolean;
  /** The event may have expired or been removed since: it must be read. */
  readonly mayBeGone: boolean;
}

/** What the index needs of a publication. */
type Indexed = Pick<Publication, "topics" | "offset" | "private" | "expiresAt">;

/** What is known of a topic; `id` undefined = it has no stored event. */
export interface NewestEvent {
  readonly id: string | undefined;
}

type Rules = Pick<TopicRules, "keeps" | "keepsLast" | "hasLimits">;

export class TopicOffsets {
  readonly #history: Pick<History, "last" | "floor" | "read">;
  readonly #rules: Rules | undefined;
  /**
   * By rising offset; undefined = the stored events were not read yet. Most topics have one event, so a number takes the place of a list of
   * one. Entries at or below the floor may remain for a while.
   */
  #entries: Map<string, Entry | Entry[]> | undefined;
  #building: Promise<void> | undefined;
  /** Events up to this offset may have been removed after they were added. */
  #removedThrough = 0;
  /** Incremented by reset(): what is being read then is dropped. */
  #generation = 0;
  /** The topics; undefined = nobody has asked for topics by their beginning. Incomplete while #sorting is set. */
  #sorted: SortedTexts | undefined;
  #sorting: Promise<void> | undefined;
  /** The present round of #prune(). */
  #round: IterableIterator<[string, Entry | Entry[]]> | undefined;

  /** `rules`: topics whose newest event is kept below the floor, and limits of topics; absent = there are none. */
  constructor(history: Pick<History, "last" | "floor" | "read">, rules?: Rules) {
    this.#history = history;
    this.#rules = rules;
  }

  /** Topics that are held; a few may be those of trimmed events. */
  get size(): number {
    return this.#entries?.size ?? 0;
  }

  /**
   * Undefined: the index can be asked in this tick. Otherwise a promise after which the caller asks again; it rejects where the stored
   * events cannot be read.
   */
  ready(): Promise<void> | undefined {
    if (this.#entries) return undefined;
    this.#building ??= this.#readAll().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  /** The stored events of a topic, the newest first. Nothing before ready(). */
  *newestFirst(topic: string): Iterable<TopicEntry> {
    let entry = this.newest(topic);
    for (; entry; entry = this.newest(topic, entry.offset - 1)) yield entry;
  }

  /** The newest stored event of a topic up to the offset `through`; undefined = there is none, or the index is not ready(). */
  newest(topic: string, through = Number.POSITIVE_INFINITY): TopicEntry | undefined {
    const held = this.#entries?.get(topic);
    if (held === undefined) return undefined;
    if (typeof held === "number") return offsetOf(held) <= through ? this.#visible(topic, held, true) : undefined;
    const at = countThrough(held, through) - 1;
    return at >= 0 ? this.#visible(topic, held[at] as Entry, at === held.length - 1) : undefined;
  }

  /** Undefined for a trimmed event, unless it is the newest one of its topic and kept. */
  #visible(topic: string, entry: Entry, isNewest: boolean): TopicEntry | undefined {
    const offset = offsetOf(entry);
    if (offset <= this.#history.floor && !(isNewest && this.#rules?.keepsLast(topic))) return undefined;
    const flags = entry % FLAGS_FACTOR;
    return {
      offset,
      isPrivate: (flags & PRIVATE_FLAG) !== 0,
      isCanonical: (flags & ALTERNATE_FLAG) === 0,
      mayBeGone: this.#rules?.hasLimits === true || (flags & EXPIRY_FLAG) !== 0 || offset <= this.#removedThrough,
    };
  }

  /** Whether an event is one of the newest `count` stored ones of a topic; Infinity = all. Only after ready(). */
  isAmongNewest(topic: string, offset: number, count: number): boolean {
    if (count === Number.POSITIVE_INFINITY) return true;
    const held = this.#entries?.get(topic);
    if (typeof held === "number") return offsetOf(held) <= offset;
    if (held === undefined || held.length < count) return held !== undefined;
    return offsetOf(held[held.length - count] as Entry) <= offset;
  }

  /** As ready(), for withPrefix(). */
  sorted(): Promise<void> | undefined {
    const building = this.ready();
    if (building || (this.#sorted && !this.#sorting)) return building;
    this.#sorting ??= this.#sortAll().finally(() => {
      this.#sorting = undefined;
    });
    return this.#sorting;
  }

  /** At most `most` topics that begin with a prefix, in order, above `after`. A few may be those of trimmed events. Only after sorted(). */
  withPrefix(prefix: string, after: string, most: number): readonly string[] {
    return this.#sorted?.withPrefix(prefix, after, most) ?? [];
  }

  /**
   * The newest stored event whose canonical topic this is, as of this tick: the caller publishes in the same one. A promise as ready(). A
   * TypeError where the history answers later, as in a cluster.
   */
  newestOf(topic: string): NewestEvent | Promise<void> {
    const building = this.ready();
    if (building) return building;
    for (const { offset, isCanonical } of this.newestFirst(topic)) {
      const id = isCanonical ? this.#idAt(offset) : undefined;
      if (id !== undefined) return { id };
    }
    return { id: undefined };
  }

  #idAt(offset: number): string | undefined {
    const page = this.#history.read(offset - 1, { through: offset, maxBytes: 1, most: 1, kept: true });
    if (page instanceof Promise) throw new TypeError("the history of a cluster answers too late for a condition");
    return page.publications[0]?.id;
  }

  /** A publication was stored. Called in the tick in which that happens. */
  published(publication: Indexed): void {
    const entries = this.#entries;
    if (!entries) return;
    add(entries, publication, this.#history.floor, this.#sorted);
    this.#prune(entries, EXAMINED_TOPIC_COUNT * publication.topics.length);
  }

  /** A kept event is gone: its topics have none any more, unless they have a newer one. */
  dropped(topics: readonly string[], offset: number): void {
    for (const topic of topics) {
      const held = this.#entries?.get(topic);
      const newest = typeof held === "number" ? held : held?.at(-1);
      if (newest !== undefined && offsetOf(newest) === offset) this.#forget(topic);
    }
  }

  /** Some of the events up to this offset were removed. */
  removed(through: number): void {
    this.#removedThrough = through;
  }

  /** Stored events are not what they were (some were discarded, or a new epoch begins): the next question reads them again. */
  reset(): void {
    this.#generation++;
    this.#entries = undefined;
    this.#removedThrough = 0;
    this.#sorted = undefined;
    this.#round = undefined;
  }

  async #readAll(): Promise<void> {
    const generation = this.#generation;
    const entries = new Map<string, Entry | Entry[]>();
    const history = this.#history;
    const lowest = () => (this.#rules?.keeps ? 0 : history.floor);
    for (let after = lowest(); after < history.last; ) {
      const page = await history.read(after, {
        ...{ through: history.last, maxBytes: PAGE_BYTES, most: PAGE_EVENTS },
        ...{ kept: true, hidden: true },
      });
      if (generation !== this.#generation) return;
      for (const publication of page.publications) add(entries, publication, history.floor);
      after = Math.max(page.through, after + 1, lowest());
      if (after < history.last) await new Promise((resolve) => setImmediate(resolve));
    }
    // No publication came between the last read and this line, which the loop's condition has compared.
    if (generation === this.#generation) this.#entries = entries;
  }

  /** Topics that are added meanwhile come last in the map, and those that are removed leave both. */
  async #sortAll(): Promise<void> {
    const generation = this.#generation;
    const sorted = new SortedTexts();
    this.#sorted = sorted;
    let count = 0;
    for (const topic of this.#entries?.keys() ?? []) {
      sorted.add(topic);
      if (++count % SORTED_TOPIC_COUNT > 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      if (generation !== this.#generation) return;
    }
  }

  /** Examines the topics in rounds, and removes the entries of trimmed events: at most as many remain as there are others. */
  #prune(entries: Map<string, Entry | Entry[]>, steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.#round ??= entries.entries();
      const { value, done } = this.#round.next();
      if (done) this.#round = undefined;
      else this.#pruneTopic(entries, ...(value as [string, Entry | Entry[]]));
    }
  }

  #pruneTopic(entries: Map<string, Entry | Entry[]>, topic: string, held: Entry | Entry[]): void {
    const { floor } = this.#history;
    const newest = typeof held === "number" ? held : (held.at(-1) as Entry);
    if (offsetOf(newest) > floor) {
      if (typeof held !== "number") dropTrimmed(held, floor);
      return;
    }
    if (!this.#rules?.keepsLast(topic)) this.#forget(topic);
    else if (typeof held !== "number") entries.set(topic, newest);
  }

  #forget(topic: string): void {
    this.#entries?.delete(topic);
    this.#sorted?.delete(topic);
  }
}

/** A trimmed event that was kept gives way to a newer one. */
function add(
  entries: Map<string, Entry | Entry[]>,
  { topics, offset, private: isPrivate, expiresAt }: Indexed,
  floor: number,
  sorted?: SortedTexts,
): void {
  const expiry = expiresAt === undefined ? 0 : EXPIRY_FLAG;
  const canonical = offset * FLAGS_FACTOR + (isPrivate ? PRIVATE_FLAG : 0) + expiry;
  for (let at = 0; at < topics.length; at++) {
    const topic = topics[at] as string;
    const entry = at === 0 ? canonical : canonical + ALTERNATE_FLAG;
    const held = entries.get(topic);
    if (held === undefined) {
      entries.set(topic, entry);
      sorted?.add(topic);
    } else if (typeof held !== "number") push(held, entry);
    else if (offsetOf(held) !== offset) entries.set(topic, offsetOf(held) > floor ? [held, entry] : entry);
  }
}

/** An event may name a topic twice. */
function push(entries: Entry[], entry: Entry): void {
  if (offsetOf(entries.at(-1) as Entry) !== offsetOf(entry)) entries.push(entry);
}

/** Once most of the entries are those of trimmed events: so an entry is moved once on average. */
function dropTrimmed(entries: Entry[], floor: number): void {
  if (entries.length < MIN_PRUNED_ENTRIES || offsetOf(entries[entries.length >> 1] as Entry) > floor) return;
  entries.splice(0, countThrough(entries, floor));
}

/** Entries up to an offset. */
function countThrough(entries: readonly Entry[], through: number): number {
  return firstIndex(0, entries.length, (at) => offsetOf(entries[at] as Entry) <= through);
}
