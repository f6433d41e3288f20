import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RateLimiter } from "../../src/publishing/rate-limiter.js";
import { FakeClock } from "../support/clock.js";

function limiter(rate: number, burst: number) {
  const clock = new FakeClock();
  return { clock, limiter: new RateLimiter({ rate, burst }, clock) };
}

describe("RateLimiter", () => {
  test("lets a burst through, then the rate, and tells how long to wait", () => {
    const { clock, limiter: it } = limiter(10, 3);
    assert.deepEqual(
      [1, 1, 1, 1].map((events) => it.take("a", events)),
      [0, 0, 0, 100],
    );
    clock.advance(50);
    assert.equal(it.take("a", 1), 50);
    clock.advance(50);
    assert.deepEqual([it.take("a", 1), it.take("a", 1)], [0, 100]);
    clock.advance(60_000);
    assert.deepEqual(
      [1, 1, 1, 1].map((events) => it.take("a", events)),
      [0, 0, 0, 100],
    );
  });

  test("gives each publisher a bucket of its own", () => {
    const { limiter: it } = limiter(1, 1);
    assert.deepEqual([it.take("a", 1), it.take("b", 1), it.take("a", 1)], [0, 0, 1000]);
  });

  test("a batch that is larger than the bucket needs a full one, and its debt is paid", () => {
    const { clock, limiter: it } = limiter(10, 5);
    assert.equal(it.take("a", 1), 0);
    assert.equal(it.take("a", 20), 100);
    clock.advance(100);
    assert.equal(it.take("a", 20), 0);
    assert.equal(it.take("a", 1), 1600);
  });

  test("a publisher that is slowed down is never refused", () => {
    const { clock, limiter: it } = limiter(10, 2);
    assert.deepEqual([it.pauseAfter("a", 1), it.pauseAfter("a", 1), it.pauseAfter("a", 1)], [0, 0, 100]);
    clock.advance(100);
    assert.equal(it.pauseAfter("a", 5), 500);
  });

  test("has no limit at the rate 0, also from a reload on", () => {
    const { limiter: it } = limiter(0, 1);
    assert.deepEqual([it.take("a", 1000), it.pauseAfter("a", 1000)], [0, 0]);
    it.setLimits({ rate: 1, burst: 1 });
    assert.deepEqual([it.take("a", 1), it.take("a", 1)], [0, 1000]);
    it.setLimits({ rate: 0, burst: 1 });
    assert.equal(it.take("a", 1), 0);
  });

  test("keeps a bounded number of buckets", () => {
    const { limiter: it } = limiter(1, 1);
    assert.equal(it.take("first", 1), 0);
    for (let publisher = 0; publisher < 9999; publisher++) it.take(`${publisher}`, 1);
    assert.equal(it.take("first", 1), 1000, "used again, so it is not the oldest");
    it.take("one more", 1);
    assert.deepEqual([it.take("first", 1), it.take("0", 1)], [1000, 0]);
  });
});
