import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { GenerationCache } from "../../src/util/generation-cache.js";

describe("GenerationCache", () => {
  test("what was used last is there, however much was used in all, and never more than the limit", () => {
    const use = fc.record({ do: fc.constantFrom("get", "set"), key: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(use, { maxLength: 300 }), (uses) => {
        const cache = new GenerationCache<number>(20);
        const known = new Map<string, number>();
        /** Keys by their last use, newest last. */
        let order: string[] = [];
        for (const [value, step] of uses.entries()) {
          const key = `${step.key}`;
          if (step.do === "set") {
            cache.set(key, value);
            known.set(key, value);
          } else {
            const found = cache.get(key);
            if (found === undefined) continue;
            assert.equal(found, known.get(key));
          }
          order = [...order.filter((it) => it !== key), key];
          assert.ok(cache.size <= 20);
        }
        for (const key of order.slice(-10)) assert.equal(cache.get(key), known.get(key));
      }),
    );
  });

  test("after clear nothing is there", () => {
    const cache = new GenerationCache<number>(4);
    for (let key = 0; key < 10; key++) cache.set(`${key}`, key);
    cache.clear();
    assert.equal(cache.size, 0);
    assert.equal(cache.get("9"), undefined);
  });
});
