import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readTtl } from "../../src/protocol/ttl.js";

describe("readTtl", () => {
  test("takes whole seconds, as a number or in digits, and durations", () => {
    assert.deepEqual([5, "5", "5s", "10m", "250ms", "7d"].map(readTtl), [5000, 5000, 5000, 600_000, 250, 604_800_000]);
  });

  test("refuses everything else, and says what it takes", () => {
    for (const wrong of [1.5, 1e300, "", "1.5", "-1", "1h30m", "9".repeat(30), true, null, {}, ["5"]]) {
      assert.throws(() => readTtl(wrong), /whole number of seconds, or a duration such as "90s", "10m" or "24h"/);
    }
  });
});
