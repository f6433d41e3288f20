import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { abbreviate, abbreviateAll, abbreviateList } from "../../src/util/abbreviate.js";

describe("abbreviate", () => {
  test("leaves a short text as it is and shows the beginning of a long one", () => {
    assert.equal(abbreviate("abc", 3), "abc");
    assert.equal(abbreviate("abcd", 3), "abc…");
  });

  test("shows the first words of a list within bounds of each, of all, and of their number", () => {
    const bounds = { maxWords: 3, maxWordCharacters: 4, maxCharacters: 8 };
    assert.deepEqual(abbreviateList(["a", "b", "c"], bounds), ["a", "b", "c"]);
    assert.deepEqual(abbreviateList(["a", "b", "c", "d", "e"], bounds), ["a", "b", "c", "and 2 more"]);
    assert.deepEqual(abbreviateList(["abcdef", "abcdef"], bounds), ["abcd…", "and 1 more"]);
    assert.deepEqual(abbreviateList([], bounds), []);
  });

  test("bounds every text and list of a value", () => {
    const value = { "a long name": ["abcdef", 1, null, { b: "abcdef" }] };
    assert.deepEqual(abbreviateAll(value, 4, 3), { "a lo…": ["abcd…", 1, null] });
  });
});
