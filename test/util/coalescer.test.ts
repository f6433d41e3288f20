/** Work that is asked for again and again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Coalescer } from "../../src/util/coalescer.js";
import { FakeClock } from "../support/clock.js";

const turn = () => new Promise(setImmediate);

function setUp() {
  const clock = new FakeClock();
  const seen = { runs: 0 };
  const pace = new Coalescer(clock, 4, () => seen.runs++);
  return { clock, pace, seen };
}

describe("Coalescer", () => {
  test("runs once at the end of a turn, however many calls the turn had", async () => {
    const { pace, seen } = setUp();
    pace.request();
    pace.request();
    assert.equal(seen.runs, 0);
    await turn();
    assert.equal(seen.runs, 1);
  });

  test("runs once in each interval under continuous calls, and after the last one", async () => {
    const { clock, pace, seen } = setUp();
    for (let count = 0; count < 10; count++) {
      pace.request();
      await turn();
    }
    assert.equal(seen.runs, 1);
    clock.advance(4);
    assert.equal(seen.runs, 2);
    clock.advance(4);
    assert.equal(seen.runs, 2, "nobody asked");
    assert.equal(clock.waiting, 0);
    pace.request();
    await turn();
    assert.equal(seen.runs, 3, "after a rest at once again");
  });

  test("does not run again for calls before an early run", async () => {
    const { clock, pace, seen } = setUp();
    pace.request();
    pace.runNow();
    await turn();
    clock.advance(10);
    assert.equal(seen.runs, 1);
  });

  test("stopped, nothing is done and no timer is left", async () => {
    const { clock, pace, seen } = setUp();
    pace.runNow();
    pace.request();
    pace.stop();
    await turn();
    clock.advance(10);
    assert.equal(seen.runs, 1);
    assert.equal(clock.waiting, 0);
  });
});
