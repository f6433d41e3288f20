import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AppliedRemovals, RemovalPass, Removals } from "../../src/delivery/removals.js";
import type { Publication } from "../../src/protocol/publication.js";
import type { RemovalTarget } from "../../src/protocol/removal.js";

const event = (offset: number, topics: readonly string[], more: Partial<Publication> = {}): Publication => ({
  ...{ offset, id: `id ${offset}`, topics, private: false, time: offset, bytes: Buffer.from("x") },
  ...more,
});

/** Removals of everything up to the offset before their own. */
function removalsOf(...all: readonly (readonly [target: RemovalTarget, offset: number])[]): Removals {
  const removals = new Removals();
  for (const [target, offset] of all) removals.add({ offset, removes: { ...target, through: offset - 1 } });
  return removals;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("Removals", () => {
  test("concern events of a topic, with an id or from before a time, up to their offset", () => {
    const removals = removalsOf([{ topic: "a" }, 10], [{ id: "x" }, 20], [{ before: 5 }, 30]);
    assert.equal(removals.size, 3);
    const has = (it: Publication) => removals.has(it);
    assert.deepEqual([event(9, ["b", "a"]), event(11, ["a"])].map(has), [true, false]);
    assert.deepEqual([event(19, ["b"], { id: "x" }), event(21, ["b"], { id: "x" })].map(has), [true, false]);
    assert.deepEqual([event(29, ["b"], { time: 4 }), event(29, ["b"]), event(31, ["b"], { time: 4 })].map(has), [
      true,
      false,
      false,
    ]);
    assert.equal(new Removals().has(event(1, ["a"])), false);
  });

  test("a later one of the same topic reaches further", () => {
    const removals = removalsOf([{ topic: "a" }, 10], [{ topic: "a" }, 20]);
    assert.equal(removals.has(event(15, ["a"])), true);
  });
});

describe("RemovalPass", () => {
  test("applies what there is in slices, then what came meanwhile, and forgets it", async () => {
    const removals = removalsOf([{ topic: "a" }, 10]);
    const slices: [through: number, after: number][] = [];
    const remove = (applied: AppliedRemovals, after: number) => {
      slices.push([applied.through, after]);
      if (slices.length === 1) removals.add({ offset: 20, removes: { topic: "b", through: 19 } });
      assert.equal(removals.has(event(3, ["a"])), applied.through === 9);
      return after + 5;
    };
    const pass = new RemovalPass(removals, { remove });
    pass.start();
    pass.start();
    while (removals.size > 0) await turn();
    assert.deepEqual(slices, [
      [9, 0],
      [9, 5],
      [19, 0],
      [19, 5],
      [19, 10],
      [19, 15],
    ]);
    assert.equal(removals.has(event(3, ["b"])), false);
  });

  test("begins again after a slice that could not be applied", async () => {
    const removals = removalsOf([{ topic: "a" }, 10]);
    let isFailing = true;
    const reached: number[] = [];
    const remove = (_: AppliedRemovals, after: number) => {
      reached.push(after);
      return isFailing && after === 5 ? undefined : after + 5;
    };
    const pass = new RemovalPass(removals, { remove });
    pass.start();
    while (reached.length < 2) await turn();
    assert.equal(removals.has(event(3, ["a"])), true);
    isFailing = false;
    await turn();
    pass.start();
    while (removals.size > 0) await turn();
    assert.deepEqual(reached, [0, 5, 0, 5]);
  });

  test("ends when it is closed", async () => {
    const removals = removalsOf([{ topic: "a" }, 10]);
    const pass = new RemovalPass(removals, { remove: () => assert.fail("it is closed") });
    pass.start();
    pass.close();
    await turn();
    await turn();
    assert.equal(removals.size, 1);
  });
});
