import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Contention } from "../../src/mongrel2/contention.js";
import { FakeClock } from "../support/clock.js";

const [ABOVE, BELOW] = [true, false];

/** A daemon whose link has been live for so many milliseconds. */
function setUp(liveFor = 0) {
  const clock = new FakeClock();
  const told: string[] = [];
  const contention = new Contention({
    clock,
    began: (isOlder) => told.push(isOlder ? "began, older than us" : "began"),
    ended: () => told.push("ended"),
    yields: () => told.push("yields"),
  });
  contention.live();
  clock.advance(liveFor);
  /** Notices of another process, one every `everyMs`. */
  const notices = (milliseconds: number, isAbove = BELOW, everyMs = 500) => {
    for (let passed = 0; passed < milliseconds; passed += everyMs) {
      contention.seen(isAbove);
      clock.advance(everyMs);
    }
  };
  return { clock, told, contention, notices };
}

describe("Contention", () => {
  test("the late notices of an earlier process prove nothing", () => {
    const { told, contention, notices, clock } = setUp();
    notices(4500);
    assert.ok(contention.isSuspected);
    clock.advance(60_000);
    assert.ok(!contention.isSuspected);
    notices(4500);
    assert.deepEqual(told, []);
  });

  test("notices that go on for 5 s prove another daemon; the one that has just come leaves", () => {
    const { told, notices } = setUp(1000);
    notices(6000);
    assert.deepEqual(told, ["began, older than us", "yields"]);
  });

  test("the one that has been there stays, and tells when the other has gone", () => {
    const { told, notices, clock } = setUp(60_000);
    notices(30_000);
    assert.deepEqual(told, ["began"]);
    clock.advance(20_000);
    assert.deepEqual(told, ["began", "ended"]);
    notices(6000);
    assert.deepEqual(told, ["began", "ended", "began"]);
  });

  test("of two that have come together one stays: the one with the lower block leaves only where the other does not", () => {
    const lower = setUp(1000);
    lower.notices(6000, ABOVE);
    assert.deepEqual(lower.told, ["began, older than us"]);
    lower.clock.advance(20_000);
    assert.deepEqual(lower.told, ["began, older than us", "ended"]);
    const higher = setUp(1000);
    higher.notices(6000, BELOW);
    assert.deepEqual(higher.told, ["began, older than us", "yields"]);
    const left = setUp(1000);
    left.notices(9000, ABOVE);
    assert.deepEqual(left.told, ["began, older than us", "yields"]);
  });

  test("notices far apart are of different occasions", () => {
    const { told, notices } = setUp(1000);
    notices(120_000, BELOW, 12_000);
    assert.deepEqual(told, []);
  });

  test("after stop no timer is left", () => {
    const { contention, notices, clock } = setUp(60_000);
    notices(6000);
    contention.stop();
    assert.equal(clock.waiting, 0);
  });
});
