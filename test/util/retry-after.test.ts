import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { retryDelayMs } from "../../src/util/retry-after.js";

describe("Retry-After", () => {
  test("is seconds or a date", () => {
    const now = Date.UTC(2026, 0, 1);
    const delays = ["120", undefined, "soon"].map((header) => retryDelayMs(header, now));
    assert.deepEqual(delays, [120_000, 0, 0]);
    assert.equal(retryDelayMs("Thu, 01 Jan 2026 00:00:30 GMT", now), 30_000);
    assert.equal(retryDelayMs("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
  });
});
