import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HoleCheck } from "../../src/cluster/hole-check.js";
import type { StreamMessage } from "../../src/cluster/stream-session.js";

const message = (sequence: number, bytes = 1): StreamMessage => ({
  ...{ sequence, epoch: "e", stamp: "0", data: new Uint8Array(bytes) },
});
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A check whose inspections a test answers. */
function opened() {
  const taken: number[] = [];
  const failures: string[] = [];
  const inspections: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const check = new HoleCheck({
    last: () => taken.at(-1) ?? 0,
    take: ({ sequence }) => taken.push(sequence),
    inspect: () => new Promise<void>((resolve, reject) => inspections.push({ resolve, reject })),
    failed: (why) => failures.push(why),
  });
  return { check, taken, failures, inspections };
}

describe("HoleCheck", () => {
  test("passes messages on at once while none is missing", () => {
    const { check, taken, inspections } = opened();
    for (const sequence of [1, 2, 3]) check.take(message(sequence));
    assert.deepEqual([taken, inspections], [[1, 2, 3], []]);
  });

  test("holds messages behind a hole until the stream was inspected, and inspects again for a hole that came later", async () => {
    const { check, taken, inspections } = opened();
    for (const sequence of [1, 4, 5, 7, 8, 10]) check.take(message(sequence));
    assert.deepEqual([taken, inspections.length], [[1], 1]);
    inspections[0]?.resolve();
    await turn();
    assert.deepEqual([taken, inspections.length], [[1, 4, 5], 2], "7 was delivered after the first inspection began");
    inspections[1]?.resolve();
    await turn();
    assert.equal(inspections.length, 2, "10 was delivered before the second one");
    check.take(message(11));
    assert.deepEqual(taken, [1, 4, 5, 7, 8, 10, 11]);
  });

  test("counts only what it still holds, however many holes follow each other", async () => {
    const { check, taken, failures, inspections } = opened();
    const sequences = Array.from({ length: 100 }, (_, at) => 2 * (at + 1));
    check.take(message(2, 1_000_000));
    for (const sequence of sequences.slice(1)) {
      check.take(message(sequence, 1_000_000));
      inspections.at(-1)?.resolve();
      await turn();
    }
    inspections.at(-1)?.resolve();
    await turn();
    assert.deepEqual([taken, failures], [sequences, []]);
  });

  test("takes nothing more where the stream cannot be inspected, too much waits, or it was stopped", async () => {
    const failing = opened();
    failing.check.take(message(3));
    failing.inspections[0]?.reject(new Error("no answer"));
    await turn();
    failing.check.take(message(1));
    assert.deepEqual([failing.taken, failing.failures], [[], ["no answer"]]);

    const full = opened();
    for (let sequence = 2; sequence < 70; sequence++) full.check.take(message(sequence, 1_000_000));
    full.inspections[0]?.resolve();
    await turn();
    assert.deepEqual([full.taken, full.failures.length], [[], 1]);

    const stopped = opened();
    stopped.check.take(message(3));
    stopped.check.stop();
    stopped.inspections[0]?.resolve();
    await turn();
    assert.deepEqual([stopped.taken, stopped.failures], [[], []]);
  });
});
