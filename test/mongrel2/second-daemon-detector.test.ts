import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SecondDaemonDetector } from "../../src/mongrel2/second-daemon-detector.js";
import { FakeClock } from "../support/clock.js";

const [YOUNGER, OLDER] = [true, false];

/** A daemon whose link has been live for `liveMs`. */
function setUp(liveFor = 0) {
  const clock = new FakeClock();
  const told: string[] = [];
  const contention = new SecondDaemonDetector({
    clock,
    began: (isOlder) => told.push(isOlder ? "began, older than us" : "began"),
    ended: () => told.push("ended"),
    yield: () => told.push("yields"),
  });
  contention.linkLive();
  clock.advance(liveFor);
  /** Notices of another process, one every `everyMs`. */
  const notices = (milliseconds: number, isYounger = OLDER, everyMs = 500) => {
    for (let passed = 0; passed < milliseconds; passed += everyMs) {
      contention.foreignNotice(isYounger);
      clock.advance(everyMs);
    }
  };
  return { clock, told, contention, notices };
}

describe("SecondDaemonDetector", () => {
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

  test("of two that have come one soon after the other the first stays, and leaves only where the other does not", () => {
    const first = setUp(1000);
    first.notices(6000, YOUNGER);
    assert.deepEqual(first.told, ["began"]);
    first.clock.advance(20_000);
    assert.deepEqual(first.told, ["began", "ended"]);
    const second = setUp(1000);
    second.notices(6000, OLDER);
    assert.deepEqual(second.told, ["began, older than us", "yields"]);
    const left = setUp(1000);
    left.notices(16_000, YOUNGER);
    assert.deepEqual(left.told, ["began", "yields"]);
  });

  test("of two the first stays also where the other proves it seconds later, as it does on a machine under load", () => {
    const first = setUp(1000);
    const second = setUp();
    // The fences of the second are noticed while its own link is not live yet.
    first.notices(8000, YOUNGER);
    second.notices(6000, OLDER);
    assert.deepEqual(second.told, ["began, older than us", "yields"]);
    first.notices(6000, YOUNGER);
    first.clock.advance(20_000);
    assert.deepEqual(first.told, ["began", "ended"]);
  });

  test("notices far apart are of different occasions", () => {
    const { told, notices } = setUp(1000);
    notices(120_000, OLDER, 12_000);
    assert.deepEqual(told, []);
  });

  test("after stop no timer is left", () => {
    const { contention, notices, clock } = setUp(60_000);
    notices(6000);
    contention.stop();
    assert.equal(clock.waiting, 0);
  });
});
