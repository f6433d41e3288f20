import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TopicRules } from "../../src/matching/topic-rules.js";
import type { Draft } from "../../src/protocol/draft.js";
import { RateLimiter } from "../../src/publishing/rate-limiter.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";

/** Takes and pauses are for numbers of events on the topic "t". */
function limiter(rate: number, burst: number) {
  const clock = new FakeClock();
  const it = new RateLimiter({ rate, burst }, clock);
  const limiter = {
    take: (publisher: string, events: number) => it.take(publisher, draftsOn("t", events)),
    pauseAfter: (publisher: string, events: number) => it.pauseAfter(publisher, draftsOn("t", events)),
    setLimits: it.setLimits.bind(it),
  };
  return { clock, limiter };
}

const draftsOn = (topic: string, events: number): Draft[] =>
  Array.from({ length: events }, () => ({ topics: [topic], data: "", private: false }));

/** With a limit for each topic that begins with "slow/", and none for publishers. */
function topicLimiter(rate: number) {
  const clock = new FakeClock();
  const { config } = load(`[[topic]]\ntemplate = "slow/{+any}"\nrate = ${rate}\n`);
  const rules = new TopicRules(config.topic, "http://hub.example/");
  return { clock, limiter: new RateLimiter({ rate: 0, burst: 1 }, clock, rules) };
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
    for (let publisher = 0; publisher < 9999; publisher++) it.take(`other ${publisher}`, 1);
    assert.deepEqual([it.take("first", 1), it.take("0", 1)], [1000, 0]);
  });

  test("limits the events of one topic, from all publishers together, and no other topic", () => {
    const { clock, limiter: it } = topicLimiter(2);
    assert.deepEqual([it.take("a", draftsOn("slow/1", 1)), it.take("b", draftsOn("slow/1", 1))], [0, 0]);
    assert.equal(it.take("c", draftsOn("slow/1", 1)), 500);
    assert.deepEqual([it.take("a", draftsOn("slow/2", 1)), it.take("a", draftsOn("fast", 100))], [0, 0]);
    clock.advance(500);
    assert.deepEqual([it.take("c", draftsOn("slow/1", 1)), it.take("c", draftsOn("slow/1", 1))], [0, 500]);
  });

  test("takes nothing for a batch that one of its topics refuses", () => {
    const { limiter: it } = topicLimiter(1);
    it.take("a", draftsOn("slow/1", 1));
    const both = [...draftsOn("slow/2", 1), ...draftsOn("slow/1", 1)];
    assert.equal(it.take("a", both), 1000);
    assert.equal(it.take("a", draftsOn("slow/2", 1)), 0);
  });

  test("an event counts for each of its topics", () => {
    const { limiter: it } = topicLimiter(1);
    assert.equal(it.take("a", [{ topics: ["fast", "slow/1", "slow/2"], data: "", private: false }]), 0);
    assert.deepEqual([it.take("a", draftsOn("slow/1", 1)), it.take("a", draftsOn("slow/2", 1))], [1000, 1000]);
  });

  test("a publisher that is slowed down is held by the slowest of its topics", () => {
    const { limiter: it } = topicLimiter(10);
    assert.equal(it.pauseAfter("a", draftsOn("slow/1", 10)), 0);
    assert.equal(it.pauseAfter("a", [...draftsOn("slow/1", 5), ...draftsOn("slow/2", 12)]), 500);
  });
});
