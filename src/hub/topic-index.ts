/**
 * Who wants a topic: values (audiences) by their selectors. What a publication costs is meant to depend on who gets it, not on
 * how many others there are:
 * - an exact topic is one look-up, however many are held;
 * - each distinct pattern is held once, and tried once for a topic; which patterns match is remembered for the topics that
 *   were published last, and stays right when patterns come (only those are tried) and go (they are dropped);
 * - if all who want a publication are found in one place (all of them follow `*`, or one topic), the list that is kept there
 *   is the answer: nothing is copied.
 *
 * A topic seen for the first time costs a try of every pattern that can match it (shortlist.ts): 0.1 to 0.5 us for each one
 * that is simple, and MAX_STEPS (machine.ts) for the worst that a stranger can send, well below a millisecond.
 */

import { Recent } from "../util/recent.js";
import { type Entry, ExactTopics, Holder, Pattern } from "./select/holder.js";
import { Shortlist } from "./select/shortlist.js";
import { partOfTopic } from "./select/urlpattern.js";
import { compile, type Selector, textOf } from "./selector.js";

/** Topics of which it is remembered what patterns they match. */
const REMEMBERED = 200_000;

/** A topic that is known is tried on up to so many new patterns one by one: looking for those that can match costs as much. */
const FEW = 8;

/** The patterns that match a topic, as of when it was last asked for. */
interface Memory<T> {
  patterns: readonly Pattern<T>[];
  /** All patterns up to this age have been tried. */
  tried: number;
  /** How many patterns had been removed by then. */
  removed: number;
}

/**
 * Matches of topics and patterns that are remembered, all together: without a bound, ten thousand subscribers to patterns that
 * match everything would fill the memory. Past it everything is forgotten; what was forgotten before still counts.
 */
const LINKS = 1_000_000;

const NOBODY: readonly never[] = [];

export class TopicIndex<T> {
  readonly #base: string;
  readonly #entries = new Map<T, Entry<T>>();
  readonly #any = new Holder<T>();
  readonly #exact = new ExactTopics<T>();
  readonly #byText = new Map<string, Pattern<T>>();
  /** All patterns, oldest first. */
  readonly #patterns: Pattern<T>[] = [];
  readonly #shortlist = new Shortlist<Pattern<T>>();
  readonly #remembered: Recent<Memory<T>>;
  /** Of one query; a list of its own for each would cost more than the query. */
  readonly #found: Holder<T>[] = [];
  #links = 0;
  #age = 0;
  #removed = 0;
  #queries = 0;

  /** `base` is the hub's URL, absolute; `remembered` an even number of topics. */
  constructor(base: string, remembered = REMEMBERED) {
    this.#base = base;
    this.#remembered = new Recent(remembered);
  }

  /** Values held, each counted once. */
  get size(): number {
    return this.#entries.size;
  }

  /** Distinct exact topics. */
  get topics(): number {
    return this.#exact.size;
  }

  /** Distinct templates and URL patterns. */
  get patterns(): number {
    return this.#patterns.length;
  }

