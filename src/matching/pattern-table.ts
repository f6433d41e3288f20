/** All distinct patterns of a topic index: by text, by age, and by the literal text that a topic must contain. */

import type { Matcher } from "./matcher.js";
import { PatternIndex } from "./pattern-index.js";
import { PatternSubscribers } from "./subscriber-set.js";
import { partOfTopic } from "./url-pattern.js";

/** Up to this number of new patterns are tried on a known topic one by one: searching the index would cost as much. */
const MAX_LISTED_PATTERNS = 8;

export class PatternTable<T> {
  readonly #base: string;
  readonly #byText = new Map<string, PatternSubscribers<T>>();
  readonly #byAge = new Map<number, PatternSubscribers<T>>();
  readonly #index = new PatternIndex<PatternSubscribers<T>>();
  #age = 0;
  #removed = 0;
  #cost = 0;

  /** `base` is the hub's URL. */
  constructor(base: string) {
    this.#base = base;
  }

  get size(): number {
    return this.#byAge.size;
  }

  /** The age of the newest pattern so far; ages rise. */
  get age(): number {
    return this.#age;
  }

  /** Patterns removed so far. */
  get removed(): number {
    return this.#removed;
  }

  /** Cost of all patterns: see PatternSubscribers.cost. */
  get cost(): number {
    return this.#cost;
  }

  get(text: string): PatternSubscribers<T> | undefined {
    return this.#byText.get(text);
  }

  add(text: string, matcher: Matcher): PatternSubscribers<T> {
    const pattern = new PatternSubscribers<T>(matcher, ++this.#age);
    this.#byText.set(text, pattern);
    this.#byAge.set(pattern.age, pattern);
    this.#index.add(pattern);
    this.#cost += pattern.cost;
    return pattern;
  }

  remove(text: string, pattern: PatternSubscribers<T>): void {
    this.#byText.delete(text);
    this.#byAge.delete(pattern.age);
    this.#index.remove(pattern);
    this.#cost -= pattern.cost;
    this.#removed++;
  }

  /** Patterns above an age that may match a topic. */
  since(age: number, topic: string): PatternSubscribers<T>[] {
    return this.#age - age > MAX_LISTED_PATTERNS
      ? this.#candidates(topic).filter((it) => it.age > age)
      : this.#newest(age);
  }

  #candidates(topic: string): PatternSubscribers<T>[] {
    return this.#index.candidates((form) => (form === "text" ? topic : partOfTopic(form, topic, this.#base)));
  }

  #newest(age: number): PatternSubscribers<T>[] {
    const newest: PatternSubscribers<T>[] = [];
    for (let at = age + 1; at <= this.#age; at++) {
      const pattern = this.#byAge.get(at);
      if (pattern) newest.push(pattern);
    }
    return newest;
  }
}
