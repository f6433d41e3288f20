import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Throttle } from "../../src/util/throttle.js";
import { FakeClock } from "../support/clock.js";

function setUp() {
  const clock = new FakeClock();
  const throttle = new Throttle(clock, 1000);
  const passed: string[] = [];
  return { clock, passed, pass: (kind: string) => throttle.run(kind, (left) => passed.push(`${kind} ${left}`)) };
}

describe("Throttle", () => {
  test("passes the first of each kind at any time", () => {
    const { passed, pass } = setUp();
    for (const kind of ["a", "b", "__proto__"]) pass(kind);
    assert.deepEqual(passed, ["a 0", "b 0", "__proto__ 0"]);
  });

  test("one more passes when the interval is over, not a moment before, and knows how many did not", () => {
    const { clock, passed, pass } = setUp();
    pass("a");
    clock.advance(999);
    pass("a");
    pass("a");
    assert.deepEqual(passed, ["a 0"]);
    clock.advance(1);
    pass("a");
    pass("a");
    clock.advance(1000);
    pass("a");
    assert.deepEqual(passed, ["a 0", "a 2", "a 1"]);
  });

  test("the interval is counted from the last one that passed: a steady flood does not silence itself", () => {
    const { clock, passed, pass } = setUp();
    for (let count = 0; count < 50; count++) {
      pass("a");
      clock.advance(100);
    }
    assert.deepEqual(passed, ["a 0", "a 9", "a 9", "a 9", "a 9"]);
  });

  test("a step of the wall clock changes nothing", () => {
    const { clock, passed, pass } = setUp();
    pass("a");
    clock.setNow(0);
    pass("a");
    clock.setNow(1e13);
    pass("a");
    assert.deepEqual(passed, ["a 0"]);
  });
});
