import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { firstIndex } from "../../src/util/first-index.js";

describe("firstIndex", () => {
  test("is the index that a linear search finds", () => {
    const sorted = fc.array(fc.nat(20), { maxLength: 30 }).map((values) => values.sort((a, b) => a - b));
    fc.assert(
      fc.property(sorted, fc.nat(5), fc.nat(21), (values, low, wanted) => {
        const from = Math.min(low, values.length);
        const linear = values.findIndex((value, at) => at >= from && value >= wanted);
        const found = firstIndex(from, values.length, (at) => (values[at] as number) < wanted);
        assert.equal(found, linear < 0 ? values.length : linear);
      }),
    );
  });
});
