/**
 * Who wants a topic: values (audiences) by their selectors. What a publication costs is meant to depend on who gets it, not on
 * how many others there are:
 * - an exact topic is one look-up, however many are held;
 * - each distinct pattern is held once, and tried once for a topic; which patterns match is remembered for the topics that
 *   were published last, and stays right when patterns come (only those are tried) and go (they are dropped);
 * - if all who want a publication are found in one place (all of them follow `*`, or one topic), the list that is kept there
 *   is the answer: nothing is copied.
 *
 * A topic seen for the first time costs a try of every pattern that can match it (pattern-index.ts): 0.1 to 0.5 us for each one
 * that is simple, and MAX_STEPS (nfa-matcher.ts) for the worst that a stranger can send, a millisecond. All of them together may
 * cost what the budget has: those of the cheapest values are tried first. Which values want a topic for which there was no
 * time, takeUntried() tells. What was not tried is remembered with the topic, and tried when it is published again, or when
 * test() asks for it.
 */

import { GenerationCache } from "../util/generation-cache.js";
import { type Budget, UNLIMITED } from "./match-budget.js";
import { PatternTable } from "./pattern-table.js";
import { compile, type Selector, textOf } from "./selector.js";
import { costOf, type Entry, ExactTopics, PatternSubscribers, SubscriberSet } from "./subscriber-set.js";
import { tryAll } from "./trial-order.js";

/** Topics of which it is remembered what patterns they match. */
const REMEMBERED = 200_000;

/** The patterns that match a topic, as of when it was last asked for. */
interface Memory<T> {
  patterns: readonly PatternSubscribers<T>[];
  /** All patterns up to this age have been tried. */
  tried: number;
  /** How many patterns had been removed by then. */
  removed: number;
  /** Those up to that age for which there was no time. */
  untried: PatternSubscribers<T>[];
  /** Nobody needed them when so much had been resumed. */
  idle: number;
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
  readonly #any = new SubscriberSet<T>();
  readonly #exact = new ExactTopics<T>();
  readonly #patterns: PatternTable<T>;
  readonly #budget: Budget;
  readonly #remembered: GenerationCache<Memory<T>>;
  /** Of one query; a list of its own for each would cost more than the query. */
  readonly #found: SubscriberSet<T>[] = [];
  #links = 0;
  #queries = 0;
  /** Counts whatever may make somebody need a pattern again that nobody needed. */
  #resumed = 0;
  /** Those who have patterns and are not paused. */
  readonly #awake = new Set<Entry<T>>();
  /** Patterns that this query had no time for; whether it had none at all for a topic; and the values that it may have missed. */
  #skipped: PatternSubscribers<T>[] = [];
  #isSpent = false;
  #untried: T[] = [];

  /** `base` is the hub's URL, absolute; `budget` what a query may still spend; `remembered` an even number of topics. */
  constructor(base: string, budget: Budget = UNLIMITED, remembered = REMEMBERED) {
    this.#base = base;
    this.#patterns = new PatternTable(base);
    this.#budget = budget;
    this.#remembered = new GenerationCache(remembered);
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
    return this.#patterns.size;
  }

  /** What all distinct patterns cost together: see Pattern.cost. */
  get cost(): number {
    return this.#patterns.cost;
  }

