import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HotTopics, TRACKED_TOPIC_COUNT } from "../../../src/observability/metrics/hot-topics.js";
import { SpaceSaving } from "../../../src/observability/metrics/space-saving.js";
import { FakeClock } from "../../support/clock.js";
import { publication } from "./harness.js";

const about = (topic: string, data = "x") => ({ ...publication(1, data), topics: [topic] });

function counting(random = () => 0.5) {
  const clock = new FakeClock();
  const hot = new HotTopics(clock, random);
  hot.start();
  return { clock, hot };
}

describe("HotTopics", () => {
  test("has the rates of each topic, the one with the most deliveries first", () => {
    const { clock, hot } = counting();
    for (let at = 0; at < 20; at++) hot.published(about("quiet", "four"), 0);
    for (let at = 0; at < 10; at++) hot.published(about("popular"), 100);
    clock.advance(10_000);
    assert.equal(hot.windowSeconds, 10);
    assert.deepEqual(hot.top(), [
      { topic: "popular", publicationsPerSecond: 1, bytesPerSecond: 1, deliveriesPerSecond: 100 },
      { topic: "quiet", publicationsPerSecond: 2, bytesPerSecond: 8, deliveriesPerSecond: 0 },
    ]);
  });

  test("forgets a topic after a minute without publications", () => {
    const { clock, hot } = counting();
    hot.published(about("once"), 1);
    clock.advance(59_000);
    assert.equal(hot.top().length, 1);
    clock.advance(2_000);
    assert.deepEqual(hot.top(), []);
  });

  test("estimates from a sample beyond 500 publications a second, within 10 %", () => {
    let state = 1;
    const { clock, hot } = counting(() => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    });
    // They take turns: every fourth publication is of the topic with more clients.
    for (let second = 0; second < 20; second++) {
      for (let at = 0; at < 50_000; at++) hot.published(about(at % 4 === 0 ? "a" : "b"), at % 4 === 0 ? 10 : 1);
      clock.advance(1000);
    }
    const [first, second] = hot.top();
    assert.deepEqual([first?.topic, second?.topic], ["a", "b"]);
    assert.ok(Math.abs((first?.publicationsPerSecond ?? 0) / 12_500 - 1) < 0.1, String(first?.publicationsPerSecond));
    assert.ok(Math.abs((second?.deliveriesPerSecond ?? 0) / 37_500 - 1) < 0.1, String(second?.deliveriesPerSecond));
  });

  test("counts nothing before start() and after close(), and has no timer then", () => {
    const clock = new FakeClock();
    const hot = new HotTopics(clock, () => 0);
    for (let at = 0; at < 200; at++) hot.published(about("early"), 1);
    hot.start();
    hot.close();
    for (let at = 0; at < 200; at++) hot.published(about("late"), 1);
    assert.deepEqual([hot.top(), clock.waiting], [[], 0]);
  });

  test("shows ten topics at most, each abbreviated", () => {
    const { hot } = counting();
    for (let at = 0; at < 500; at++) hot.published(about(`${at}`.repeat(1000)), 1);
    assert.equal(hot.top().length, 10);
    assert.ok(hot.top().every(({ topic }) => topic.length <= 201));
  });
});

describe("SpaceSaving", () => {
  const counting = (capacity: number) => new SpaceSaving(capacity, () => ({ count: 0 }));

  test("tracks no more keys than its capacity, whatever the number of keys", () => {
    const sketch = counting(TRACKED_TOPIC_COUNT);
    for (let at = 0; at < 10_000; at++) sketch.add(`key ${at}`, 1).count++;
    assert.equal([...sketch].length, TRACKED_TOPIC_COUNT);
  });

  test("keeps every key above the sum divided by the capacity, with bounds of its weight", () => {
    const sketch = counting(10);
    for (let at = 0; at < 1000; at++) {
      sketch.add(at % 4 === 0 ? "heavy" : `light ${at}`, 1).count++;
    }
    const heavy = [...sketch].find(({ key }) => key === "heavy");
    assert.ok(heavy);
    assert.ok(heavy.weight >= 250 && heavy.weight - heavy.error <= 250, `${heavy.weight} - ${heavy.error}`);
    assert.ok(heavy.counts.count <= 250);
  });
});
