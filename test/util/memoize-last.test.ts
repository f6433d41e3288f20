/** What was made last. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoizeLast } from "../../src/util/memoize-last.js";

describe("memoizeLast", () => {
  test("a repeated key is computed once; another key, or an earlier one, again", () => {
    const made: string[] = [];
    const upper = memoizeLast(({ text }: { text: string }) => {
      made.push(text);
      return text.toUpperCase();
    });
    const [a, b] = [{ text: "a" }, { text: "b" }];
    assert.deepEqual([upper(a), upper(a), upper(b), upper(a), upper({ text: "a" })], ["A", "A", "B", "A", "A"]);
    assert.deepEqual(made, ["a", "b", "a", "a"]);
  });
});
