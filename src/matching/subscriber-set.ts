/** Where a topic index keeps values: one place for each distinct selector. */

import type { Matcher } from "./matcher.js";
import type { Indexed, RequiredLiteral } from "./pattern-index.js";

/** A value, wherever it is held. */
export interface Entry<T> {
  readonly value: T;
  /** Number of holders, each counted as often as it was told to hold it. */
  held: number;
  /** The query that last took it: each value is taken once. */
  taken: number;
  /** What all its patterns cost: see Pattern.cost. */
  cost: number;
  /** Its clients read from history: its patterns need not be tried. */
  paused: boolean;
}

/** Up to so many entries are looked through; more have a table. */
const FEW = 8;

/**
 * The values of one selector, in a dense array. Most have one (a topic that is one user's own), and 100,000 of those are common: what a
 * table and arrays with room for more would take, 500 bytes of each, is made when it is needed.
 */
export class SubscriberSet<T> {
  values: T[] = [];
  entries: Entry<T>[] = [];
  /** How often each entry was added. */
  #times: number[] = [];
  /** Where the entries are, when there are more than a few. */
  #slots: Map<Entry<T>, number> | undefined;

  add(entry: Entry<T>): void {
    const slot = this.#slotOf(entry);
    if (slot >= 0) {
      this.#times[slot] = (this.#times[slot] ?? 0) + 1;
      return;
    }
    if (this.entries.length === 0) {
      // An array that is written so has room for one; push() makes room for 17.
      this.values = [entry.value];
      this.entries = [entry];
      this.#times = [1];
      return;
    }
    this.#slots?.set(entry, this.entries.length);
    this.values.push(entry.value);
    this.entries.push(entry);
    this.#times.push(1);
    if (this.entries.length === FEW + 1) this.#slots = new Map(this.entries.map((it, slot) => [it, slot]));
  }

  /** The last one takes its place. A TypeError if it is not here. */
  remove(entry: Entry<T>): void {
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

  #slotOf(entry: Entry<T>): number {
    return this.#slots ? (this.#slots.get(entry) ?? -1) : this.entries.indexOf(entry);
  }
}

/** A template or URL pattern, and who asked for it. */
export class PatternSubscribers<T> extends SubscriberSet<T> implements Indexed {
  readonly matches: Matcher;
  readonly needs: readonly RequiredLiteral[];
  asked = 0;
  filed: Indexed[] | undefined;
  at = 0;
  /** How much a character of a topic can cost, in steps; and something for the pattern itself. */
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

/** What a pattern costs that has one state: the memory it needs, and a try. */
const PATTERN_COST = 16;

/** What a selector costs: its states, and PATTERN_COST; an exact topic nothing. */
export const costOf = ({ cost }: Matcher): number => (cost === undefined ? 0 : cost + PATTERN_COST);

/** So many holders may be empty, and a quarter of the others. */
const VACANT = 1_000;

/**
 * The holders of exact topics. One that becomes empty is kept for a while: in V8 a deleted key stays in its chain of the hash
 * table until the table is made anew, so that a topic that comes and goes in a table of 100,000 (a client that reconnects,
 * again and again) soon costs 0.5 ms each time.
 */
export class ExactTopics<T> {
  #holders = new Map<string, SubscriberSet<T>>();
  #vacant = 0;

  /** Topics that somebody wants. */
  get size(): number {
    return this.#holders.size - this.#vacant;
  }

  get(topic: string): SubscriberSet<T> | undefined {
    const holder = this.#holders.get(topic);
    return holder === undefined || holder.values.length === 0 ? undefined : holder;
  }

  /** The holder of a topic that has none that is in use; whoever asks fills it. */
  open(topic: string): SubscriberSet<T> {
    const kept = this.#holders.get(topic);
    if (kept) {
      this.#vacant--;
      return kept;
    }
    const holder = new SubscriberSet<T>();
    this.#holders.set(topic, holder);
    return holder;
  }

  /** One holder more is empty. */
  close(): void {
    this.#vacant++;
    if (this.#vacant < VACANT + this.size / 4) return;
    this.#holders = new Map([...this.#holders].filter(([, { values }]) => values.length > 0));
    this.#vacant = 0;
  }
}
