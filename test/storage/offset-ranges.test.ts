import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { OffsetRanges } from "../../src/storage/offset-ranges.js";

describe("OffsetRanges", () => {
  test("what is held is what was added and not forgotten, whatever holes there are", () => {
    const steps = fc.array(fc.record({ gap: fc.nat(3), added: fc.integer({ min: 1, max: 20 }), forgets: fc.nat(60) }));
    fc.assert(
      fc.property(steps, (all) => {
        const [runs, model] = [new OffsetRanges(), new Set<number>()];
        let next = 1;
        for (const { gap, added, forgets } of all) {
          next += gap;
          for (const end = next + added; next < end; next++) {
            runs.add(next);
            model.add(next);
          }
          const through = next - forgets;
          runs.forget(through);
          for (const offset of model) if (offset <= through) model.delete(offset);
          assert.equal(runs.size, model.size);
        }
        for (let offset = 0; offset <= next; offset++) assert.equal(runs.has(offset), model.has(offset));
      }),
    );
  });
});
