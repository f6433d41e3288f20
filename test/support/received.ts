/**
 * What a client received, read as a list. A daemon that was killed may send again what was under way: then the list goes back
 * to an event that the client has, and repeats from there what it received, in the same order, before anything new.
 */
import assert from "node:assert/strict";

export interface Received<T> {
  /** Each event once, in the order of its first arrival. */
  readonly once: readonly T[];
  /** How many came again. */
  readonly repeated: number;
}

/** Splits a list into what came and how much of it was repeated; fails where a repetition is not one of the list's own end. */
export function readReceived<T>(received: readonly T[]): Received<T> {
  const places = new Map<T, number>();
  const once: T[] = [];
  let next = 0;
  for (const event of received) {
    const place = places.get(event);
    if (place === undefined) {
      assert.equal(
        next,
        once.length,
        `${event} is new, but the events after ${once[next - 1]} were not repeated first`,
      );
      places.set(event, once.length);
      once.push(event);
    }
    next = (place ?? once.length - 1) + 1;
  }
  assert.equal(next, once.length, `the list ends within a repetition, after ${once[next - 1]}`);
  return { once, repeated: received.length - once.length };
}

/** Fails unless the list holds no event twice, wherever the second one stands. */
export function assertOnce<T>(received: readonly T[], what = "received"): void {
  const seen = new Set<T>();
  const twice = received.filter((event) => seen.size === seen.add(event).size);
  assert.deepEqual(twice, [], `${what} twice`);
}
