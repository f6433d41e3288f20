import assert from "node:assert/strict";
import { test } from "node:test";
import { StallDetector } from "../../src/cluster/stall-detector.js";

/** Which of so many looks call for a new beginning. */
function found(standstill: StallDetector, looks: number, last: number, end: number): number[] {
  return Array.from({ length: looks }, (_, look) => look).filter(() => standstill.isStalled(last, end));
}

test("what has everything, or moves, does not stand still", () => {
  const standstill = new StallDetector();
  assert.deepEqual(found(standstill, 100, 7, 7), []);
  for (let last = 8; last < 100; last++) assert.equal(standstill.isStalled(last, 1000), false);
});

test("what has just been stored is on its way: it must have been there at the look before", () => {
  const standstill = new StallDetector();
  assert.deepEqual(found(standstill, 2, 7, 7), []);
  assert.equal(standstill.isStalled(7, 8), false);
  assert.equal(standstill.isStalled(7, 8), true);
});

test("where beginning anew does not help it is tried less and less, until something comes", () => {
  const standstill = new StallDetector();
  assert.deepEqual(found(standstill, 20, 7, 8), [1, 3, 7, 15]);
  standstill.isStalled(8, 9);
  assert.deepEqual(found(standstill, 4, 8, 9), [0, 2]);
});

test("it is tried every 128 looks at least", () => {
  const standstill = new StallDetector();
  const at = found(standstill, 2000, 7, 8);
  assert.equal((at.at(-1) ?? 0) - (at.at(-2) ?? 0), 128);
});