  /** Topics of which it is remembered what patterns they match. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /**
   * Adds a value for topics that one of the selectors selects. What is added twice must be removed twice. Throws what
   * compile() throws, before anything is added.
   */
  add(selectors: readonly Selector[], value: T): void {
    for (const selector of selectors) compile(selector, this.#base);
    if (selectors.length === 0) return;
    const entry = this.#entries.get(value) ?? { value, held: 0, taken: 0 };
    this.#entries.set(value, entry);
    for (const selector of selectors) {
      (this.#holder(selector) ?? this.#newHolder(selector)).add(entry);
      entry.held++;
    }
  }

  /** Takes back one add() with the same selectors. A TypeError if there was none. */
  remove(selectors: readonly Selector[], value: T): void {
    for (const selector of selectors) {
      const entry = this.#entries.get(value);
      const holder = this.#holder(selector);
      if (!entry || !holder) throw new TypeError("a value is removed that was not added with this selector");
      holder.remove(entry);
      if (holder.values.length === 0) this.#drop(selector, holder);
      entry.held--;
      if (entry.held === 0) this.#entries.delete(value);
    }
  }

  /**
   * The values that want one of the topics, each once, in no order to rely on. The array may be one that the index goes on
   * using: it is not to be changed, and holds only until the next add() or remove().
   */
  matching(topics: readonly string[]): readonly T[] {
    if (this.#exact.size === 0 && this.#patterns.length === 0) return this.#any.values;
    const found = this.#find(topics);
    const [first] = found;
    const values = found.length > 1 ? this.#union(found) : (first?.values ?? NOBODY);
    found.length = 0;
    return values;
  }

  /** Where the values are: mostly in one place, and then only once in the list. */
  #find(topics: readonly string[]): Holder<T>[] {
    const found = this.#found;
    if (this.#any.values.length > 0) found.push(this.#any);
    for (const topic of topics) {
      const exact = this.#exact.get(topic);
      if (exact && found[0] !== exact) found.push(exact);
      if (this.#patterns.length === 0) continue;
      for (const pattern of this.#matchingPatterns(topic)) if (found[0] !== pattern) found.push(pattern);
    }
    return found;
  }

  #union(holders: readonly Holder<T>[]): T[] {
    const query = ++this.#queries;
    const values: T[] = [];
    for (const { entries } of holders) {
      for (const entry of entries) {
        if (entry.taken === query) continue;
        entry.taken = query;
        values.push(entry.value);
      }
    }
    return values;
  }

  #matchingPatterns(topic: string): readonly Pattern<T>[] {
    const known = this.#remembered.get(topic);
    if (known && known.tried === this.#age && known.removed === this.#removed) return known.patterns;
    const memory = known ?? { patterns: NOBODY, tried: 0, removed: this.#removed };
    this.#refresh(memory, topic);
    if (!known) this.#remembered.set(topic, memory);
    return memory.patterns;
  }

  /** Drops patterns that are gone, and tries those that came since. */
  #refresh(memory: Memory<T>, topic: string): void {
    const left = memory.patterns.filter((pattern) => pattern.values.length > 0);
    const untried = this.#age - memory.tried > FEW ? this.#candidates(topic) : this.#newest(memory.tried);
    for (const pattern of untried) if (pattern.age > memory.tried && pattern.matches(topic)) left.push(pattern);
    this.#links += left.length - memory.patterns.length;
    if (this.#links > LINKS) this.#forget();
    memory.patterns = left.length > 0 ? left : NOBODY;
    memory.tried = this.#age;
    memory.removed = this.#removed;
  }

  #candidates(topic: string): Iterable<Pattern<T>> {
    return this.#shortlist.candidates((form) => (form === "text" ? topic : partOfTopic(form, topic, this.#base)));
  }

  /** All patterns that are younger, and a few more. */
  #newest(age: number): Iterable<Pattern<T>> {
    return this.#patterns.slice(-Math.max(1, this.#age - age));
  }

  #holder(selector: Selector): Holder<T> | undefined {
    if (selector.kind === "any") return this.#any;
    return selector.kind === "exact" ? this.#exact.get(selector.value) : this.#byText.get(textOf(selector));
  }

  #newHolder(selector: Selector): Holder<T> {
    if (selector.kind === "any") return this.#any;
    if (selector.kind === "exact") return this.#exact.open(selector.value);
    const pattern = new Pattern<T>(compile(selector, this.#base), ++this.#age);
    this.#byText.set(textOf(selector), pattern);
    this.#patterns.push(pattern);
    this.#shortlist.add(pattern);
    return pattern;
  }

  /** Forgets a selector that nobody has any more. Topics that remember it let go of it when they are next asked for. */
  #drop(selector: Selector, holder: Holder<T>): void {
    if (selector.kind === "exact") this.#exact.close();
    if (!(holder instanceof Pattern)) return;
    this.#byText.delete(textOf(selector));
    this.#patterns.splice(this.#patterns.indexOf(holder), 1);
    this.#shortlist.remove(holder);
    this.#removed++;
    if (this.#patterns.length === 0) this.#forget();
  }

  #forget(): void {
    this.#remembered.clear();
    this.#links = 0;
  }
}
