import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CancelSweep, descending } from "../../src/mongrel2/cancel-sweep.js";
import { UnknownConnectionSweep } from "../../src/mongrel2/unknown-connection-sweep.js";
import { FakeClock } from "../support/clock.js";

const SLICE = 128 * 128;

function setUp(taken: readonly number[] = []) {
  const clock = new FakeClock();
  const slices: (readonly number[])[] = [];
  const fences: (() => void)[] = [];
  const outlet = {
    maxTargets: 128,
    cancel: (ids: readonly number[]) => void slices.push(ids),
    fence: (passed: () => void) => void fences.push(passed),
  };
  const sweep = new CancelSweep({ clock, outlet, isTaken: (id) => taken.includes(id) });
  /** Mongrel2 takes a slice after `ms`, and the pause after it ends. */
  const take = (milliseconds = 5) => {
    clock.advance(milliseconds);
    fences.shift()?.();
    clock.advance(Math.max(10, milliseconds));
  };
  return { clock, slices, fences, sweep, take };
}

describe("CancelSweep", () => {
  test("cancels all ids but those that are taken, the newest first", () => {
    const { sweep, slices, take } = setUp([2]);
    let isDone = false;
    sweep.run(descending(4, 1), () => {
      isDone = true;
    });
    assert.deepEqual(slices, [[4, 3, 1]]);
    assert.equal(isDone, false, "Mongrel2 has not taken them");
    take();
    assert.equal(isDone, true);
  });

  test("leaves Mongrel2 as much time between two slices as a slice took", () => {
    const { clock, sweep, slices, fences } = setUp();
    sweep.run(descending(2 * SLICE + 5, 1));
    assert.deepEqual(
      slices.map((ids) => ids.length),
      [SLICE],
    );
    clock.advance(1000);
    assert.equal(slices.length, 1, "the fence has not passed");
    fences.shift()?.();
    clock.advance(999);
    assert.equal(slices.length, 1);
    clock.advance(1);
    assert.equal(slices.length, 2);
    fences.shift()?.();
    clock.advance(10);
    assert.deepEqual(slices[2], [5, 4, 3, 2, 1]);
  });

  test("that was stopped sends nothing more", () => {
    const { sweep, slices, take } = setUp();
    sweep.run(descending(2 * SLICE, 1), () => assert.fail("it was stopped"));
    sweep.stop();
    take();
    assert.equal(slices.length, 1);
  });
});

describe("UnknownConnectionSweep", () => {
  const range = (slices: readonly (readonly number[])[]) => {
    const ids = slices.flat();
    return [ids[0], ids.at(-1), ids.length];
  };
  const sweepOf = (highest: number, known: number) => {
    const { clock, slices, fences, sweep, take } = setUp();
    const requests = { highest };
    let isDone = false;
    const unheard = new UnknownConnectionSweep({ clock, requests, sweep });
    unheard.run(known, () => {
      isDone = true;
    });
    const takeAll = () => {
      while (fences.length > 0) take();
    };
    return { requests, slices, clock, takeAll, isDone: () => isDone };
  };

  test("reaches above the highest id that was read, as far as requests may have been lost", () => {
    const { slices, takeAll, isDone } = sweepOf(40, 40);
    takeAll();
    assert.deepEqual(range(slices), [40 + 16_384, 1, 40 + 16_384]);
    assert.equal(isDone(), true);
  });

  test("ends at the first new connection: those that were lost are older", () => {
    const { slices, takeAll } = sweepOf(45, 40);
    takeAll();
    assert.deepEqual(range(slices), [45, 1, 45]);
  });

  test("begins with a million ids where none is known, and goes on when the first one that comes is higher", () => {
    const { requests, slices, clock, takeAll, isDone } = sweepOf(0, 0);
    takeAll();
    assert.deepEqual(range(slices), [1_048_576, 1, 1_048_576]);
    clock.advance(10_000);
    assert.equal(isDone(), false);
    requests.highest = 1_050_000;
    clock.advance(500);
    takeAll();
    assert.deepEqual(slices.at(-1)?.[0], 1_050_000);
    assert.deepEqual(slices.at(-1)?.at(-1), 1_048_577);
    assert.equal(isDone(), true);
  });
});
