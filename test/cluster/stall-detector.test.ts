import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StallDetector } from "../../src/cluster/stall-detector.js";

/** The numbers of the checks that report a stall. */
function found(detector: StallDetector, looks: number, last: number, end: number): number[] {
  return Array.from({ length: looks }, (_, look) => look).filter(() => detector.isStalled(last, end));
}

describe("StallDetector", () => {
  test("a consumer that has everything, or makes progress, is not stalled", () => {
    const detector = new StallDetector();
    assert.deepEqual(found(detector, 100, 7, 7), []);
    for (let last = 8; last < 100; last++) assert.equal(detector.isStalled(last, 1000), false);
  });

  test("a message counts as missing only at the check after the one that saw it in the stream", () => {
    const detector = new StallDetector();
    assert.deepEqual(found(detector, 2, 7, 7), []);
    assert.equal(detector.isStalled(7, 8), false);
    assert.equal(detector.isStalled(7, 8), true);
  });

  test("each report without progress doubles the checks before the next, until a message arrives", () => {
    const detector = new StallDetector();
    assert.deepEqual(found(detector, 20, 7, 8), [1, 3, 7, 15]);
    detector.isStalled(8, 9);
    assert.deepEqual(found(detector, 4, 8, 9), [0, 2]);
  });

  test("a stall is reported every 128 checks at least", () => {
    const detector = new StallDetector();
    const at = found(detector, 2000, 7, 8);
    assert.equal((at.at(-1) ?? 0) - (at.at(-2) ?? 0), 128);
  });
});
