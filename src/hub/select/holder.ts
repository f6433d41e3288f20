/** Where a topic index keeps values: one place for each distinct selector. */
import type { Matcher } from "../selector.js";
import type { Filed, Need } from "./shortlist.js";

/** A value, wherever it is held. */
export interface Entry<T> {
  readonly value: T;
  /** Number of holders, each counted as often as it was told to hold it. */
  held: number;
  /** The query that last took it: each value is taken once. */
  taken: number;
}

/** The values of one selector, in a dense array. */
export class Holder<T> {
  readonly values: T[] = [];
  readonly entries: Entry<T>[] = [];
  readonly #slots = new Map<Entry<T>, { index: number; times: number }>();

  add(entry: Entry<T>): void {
    const slot = this.#slots.get(entry);
    if (slot) {
      slot.times++;
      return;
    }
    this.#slots.set(entry, { index: this.values.length, times: 1 });
    this.values.push(entry.value);
    this.entries.push(entry);
  }

  /** The last one takes its place. A TypeError if it is not here. */
  remove(entry: Entry<T>): void {
    const slot = this.#slots.get(entry);
    if (!slot) throw new TypeError("a value is removed that was not added with this selector");
    slot.times--;
    if (slot.times > 0) return;
    this.#slots.delete(entry);
    const lastValue = this.values.pop() as T;
    const lastEntry = this.entries.pop() as Entry<T>;
    if (lastEntry === entry) return;
    this.values[slot.index] = lastValue;
    this.entries[slot.index] = lastEntry;
    (this.#slots.get(lastEntry) as { index: number }).index = slot.index;
  }
}

/** A template or URL pattern, and who asked for it. */
export class Pattern<T> extends Holder<T> implements Filed {
  readonly matches: Matcher;
  readonly needs: readonly Need[];
  asked = 0;
  /** Rises from one pattern to the next. */
  readonly age: number;

  constructor(matches: Matcher, age: number) {
    super();
    this.matches = matches;
    this.needs = matches.needs ?? [];
    this.age = age;
  }
}

/** So many holders may be empty, and a quarter of the others. */
const VACANT = 1_000;

/**
 * The holders of exact topics. One that becomes empty is kept for a while: in V8 a deleted key stays in its chain of the hash
 * table until the table is made anew, so that a topic that comes and goes in a table of 100,000 (a client that reconnects,
 * again and again) soon costs 0.5 ms each time.
 */
export class ExactTopics<T> {
  #holders = new Map<string, Holder<T>>();
  #vacant = 0;

  /** Topics that somebody wants. */
  get size(): number {
    return this.#holders.size - this.#vacant;
  }

  get(topic: string): Holder<T> | undefined {
    const holder = this.#holders.get(topic);
    return holder === undefined || holder.values.length === 0 ? undefined : holder;
  }

  /** The holder of a topic that has none that is in use; whoever asks fills it. */
  open(topic: string): Holder<T> {
    const kept = this.#holders.get(topic);
    if (kept) {
      this.#vacant--;
      return kept;
    }
    const holder = new Holder<T>();
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
