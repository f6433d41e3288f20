/**
 * Finds the values (audiences) whose selectors select a topic. The cost of a publication depends on its receivers, not on the number of others:
 * - an exact topic is one lookup, whatever the number of topics;
 * - each distinct pattern exists once, and is tried once on a topic; the matching patterns of the last topics are remembered, and updated when
 *   patterns are added (only these are tried) or removed;
 * - if all receivers are in one set (all of them selected `*`, or one topic), the list of that set is returned without a copy.
 *
 * A new topic costs a try of every pattern that can match it (pattern-index.ts): 0.1 to 0.5 us for a simple one, and MAX_STEP_COUNT steps
 * (nfa-matcher.ts), a millisecond, for the worst one. All tries together are limited by the budget, and the patterns of the cheapest values are
 * tried first. takeUntried() returns the values that may have missed a topic. Untried patterns are remembered with the topic, and tried when it
 * is published again, or when a test of testOf() needs them.
 */

import { GenerationCache } from "../util/generation-cache.js";
import { type Budget, UNLIMITED } from "./match-budget.js";
import { PatternTable } from "./pattern-table.js";
import { compile, type Selector, textOf } from "./selector.js";
import { costOf, ExactTopics, PatternSubscribers, type SubscriberEntry, SubscriberSet } from "./subscriber-set.js";
import { tryAll } from "./trial-order.js";

/** Topics whose matching patterns are remembered. */
const REMEMBERED_TOPICS = 200_000;

/** The patterns that match a topic, as of its last query. */
interface Memory<T> {
  patterns: readonly PatternSubscribers<T>[];
  /** All patterns up to this age have been tried. */
  tried: number;
  /** PatternTable.removed at that time. */
  removed: number;
  /** Patterns up to that age that the budget did not permit to try. */
  untried: PatternSubscribers<T>[];
  /** The value of #resumed when no active value needed the untried patterns; -1 = unknown. */
  idle: number;
}

/**
 * Remembered pairs of a topic and a pattern: without a limit, ten thousand subscribers to patterns that match everything would exhaust the memory.
 * Beyond it all memories are dropped; topics that the cache dropped before still count.
 */
const MAX_REMEMBERED_MATCHES = 1_000_000;

const NONE: readonly never[] = [];

export class TopicIndex<T> {
  readonly #base: string;
  readonly #entries = new Map<T, SubscriberEntry<T>>();
  readonly #any = new SubscriberSet<T>();
  readonly #exact = new ExactTopics<T>();
  readonly #patterns: PatternTable<T>;
  readonly #budget: Budget;
  readonly #remembered: GenerationCache<Memory<T>>;
  /** Sets found by the present query; a new list for each query would cost more than the query. */
  readonly #found: SubscriberSet<T>[] = [];
  #rememberedMatches = 0;
  #queries = 0;
  /** Incremented when a pattern that no value needed may be needed again. */
  #resumed = 0;
  /** Values with patterns that are not paused. */
  readonly #active = new Set<SubscriberEntry<T>>();
  /** Patterns that the budget did not permit to try in this query; whether it permitted no search at all for a topic; values that may be missing. */
  #skipped: PatternSubscribers<T>[] = [];
  #isSpent = false;
  #untried: T[] = [];

  /** `base` is the hub's absolute URL; `budget` limits each query; `remembered` is an even number of topics. */
  constructor(base: string, budget: Budget = UNLIMITED, remembered = REMEMBERED_TOPICS) {
    this.#base = base;
    this.#patterns = new PatternTable(base);
    this.#budget = budget;
    this.#remembered = new GenerationCache(remembered);
  }

  /** Distinct values. */
  get size(): number {
    return this.#entries.size;
  }

  /** Distinct exact topics. */
  get topics(): number {
    return this.#exact.size;
  }

  /** Distinct templates and URL patterns. */
  get patterns(): number {
    return this.#patterns.size;
  }

  /** Cost of all distinct patterns: see PatternSubscribers.cost. */
  get cost(): number {
    return this.#patterns.cost;
  }

