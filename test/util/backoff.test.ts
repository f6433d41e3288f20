import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backoff } from "../../src/util/backoff.js";

const take = (wait: { next(): number }, count: number) => Array.from({ length: count }, () => wait.next());

describe("backoff", () => {
  test("waits double from the first to the last, and stay there", () => {
    assert.deepEqual(take(backoff(500, 10_000), 8), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  test("after a reset they start again from the first", () => {
    const wait = backoff(2, 250);
    take(wait, 5);
    wait.reset();
    assert.deepEqual(take(wait, 3), [2, 4, 8]);
  });

  test("has one delay if the first and the last are equal", () => {
    assert.deepEqual(take(backoff(7, 7), 3), [7, 7, 7]);
  });

  test("with jitter each wait is shortened by up to a half", () => {
    const random = [0, 0.5, 1, 0.25];
    const wait = backoff(100, 1000, () => random.shift() ?? 0);
    assert.deepEqual(take(wait, 5), [100, 150, 200, 700, 1000]);
  });
});
