import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SortedTexts } from "../../src/util/sorted-texts.js";

describe("SortedTexts", () => {
  test("holds the same texts as a set, in order", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "/"), minLength: 1, maxLength: 5 });
    const change = fc.record({ text, isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change), text, text, fc.integer({ min: 1, max: 20 }), (changes, prefix, after, most) => {
        const [sorted, model] = [new SortedTexts(), new Set<string>()];
        for (const { text: it, isAdded } of changes) {
          if (isAdded) sorted.add(it);
          else sorted.delete(it);
          if (isAdded) model.add(it);
          else model.delete(it);
        }
        const all = [...model].sort((a, b) => (a < b ? -1 : 1));
        assert.equal(sorted.size, all.length);
        assert.deepEqual(sorted.withPrefix("", "", 1000), all);
        assert.deepEqual(
          sorted.withPrefix(prefix, after, most),
          all.filter((it) => it.startsWith(prefix) && it > after).slice(0, most),
        );
      }),
    );
  });

  test("stays sorted over many blocks", () => {
    const sorted = new SortedTexts();
    const texts = Array.from({ length: 20_000 }, (_, at) => `t${(at * 7919) % 20_000}`);
    for (const text of texts) sorted.add(text);
    assert.deepEqual(sorted.withPrefix("", "", 1e6), texts.toSorted());
    assert.equal(sorted.withPrefix("t1999", "t1999", 1e6).length, 10);
    for (const text of texts) sorted.delete(text);
    assert.deepEqual([sorted.size, sorted.withPrefix("", "", 1)], [0, []]);
  });
});
