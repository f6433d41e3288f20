import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TopicLimits } from "../../src/delivery/topic-limits.js";
import { TopicOffsets } from "../../src/delivery/topic-offsets.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { TopicRules } from "../../src/matching/topic-rules.js";
import { positionDraft } from "../../src/protocol/position.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";

const rulesOf = (toml: string) => new TopicRules(load(toml).config.topic, "http://hub.example/");

/** A history whose reads obey the tables. */
function setUp(toml: string) {
  const clock = new FakeClock();
  const history = new VisibleHistory(new MemoryHistory({ maxEvents: 100, maxAge: 1e12, maxBytes: 1e12 }, clock), clock);
  const rules = rulesOf(toml);
  const offsets = new TopicOffsets(history, rules);
  history.limit(new TopicLimits(rules, offsets));
  const publish = (...topics: [string, ...string[]]) => {
    const draft = { topics, data: "x", private: false };
    const publication = positionDraft(draft, history.epoch, history.last + 1, clock.now());
    void history.append(publication);
    offsets.published(publication);
  };
  const shown = async () => {
    const page = await history.read(0, { through: history.last, maxBytes: 1e9 });
    return page.publications.map(({ offset }) => offset);
  };
  return { clock, history, rules, publish, shown };
}

describe("TopicLimits", () => {
  test("reads show the newest max_events of each topic, and everything of other topics", async () => {
    const { publish, shown } = setUp('[[topic]]\ntemplate = "t/{id}"\nmax_events = 2\n');
    for (const topic of ["t/1", "t/2", "other", "t/1", "other", "t/1"]) publish(topic);
    assert.deepEqual(await shown(), [2, 3, 4, 5, 6]);
    publish("t/1");
    assert.deepEqual(await shown(), [2, 3, 5, 6, 7]);
  });

  test("an event with several topics must be among the newest of each of them", async () => {
    const { publish, shown } = setUp(
      '[[topic]]\ntopic = "a"\nmax_events = 1\n[[topic]]\ntopic = "b"\nmax_events = 3\n',
    );
    publish("a", "b");
    publish("b");
    assert.deepEqual(await shown(), [1, 2]);
    publish("a");
    assert.deepEqual(await shown(), [2, 3]);
  });

  test("reads show no event that is older than max_age", async () => {
    const { clock, publish, shown } = setUp('[[topic]]\ntopic = "t"\nmax_age = "10s"\n');
    publish("t");
    publish("other");
    clock.advance(5000);
    publish("other", "t");
    clock.advance(4999);
    assert.deepEqual(await shown(), [1, 2, 3]);
    clock.advance(1);
    assert.deepEqual(await shown(), [2, 3]);
    clock.advance(5000);
    assert.deepEqual(await shown(), [2]);
  });

  test("other tables act on stored events at once", async () => {
    const { rules, publish, shown } = setUp("");
    for (let event = 0; event < 3; event++) publish("t");
    assert.deepEqual(await shown(), [1, 2, 3]);
    rules.replace(rulesOf('[[topic]]\ntopic = "t"\nmax_events = 1\n'));
    assert.deepEqual(await shown(), [3]);
    rules.replace(rulesOf(""));
    assert.deepEqual(await shown(), [1, 2, 3]);
  });
});
