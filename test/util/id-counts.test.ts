import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { IdCounts } from "../../src/util/id-counts.js";

const entriesOf = (counts: IdCounts) => new Map([...counts.entries()].sort(([a], [b]) => a - b));

describe("IdCounts", () => {
  test("counts as a Map would, also ids that meet in the table", () => {
    // Twelve ids in 32 slots.
    const id = fc.integer({ min: 1, max: 12 });
    const step = fc.tuple(fc.constantFrom("increment", "decrement", "delete"), id);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const counts = new IdCounts(12);
        const model = new Map<number, number>();
        for (const [what, id] of steps) {
          const count = model.get(id) ?? 0;
          if (what === "increment") {
            counts.increment(id);
            model.set(id, count + 1);
          } else if (what === "delete") {
            assert.equal(counts.delete(id), model.delete(id));
          } else {
            counts.decrement(id);
            if (count > 1) model.set(id, count - 1);
            else model.delete(id);
          }
          assert.equal(counts.get(id), model.get(id) ?? 0);
        }
        assert.deepEqual(entriesOf(counts), new Map([...model].sort(([a], [b]) => a - b)));
        assert.equal(counts.size, model.size);
      }),
    );
  });

  test("adds no id above its limit, and continues to count those that it has", () => {
    const counts = new IdCounts(2);
    for (const id of [1, 2, 3, 1]) counts.increment(id);
    assert.deepEqual(
      [...entriesOf(counts)],
      [
        [1, 2],
        [2, 1],
      ],
    );
    counts.delete(2);
    counts.increment(3);
    assert.equal(counts.get(3), 1);
    counts.clear();
    assert.equal(counts.size, 0);
    assert.equal(counts.get(1), 0);
  });

  test("has no place for id 0, which is no connection", () => {
    const counts = new IdCounts(2);
    counts.increment(0);
    assert.equal(counts.size, 0);
  });
});
