/** A peer that sends only useless frames. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UselessFrameLimiter } from "../../src/zmq/useless-frame-limiter.js";
import { FakeClock } from "../support/clock.js";

function setUp() {
  const clock = new FakeClock();
  const limiter = new UselessFrameLimiter(clock);
  const useless = (count: number) => {
    for (let frame = 0; frame < count; frame++) limiter.count(false);
  };
  return { clock, limiter, useless };
}

describe("UselessFrameLimiter", () => {
  test("throws at the thousandth useless frame in a row within 5 s", () => {
    const { clock, limiter, useless } = setUp();
    useless(998);
    clock.advance(4999);
    limiter.count(false);
    assert.throws(() => limiter.count(false), {
      code: "invalid",
      message: /1000 useless messages or commands in a row/,
    });
  });

  test("allows a thousand useless frames in 5 s or more", () => {
    const { clock, limiter, useless } = setUp();
    for (let window = 0; window < 3; window++) {
      useless(999);
      clock.advance(5000);
      limiter.count(false);
    }
  });

  test("starts again after a useful frame", () => {
    const { limiter, useless } = setUp();
    useless(999);
    limiter.count(true);
    useless(999);
    assert.throws(() => useless(1));
  });

  test("knows whether the last frame was useful", () => {
    const { limiter } = setUp();
    assert.ok(!limiter.wasLastUseful);
    limiter.count(true);
    assert.ok(limiter.wasLastUseful);
    limiter.count(false);
    assert.ok(!limiter.wasLastUseful);
  });
});
