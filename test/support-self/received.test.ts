/** The reading of what a client received: repetitions are counted, and nothing else passes for one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertOnce, readReceived } from "../support/received.js";

describe("what a client received", () => {
  test("counts repetitions, and keeps the order", () => {
    assert.deepEqual(readReceived([1, 2, 3]), { once: [1, 2, 3], repeated: 0 });
    assert.deepEqual(readReceived([1, 2, 3, 2, 3, 4]), { once: [1, 2, 3, 4], repeated: 2 });
    assert.deepEqual(readReceived([1, 2, 2, 1, 2, 3]), { once: [1, 2, 3], repeated: 3 });
    assert.deepEqual(readReceived([]), { once: [], repeated: 0 });
  });

  test("may not go on before a repetition is through, nor end within one, nor leave a part of it out", () => {
    assert.throws(() => readReceived([1, 2, 3, 2, 4]), /4 is new, but the events after 2 were not repeated first/);
    assert.throws(() => readReceived([1, 2, 3, 1]), /ends within a repetition, after 1/);
    assert.throws(() => readReceived([1, 2, 3, 1, 3, 1]), /ends within/);
  });

  test("is held against a list in which nothing may come twice", () => {
    assertOnce([1, 2, 3]);
    assert.throws(() => assertOnce([1, 2, 1]), /received twice/);
  });
});
