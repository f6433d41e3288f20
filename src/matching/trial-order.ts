/** Tries patterns on a topic within a budget: those of the cheapest streams first if it does not suffice for all. */

import { type Budget, TRY_UNITS, tryWithin } from "./match-budget.js";
import { MAX_STEP_COUNT } from "./nfa-matcher.js";
import type { PatternSubscribers } from "./subscriber-set.js";

/** Cost of sorting one pattern. */
const ORDER_UNITS = 5;

/** Adds the patterns that match a topic to `matching`; returns those that the budget does not permit to try, or that no active value needs. */
export function tryAll<T>(
  patterns: readonly PatternSubscribers<T>[],
  topic: string,
  budget: Budget,
  matching: PatternSubscribers<T>[],
): PatternSubscribers<T>[] {
  const isTight = mayExceed(patterns, topic, budget.left);
  if (isTight) budget.left -= patterns.length * ORDER_UNITS;
  const untried: PatternSubscribers<T>[] = [];
  for (const pattern of isTight ? cheapestFirst(patterns) : patterns) {
    if (budget.left <= 0 || (isTight && isPaused(pattern))) untried.push(pattern);
    else if (tryWithin(budget, pattern.matches, topic)) matching.push(pattern);
  }
  return untried;
}

/** Whether trying all of them on a topic may cost more than `units`. Each state can cost one step for each character. */
function mayExceed<T>(patterns: readonly PatternSubscribers<T>[], topic: string, units: number): boolean {
  let left = units;
  const length = topic.length + 2;
  for (const { cost } of patterns) {
    left -= Math.min(MAX_STEP_COUNT, cost * length) + TRY_UNITS;
    if (left < 0) return true;
  }
  return false;
}

/** The same patterns, those of the cheapest streams first. Costs are compared by powers of two, which takes one pass. */
function cheapestFirst<T>(patterns: readonly PatternSubscribers<T>[]): PatternSubscribers<T>[] {
  const classes: PatternSubscribers<T>[][] = [];
  for (const pattern of patterns) {
    const rank = Math.ceil(Math.log2(1 + cheapest(pattern)));
    classes[rank] ??= [];
    classes[rank].push(pattern);
  }
  return classes.flat();
}

/** Cost of all patterns of the cheapest stream that selected this one. */
function cheapest<T>({ entries }: PatternSubscribers<T>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { cost } of entries) least = Math.min(least, cost);
  return least;
}

/** Whether all values that selected the pattern are paused. */
function isPaused<T>({ entries }: PatternSubscribers<T>): boolean {
  return entries.every((entry) => entry.paused);
}
