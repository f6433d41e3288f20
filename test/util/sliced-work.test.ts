import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SlicedWork, type Steps } from "../../src/util/sliced-work.js";
import { FakeClock } from "../support/clock.js";

const tooMany = () => new Error("too many");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Work of `steps` steps of `ms` each that records its progress. */
function* steps(clock: FakeClock, name: string, count: number, ms: number, log: string[]): Steps<string> {
  for (let step = 1; step <= count; step++) {
    clock.advance(ms);
    log.push(`${name}${step}`);
    yield;
  }
  return name;
}

describe("SlicedWork", () => {
  test("does so much in a turn as takes five milliseconds, then lets others have theirs", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const done = new SlicedWork(clock, tooMany).run(steps(clock, "a", 7, 2, log));
    await turn();
    assert.deepEqual(log, ["a1", "a2", "a3"]);
    await turn();
    assert.deepEqual(log.length, 6);
    assert.equal(await done, "a");
  });

  test("does one step a turn where each takes longer, and a bounded number where the clock stands still", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const work = new SlicedWork(clock, tooMany);
    const [long, short] = [work.run(steps(clock, "l", 3, 50, log)), work.run(steps(clock, "s", 1000, 0, log))];
    await turn();
    assert.deepEqual(log, ["l1"]);
    assert.equal(await long, "l");
    await turn();
    assert.ok(log.length < 1000);
    assert.equal(await short, "s");
  });

  test("does one piece of work after the other, also after one that failed; what is too many is refused", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const work = new SlicedWork(clock, tooMany);
    const failing = work.run(
      // biome-ignore lint/correctness/useYield: it fails before its first step ends
      (function* (): Steps<string> {
        throw new Error("failed");
      })(),
    );
    const others = Array.from({ length: 15 }, (_, at) => work.run(steps(clock, `${at}-`, 2, 1, log)));
    await assert.rejects(work.run(steps(clock, "x", 1, 1, log)), /too many/);
    await assert.rejects(failing, /failed/);
    await Promise.all(others);
    assert.deepEqual(
      log,
      others.flatMap((_, at) => [`${at}-1`, `${at}-2`]),
    );
    assert.equal(await work.run(steps(clock, "y", 1, 1, log)), "y");
  });
});
