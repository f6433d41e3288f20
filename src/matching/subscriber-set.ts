/** The values of a topic index: one set for each distinct selector. */

import type { Matcher } from "./matcher.js";
import type { Indexed, RequiredLiteral } from "./pattern-index.js";

/** A value, which belongs to the sets of its selectors. */
export interface SubscriberEntry<T> {
  readonly value: T;
  /** How often it was added to sets. */
  references: number;
  /** The last query that returned it: each query returns it once. */
  lastQuery: number;
  /** Cost of all its patterns: see PatternSubscribers.cost. */
  cost: number;
  /** Its clients read from the history: its patterns need not be tried. */
  paused: boolean;
}

/** Up to this number of entries are searched one by one; more have a table. */
const MAX_LISTED_ENTRIES = 8;

/**
 * The values of one selector, in a dense array. Most sets have one value (the topic of one user), and 100,000 of them are common: a table and
 * arrays with capacity for more, 500 bytes of each set, are allocated when they are needed.
 */
export class SubscriberSet<T> {
  values: T[] = [];
  entries: SubscriberEntry<T>[] = [];
  /** How often each entry was added. */
  #times: number[] = [];
  /** Positions of the entries, above MAX_LISTED_ENTRIES. */
  #slots: Map<SubscriberEntry<T>, number> | undefined;

  add(entry: SubscriberEntry<T>): void {
    const slot = this.#slotOf(entry);
    if (slot >= 0) {
      this.#times[slot] = (this.#times[slot] ?? 0) + 1;
      return;
    }
    if (this.entries.length === 0) {
      // An array literal has capacity for one entry; push() allocates 17.
      this.values = [entry.value];
      this.entries = [entry];
      this.#times = [1];
      return;
    }
    this.#slots?.set(entry, this.entries.length);
    this.values.push(entry.value);
    this.entries.push(entry);
    this.#times.push(1);
    if (this.entries.length === MAX_LISTED_ENTRIES + 1)
      this.#slots = new Map(this.entries.map((it, slot) => [it, slot]));
  }

  /** The last entry takes its place. A TypeError if the entry is not in the set. */
  remove(entry: SubscriberEntry<T>): void {
    const slot = this.#slotOf(entry);
    const times = this.#times[slot];
    if (times === undefined) throw new TypeError("a value is removed that was not added with this selector");
    if (times > 1) {
      this.#times[slot] = times - 1;
      return;
    }
    const [value, last, lastTimes] = [this.values.pop(), this.entries.pop(), this.#times.pop()];
    this.#slots?.delete(entry);
    if (this.entries.length === 0) this.#slots = undefined;
    if (last === entry || last === undefined) return;
    this.values[slot] = value as T;
    this.entries[slot] = last;
    this.#times[slot] = lastTimes as number;
    this.#slots?.set(last, slot);
  }

  #slotOf(entry: SubscriberEntry<T>): number {
    return this.#slots ? (this.#slots.get(entry) ?? -1) : this.entries.indexOf(entry);
  }
}

/** A template or URL pattern, and the values that selected it. */
export class PatternSubscribers<T> extends SubscriberSet<T> implements Indexed {
  readonly matches: Matcher;
  readonly needs: readonly RequiredLiteral[];
  lastQuery = 0;
  list: Indexed[] | undefined;
  position = 0;
  /** Steps that a character of a topic can cost, and PATTERN_COST. */
  readonly cost: number;
  /** Rises from one pattern to the next. */
  readonly age: number;

  constructor(matches: Matcher, age: number) {
    super();
    this.matches = matches;
    this.needs = matches.needs ?? [];
    this.cost = costOf(matches);
    this.age = age;
  }
}

/** Fixed cost of a pattern: its memory, and a try. */
const PATTERN_COST_UNITS = 16;

/** Cost of a selector: its states and PATTERN_COST; 0 for an exact topic. */
export const costOf = ({ cost }: Matcher): number => (cost === undefined ? 0 : cost + PATTERN_COST_UNITS);

/** Empty sets that are kept, besides a quarter of the others. */
const MAX_EMPTY_SETS = 1_000;

/**
 * The sets of exact topics. A set that becomes empty is kept for a while: in V8 a deleted key stays in its chain of the hash table until the table
 * is rebuilt, so a topic that is added and removed repeatedly in a table of 100,000 (by a client that reconnects) soon costs 0.5 ms each time.
 */
export class ExactTopics<T> {
  #sets = new Map<string, SubscriberSet<T>>();
  #emptySets = 0;

  /** Topics with values. */
  get size(): number {
    return this.#sets.size - this.#emptySets;
  }

  get(topic: string): SubscriberSet<T> | undefined {
    const set = this.#sets.get(topic);
    return set === undefined || set.values.length === 0 ? undefined : set;
  }

  /** The set of a topic without values; the caller adds one. */
  open(topic: string): SubscriberSet<T> {
    const kept = this.#sets.get(topic);
    if (kept) {
      this.#emptySets--;
      return kept;
    }
    const set = new SubscriberSet<T>();
    this.#sets.set(topic, set);
    return set;
  }

  /** A set has become empty. */
  close(): void {
    this.#emptySets++;
    if (this.#emptySets < MAX_EMPTY_SETS + this.size / 4) return;
    this.#sets = new Map([...this.#sets].filter(([, { values }]) => values.length > 0));
    this.#emptySets = 0;
  }
}