  /** Topics whose matching patterns are remembered. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /**
   * Adds a value for topics that one of the selectors selects. A value that is added twice must be removed twice. Throws what compile() throws,
   * before anything is added. Returns the cost of its patterns.
   */
  add(selectors: readonly Selector[], value: T): number {
    let cost = 0;
    for (const selector of selectors) cost += costOf(compile(selector, this.#base));
    if (selectors.length === 0) return 0;
    const entry = this.#entries.get(value) ?? { value, references: 0, lastQuery: 0, cost: 0, paused: false };
    entry.cost += cost;
    this.#entries.set(value, entry);
    if (entry.cost > 0 && !entry.paused) this.#active.add(entry);
    for (const selector of selectors) {
      (this.#setOf(selector) ?? this.#addSet(selector)).add(entry);
      this.#resumed++;
      entry.references++;
    }
    return cost;
  }

  /** Reverts one add() with the same selectors. A TypeError if there was none. */
  remove(selectors: readonly Selector[], value: T): void {
    for (const selector of selectors) {
      const entry = this.#entries.get(value);
      const set = this.#setOf(selector);
      if (!entry || !set) throw new TypeError("a value is removed that was not added with this selector");
      set.remove(entry);
      if (set.values.length === 0) this.#drop(selector, set);
      entry.references--;
      if (set instanceof PatternSubscribers) entry.cost -= set.cost;
      if (entry.cost === 0) this.#active.delete(entry);
      if (entry.references === 0) this.#entries.delete(value);
    }
  }

  /**
   * The values whose selectors select one of the topics, each once, in no particular order. The array may belong to the index: the caller must not
   * change it, and it is valid only until the next add() or remove().
   */
  matching(topics: readonly string[]): readonly T[] {
    if (this.#exact.size === 0 && this.#patterns.size === 0) return this.#any.values;
    const found = this.#find(topics);
    if (this.#skipped.length > 0 || this.#isSpent) this.#defer(found);
    const [first] = found;
    const values = found.length > 1 ? this.#union(found) : (first?.values ?? NONE);
    found.length = 0;
    return values;
  }

  /** The sets of the values: mostly one. */
  #find(topics: readonly string[]): SubscriberSet<T>[] {
    const found = this.#found;
    if (this.#any.values.length > 0) found.push(this.#any);
    for (const topic of topics) {
      const exact = this.#exact.get(topic);
      if (exact && found[0] !== exact) found.push(exact);
      if (this.#active.size === 0) continue;
      for (const pattern of this.#matchingPatterns(topic)) if (found[0] !== pattern) found.push(pattern);
    }
    return found;
  }

  #union(sets: readonly SubscriberSet<T>[]): T[] {
    const query = ++this.#queries;
    const values: T[] = [];
    for (const { entries } of sets) {
      for (const entry of entries) {
        if (entry.lastQuery === query) continue;
        entry.lastQuery = query;
        values.push(entry.value);
      }
    }
    return values;
  }

  /** Values that the last queries may have missed, each once. Empty unless the budget was spent. */
  takeUntried(): readonly T[] {
    const untried = this.#untried;
    if (untried.length > 0) this.#untried = [];
    return untried;
  }

  /** Until resume() its patterns need not be tried: its publications are found in the history. */
  pause(value: T): void {
    this.#pause(value, true);
  }

  resume(value: T): void {
    this.#resumed++;
    this.#pause(value, false);
  }

  #pause(value: T, paused: boolean): void {
    const entry = this.#entries.get(value);
    if (!entry) return;
    entry.paused = paused;
    if (paused) this.#active.delete(entry);
    else if (entry.cost > 0) this.#active.add(entry);
  }

  /** The cost that new selectors would add. */
  costOf(selectors: readonly Selector[]): number {
    return selectors.reduce((sum, it) => sum + (this.#setOf(it) ? 0 : costOf(compile(it, this.#base))), 0);
  }

  /** A test whether a pattern of the index selects a topic: from memory, if it was tried on that topic. */
  testOf(selector: Selector): (topic: string) => boolean {
    const pattern = this.#patterns.get(textOf(selector));
    return pattern ? (topic) => this.#recall(pattern, topic) : compile(selector, this.#base);
  }

  #recall(pattern: PatternSubscribers<T>, topic: string): boolean {
    const memory = this.#remembered.get(topic);
    if (!memory || pattern.age > memory.tried) return pattern.matches(topic);
    const at = memory.untried.indexOf(pattern);
    if (at < 0) return memory.patterns.includes(pattern);
    const isMatch = pattern.matches(topic);
    const last = memory.untried.pop();
    if (last && last !== pattern) memory.untried[at] = last;
    if (isMatch) memory.patterns = [...memory.patterns, pattern];
    return isMatch;
  }

  /** Notes the values with untried patterns that no other selector has found. */
  #defer(found: readonly SubscriberSet<T>[]): void {
    const query = ++this.#queries;
    for (const { entries } of found) for (const entry of entries) entry.lastQuery = query;
    const missed = this.#isSpent ? [this.#active] : this.#skipped.map(({ entries }) => entries);
    for (const entries of missed) {
      for (const entry of entries) {
        if (entry.paused || entry.lastQuery === query) continue;
        entry.lastQuery = query;
        this.#untried.push(entry.value);
      }
    }
    this.#skipped = [];
    this.#isSpent = false;
  }

  #matchingPatterns(topic: string): readonly PatternSubscribers<T>[] {
    const known = this.#remembered.get(topic);
    if (known && this.#isComplete(known)) return known.patterns;
    this.#isSpent ||= this.#budget.left <= 0;
    if (this.#isSpent) return known?.patterns ?? NONE; // the budget does not even permit to search for patterns that can match
    const { removed } = this.#patterns;
    const memory = known ?? { patterns: NONE, tried: 0, removed, untried: [], idle: -1 };
    this.#refresh(memory, topic);
    if (!known) this.#remembered.set(topic, memory);
    return memory.patterns;
  }

  #isComplete({ tried, removed, untried, idle }: Memory<T>): boolean {
    if (tried !== this.#patterns.age || removed !== this.#patterns.removed) return false;
    return untried.length === 0 || idle === this.#resumed;
  }

  /** Drops removed patterns, and tries new ones and untried ones. */
  #refresh(memory: Memory<T>, topic: string): void {
    const links = memory.patterns.length + memory.untried.length;
    const left = memory.patterns.filter(isInUse);
    const waiting = [...memory.untried.filter(isInUse), ...this.#patterns.since(memory.tried, topic)];
    const untried = tryAll(waiting, topic, this.#budget, left);
    for (const pattern of untried) this.#skipped.push(pattern);
    this.#rememberedMatches += left.length + untried.length - links;
    if (this.#rememberedMatches > MAX_REMEMBERED_MATCHES) this.#forget();
    memory.patterns = left.length > 0 ? left : NONE;
    memory.untried = untried;
    memory.idle = this.#budget.left > 0 ? this.#resumed : -1;
    memory.tried = this.#patterns.age;
    memory.removed = this.#patterns.removed;
  }

  #setOf(selector: Selector): SubscriberSet<T> | undefined {
    if (selector.kind === "any") return this.#any;
    return selector.kind === "exact" ? this.#exact.get(selector.value) : this.#patterns.get(textOf(selector));
  }

  #addSet(selector: Selector): SubscriberSet<T> {
    if (selector.kind === "any") return this.#any;
    if (selector.kind === "exact") return this.#exact.open(selector.value);
    return this.#patterns.add(textOf(selector), compile(selector, this.#base));
  }

  /** Removes a selector without values. Topics that remember it drop it at their next query. */
  #drop(selector: Selector, set: SubscriberSet<T>): void {
    if (selector.kind === "exact") this.#exact.close();
    if (!(set instanceof PatternSubscribers)) return;
    this.#patterns.remove(textOf(selector), set);
    if (this.#patterns.size === 0) this.#forget();
  }

  #forget(): void {
    this.#remembered.clear();
    this.#rememberedMatches = 0;
  }
}

const isInUse = <T>({ values }: PatternSubscribers<T>): boolean => values.length > 0;
