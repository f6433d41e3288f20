import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RangeCache } from "../../src/cluster/range-cache.js";
import { encodeStreamRecord, encodeStreamRemoval } from "../../src/cluster/stream-record.js";
import type { StreamMessage } from "../../src/cluster/stream-session.js";

const message = (sequence: number): StreamMessage => ({
  sequence,
  epoch: "e",
  stamp: "0",
  data: encodeStreamRecord({ topics: ["t"], data: `${sequence}`, private: false }),
});

function setUp(read?: (after: number, through: number) => Promise<StreamMessage[]>) {
  const reads: [number, number][] = [];
  const foreign: number[] = [];
  const all = async (after: number, through: number) =>
    Array.from({ length: through - after }, (_, index) => message(after + 1 + index));
  const cache = new RangeCache(
    (after, through) => {
      reads.push([after, through]);
      return (read ?? all)(after, through);
    },
    "e",
    (sequence) => foreign.push(sequence),
    ({ storedKey }) => storedKey !== undefined,
  );
  return { cache, reads, foreign };
}

describe("RangeCache", () => {
  test("leaves out removals, which are no events", async () => {
    const removal = { ...message(2), data: encodeStreamRemoval({ topic: "t", through: 0 }, "e") };
    const { cache, foreign } = setUp(async () => [message(1), removal, message(3)]);
    const { publications } = await cache.load(0, 3);
    assert.deepEqual([publications.map(({ offset }) => offset), foreign], [[1, 3], []]);
  });

  test("shares one read between concurrent readers, and answers later ones from memory", async () => {
    const { cache, reads } = setUp();
    const [first, second] = await Promise.all([cache.load(10, 2000), cache.load(400, 2000)]);
    assert.equal(first, second);
    assert.deepEqual(reads, [[0, 500]]);
    assert.deepEqual(cache.cached(10, 2000), [first]);
    assert.deepEqual(cache.cached(500, 2000), []);
  });

  test("returns consecutive ranges up to the first missing one", async () => {
    const { cache } = setUp();
    for (const after of [0, 500, 1500]) await cache.load(after, 3000);
    assert.deepEqual(
      cache.cached(0, 3000).map(({ through }) => through),
      [500, 1000],
    );
  });

  test("reads a range again after a failed read", async () => {
    let isBroken = true;
    const { cache, reads } = setUp(async () => {
      if (isBroken) throw new Error("timeout");
      return [message(1)];
    });
    await assert.rejects(cache.load(0, 1), /timeout/);
    isBroken = false;
    assert.equal((await cache.load(0, 1)).publications.length, 1);
    assert.equal(reads.length, 2);
  });

  test("drops its ranges with the epoch, and reports messages that are no publications", async () => {
    const { cache, foreign } = setUp(async () => [{ ...message(1), data: Buffer.from("none of ours") }]);
    assert.deepEqual((await cache.load(0, 1)).publications, []);
    assert.deepEqual(foreign, [1]);
    cache.clear("next");
    assert.deepEqual(cache.cached(0, 1), []);
  });
});