  /** Topics of which it is remembered what patterns they match. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /**
   * Adds a value for topics that one of the selectors selects. What is added twice must be removed twice. Throws what
   * compile() throws, before anything is added. Returns what its patterns cost together.
   */
  add(selectors: readonly Selector[], value: T): number {
    let cost = 0;
    for (const selector of selectors) cost += costOf(compile(selector, this.#base));
    if (selectors.length === 0) return 0;
    const entry = this.#entries.get(value) ?? { value, held: 0, taken: 0, cost: 0, paused: false };
    entry.cost += cost;
    this.#entries.set(value, entry);
    if (entry.cost > 0 && !entry.paused) this.#awake.add(entry);
    for (const selector of selectors) {
      (this.#holder(selector) ?? this.#newHolder(selector)).add(entry);
      this.#resumed++;
      entry.held++;
    }
    return cost;
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
      if (holder instanceof PatternSubscribers) entry.cost -= holder.cost;
      if (entry.cost === 0) this.#awake.delete(entry);
      if (entry.held === 0) this.#entries.delete(value);
    }
  }

  /**
   * The values that want one of the topics, each once, in no order to rely on. The array may be one that the index goes on
   * using: it is not to be changed, and holds only until the next add() or remove().
   */
  matching(topics: readonly string[]): readonly T[] {
    if (this.#exact.size === 0 && this.#patterns.size === 0) return this.#any.values;
    const found = this.#find(topics);
    if (this.#skipped.length > 0 || this.#isSpent) this.#defer(found);
    const [first] = found;
    const values = found.length > 1 ? this.#union(found) : (first?.values ?? NOBODY);
    found.length = 0;
    return values;
  }

  /** Where the values are: mostly in one place, and then only once in the list. */
  #find(topics: readonly string[]): SubscriberSet<T>[] {
    const found = this.#found;
    if (this.#any.values.length > 0) found.push(this.#any);
    for (const topic of topics) {
      const exact = this.#exact.get(topic);
      if (exact && found[0] !== exact) found.push(exact);
      if (this.#awake.size === 0) continue;
      for (const pattern of this.#matchingPatterns(topic)) if (found[0] !== pattern) found.push(pattern);
    }
    return found;
  }

  #union(holders: readonly SubscriberSet<T>[]): T[] {
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

  /** Values that the last queries may have missed, and asks for them only once. Empty but where the budget was spent. */
  takeUntried(): readonly T[] {
    const untried = this.#untried;
    if (untried.length > 0) this.#untried = [];
    return untried;
  }

  /** Until resume() its patterns need not be tried: somebody else finds out what it wants. */
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
    if (paused) this.#awake.delete(entry);
    else if (entry.cost > 0) this.#awake.add(entry);
  }

  /** What selectors would cost that are not here yet. */
  costOf(selectors: readonly Selector[]): number {
    return selectors.reduce((sum, it) => sum + (this.#holder(it) ? 0 : costOf(compile(it, this.#base))), 0);
  }

  /** What tells whether a topic is selected by a pattern that is here: from memory, if it was tried on that topic. */
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

  /** Whose patterns were not tried, and who was not found by another one. */
  #defer(found: readonly SubscriberSet<T>[]): void {
    const query = ++this.#queries;
    for (const { entries } of found) for (const entry of entries) entry.taken = query;
    const missed = this.#isSpent ? [this.#awake] : this.#skipped.map(({ entries }) => entries);
    for (const entries of missed) {
      for (const entry of entries) {
        if (entry.paused || entry.taken === query) continue;
        entry.taken = query;
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
    if (this.#isSpent) return known?.patterns ?? NOBODY; // not even looking for those that can match is paid for
    const { removed } = this.#patterns;
    const memory = known ?? { patterns: NOBODY, tried: 0, removed, untried: [], idle: -1 };
    this.#refresh(memory, topic);
    if (!known) this.#remembered.set(topic, memory);
    return memory.patterns;
  }

  #isComplete({ tried, removed, untried, idle }: Memory<T>): boolean {
    if (tried !== this.#patterns.age || removed !== this.#patterns.removed) return false;
    return untried.length === 0 || idle === this.#resumed;
  }

  /** Drops patterns that are gone, and tries those that came since and those that were not tried before. */
  #refresh(memory: Memory<T>, topic: string): void {
    const links = memory.patterns.length + memory.untried.length;
    const left = memory.patterns.filter(isHeld);
    const waiting = [...memory.untried.filter(isHeld), ...this.#patterns.since(memory.tried, topic)];
    const untried = tryAll(waiting, topic, this.#budget, left);
    for (const pattern of untried) this.#skipped.push(pattern);
    this.#links += left.length + untried.length - links;
    if (this.#links > LINKS) this.#forget();
    memory.patterns = left.length > 0 ? left : NOBODY;
    memory.untried = untried;
    memory.idle = this.#budget.left > 0 ? this.#resumed : -1;
    memory.tried = this.#patterns.age;
    memory.removed = this.#patterns.removed;
  }

  #holder(selector: Selector): SubscriberSet<T> | undefined {
    if (selector.kind === "any") return this.#any;
    return selector.kind === "exact" ? this.#exact.get(selector.value) : this.#patterns.get(textOf(selector));
  }

  #newHolder(selector: Selector): SubscriberSet<T> {
    if (selector.kind === "any") return this.#any;
    if (selector.kind === "exact") return this.#exact.open(selector.value);
    return this.#patterns.add(textOf(selector), compile(selector, this.#base));
  }

  /** Forgets a selector that nobody has any more. Topics that remember it let go of it when they are next asked for. */
  #drop(selector: Selector, holder: SubscriberSet<T>): void {
    if (selector.kind === "exact") this.#exact.close();
    if (!(holder instanceof PatternSubscribers)) return;
    this.#patterns.remove(textOf(selector), holder);
    if (this.#patterns.size === 0) this.#forget();
  }

  #forget(): void {
    this.#remembered.clear();
    this.#links = 0;
  }
}

const isHeld = <T>({ values }: PatternSubscribers<T>): boolean => values.length > 0;
