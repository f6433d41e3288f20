import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import { TopicRules } from "../../src/matching/topic-rules.js";
import type { Draft } from "../../src/protocol/draft.js";
import { load } from "../config/harness.js";

const BASE = "https://hub.example/.well-known/mercure";
const rulesOf = (toml: string): TopicRules => new TopicRules(load(toml).config.topic, BASE);
const table = (...lines: string[]): string => ["[[topic]]", ...lines, ""].join("\n");
const draft = (...topics: [string, ...string[]]): Draft => ({ topics, data: "", private: false });

describe("TopicRules", () => {
  test("the first table that matches a topic applies, whatever the notation of its selector", () => {
    const rules = rulesOf(
      table('topic = "a/1"') +
        table('template = "a/{id}"') +
        table('topic = "a/2"') +
        table('pattern = "/b/:id"') +
        table('topic = "a/1"') +
        table('topic = "c"') +
        table('topic = "*"'),
    );
    const indexes = (...topics: string[]) => topics.map((topic) => rules.of(topic)?.index);
    for (const _ of ["new", "remembered"]) {
      assert.deepEqual(indexes("a/1", "a/2", "a/3", "https://hub.example/b/4", "c", "x y"), [0, 1, 1, 3, 5, 6]);
    }
  });

  test("a topic that no table matches has no rule", () => {
    const rules = rulesOf(table('template = "a/{id}"'));
    for (const _ of ["new", "remembered"]) assert.equal(rules.of("b"), undefined);
    assert.equal(rulesOf("").of("b"), undefined);
  });

  test("a limit that a table does not set is infinite", () => {
    const { of } = { of: (toml: string) => rulesOf(toml).of("a") };
    const none = of(table('topic = "a"'));
    assert.deepEqual(
      [none?.maxEvents, none?.maxAgeMs, none?.ttlMs, none?.rate],
      Array.from({ length: 4 }, () => Number.POSITIVE_INFINITY),
    );
    assert.deepEqual([none?.keepsLast, none?.isPrivate, none?.needsToken], [false, false, false]);
    const all = of(
      table(
        ...['topic = "a"', "max_events = 5", 'max_age = "1m"', 'keep = "last"', 'ttl = "2s"'],
        ...["private = true", "rate = 3", "anonymous = false"],
      ),
    );
    const { index, selector, ...values } = all ?? assert.fail();
    assert.deepEqual([index, selector], [0, { kind: "exact", value: "a" }]);
    assert.deepEqual(values, {
      ...{ maxEvents: 5, maxAgeMs: 60_000, keepsLast: true, ttlMs: 2000 },
      ...{ isPrivate: true, rate: 3, needsToken: true },
    });
  });

  test("an event with several topics obeys the strictest of its tables", () => {
    const rules = rulesOf(
      table('topic = "long"', 'ttl = "1h"') +
        table('topic = "short"', 'ttl = "1s"', "private = true") +
        table('topic = "members"', "anonymous = false"),
    );
    const plain = draft("news");
    assert.equal(rules.applyTo(plain), plain, "an event that no table changes is the same object");
    assert.deepEqual(rules.applyTo(draft("long")), { ...draft("long"), ttlMs: 3_600_000 });
    const both = draft("news", "long", "short");
    assert.deepEqual(rules.applyTo(both), { ...both, private: true, ttlMs: 1000 });
    assert.deepEqual(rules.applyTo({ ...draft("long"), ttlMs: 5 }), { ...draft("long"), ttlMs: 5 });
    assert.deepEqual(
      [["news"], ["news", "members"], ["short"]].map((topics) => rules.needsToken(topics)),
      [false, true, false],
    );
  });

  test("other tables replace all of the earlier ones", () => {
    const rules = rulesOf(table('topic = "a"', "rate = 1") + table('template = "b/{id}"', "anonymous = false"));
    assert.deepEqual([rules.hasRates, rules.needsToken(["b/1"])], [true, true]);
    rules.replace(rulesOf(table('template = "b/{id}"', 'ttl = "1s"')));
    assert.deepEqual([rules.hasRates, rules.needsToken(["b/1"]), rules.of("a")], [false, false, undefined]);
    assert.equal(rules.applyTo(draft("b/1")).ttlMs, 1000);
  });

  for (const [what, line, message] of [
    ["a template that is none", 'template = "a/{"', /table 2: "a\/\{" is no URI template; fix: topic = /],
    ["a template without an expression", 'template = "a"', /is no URI template/],
    ["a pattern that is none", 'pattern = "/a/("', /table 2: /],
  ] as const)
    test(`refuses ${what}`, () => {
      assert.throws(
        () => rulesOf(table('topic = "a"') + table(line)),
        (error) => error instanceof M2pushError && error.code === "config_invalid" && message.test(error.message),
      );
    });
});
