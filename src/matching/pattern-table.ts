/** All distinct patterns of a topic index: by their text, by their age, and by what a topic must have in it to match. */

import type { Matcher } from "./matcher.js";
import { PatternIndex } from "./pattern-index.js";
import { PatternSubscribers } from "./subscriber-set.js";
import { partOfTopic } from "./url-pattern.js";

/** A topic that is known is tried on up to so many new patterns one by one: looking for those that can match costs as much. */
const FEW = 8;

export class PatternTable<T> {
  readonly #base: string;
  readonly #byText = new Map<string, PatternSubscribers<T>>();
  readonly #byAge = new Map<number, PatternSubscribers<T>>();
  readonly #shortlist = new PatternIndex<PatternSubscribers<T>>();
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

  /** The age of the youngest that there ever was; ages rise. */
  get age(): number {
    return this.#age;
  }

  /** How many were removed. */
  get removed(): number {
    return this.#removed;
  }

  /** What all of them cost together: see Pattern.cost. */
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
    this.#shortlist.add(pattern);
    this.#cost += pattern.cost;
    return pattern;
  }

  remove(text: string, pattern: PatternSubscribers<T>): void {
    this.#byText.delete(text);
    this.#byAge.delete(pattern.age);
    this.#shortlist.remove(pattern);
    this.#cost -= pattern.cost;
    this.#removed++;
  }

  /** Those younger than an age that may match a topic. */
  since(age: number, topic: string): PatternSubscribers<T>[] {
    return this.#age - age > FEW ? this.#candidates(topic).filter((it) => it.age > age) : this.#newest(age);
  }

  #candidates(topic: string): PatternSubscribers<T>[] {
    return this.#shortlist.candidates((form) => (form === "text" ? topic : partOfTopic(form, topic, this.#base)));
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
