/** In which order patterns are tried on a topic when there is not time for all: those of the cheapest streams first. */

import { type Budget, TRY_UNITS, tryWithin } from "./match-budget.js";
import { MAX_STEPS } from "./nfa-matcher.js";
import type { PatternSubscribers } from "./subscriber-set.js";

/** To put a pattern in its place, units of work. */
const ORDER_UNITS = 5;

/** Adds those that match a topic to `matching`; returns those for which there was no time, or which nobody needs now. */
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

/** Whether trying all of them on a topic may cost more than so many units. Each state can cost a step a character. */
function mayExceed<T>(patterns: readonly PatternSubscribers<T>[], topic: string, units: number): boolean {
  let left = units;
  const length = topic.length + 2;
  for (const { cost } of patterns) {
    left -= Math.min(MAX_STEPS, cost * length) + TRY_UNITS;
    if (left < 0) return true;
  }
  return false;
}

/**
 * The same patterns, those that the cheapest streams ask for first. Sorted by powers of two: streams that differ less are
 * treated alike, and it takes no longer than looking at each once.
 */
function cheapestFirst<T>(patterns: readonly PatternSubscribers<T>[]): PatternSubscribers<T>[] {
  const classes: PatternSubscribers<T>[][] = [];
  for (const pattern of patterns) {
    const rank = Math.ceil(Math.log2(1 + cheapest(pattern)));
    classes[rank] ??= [];
    classes[rank].push(pattern);
  }
  return classes.flat();
}

/** What the cheapest stream that asks for a pattern costs with all its patterns. */
function cheapest<T>({ entries }: PatternSubscribers<T>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { cost } of entries) least = Math.min(least, cost);
  return least;
}

/** Whether all who ask for it read from history at present. */
function isPaused<T>({ entries }: PatternSubscribers<T>): boolean {
  return entries.every((entry) => entry.paused);
}
