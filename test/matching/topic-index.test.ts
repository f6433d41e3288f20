import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UNLIMITED } from "../../src/matching/match-budget.js";
import { ANY, compile, parseSelector, type Selector, type SelectorKind } from "../../src/matching/selector.js";
import { TopicIndex } from "../../src/matching/topic-index.js";

const BASE = "https://hub.example/.well-known/mercure";
const parse = (kind: SelectorKind, value: string): Selector => parseSelector(kind, value, BASE);

const SELECTORS = [
  ANY,
  ...["/a", "/a/1", "/b", "news"].map((value) => parse("exact", value)),
  ...["/a/{id}", "{/any*}", "/{+all}"].map((value) => parse("template", value)),
  ...["/a/:id", "/:any/1", "https://hub.example/*"].map((value) => parse("urlpattern", value)),
];
const TOPICS = ["/a", "/a/1", "/a/2", "/b", "/b/1", "news", "other", "https://hub.example/a/1"];
const VALUES = ["one", "two", "three"];

interface Held {
  readonly selectors: readonly Selector[];
  readonly value: string;
}

/** What the index is to give, by asking every selector. */
function scan(held: readonly Held[], topics: readonly string[]): Set<string> {
  const wanted = ({ selectors }: Held) =>
    selectors.some((selector) => topics.some((topic) => compile(selector, BASE)(topic)));
  return new Set(held.filter(wanted).map(({ value }) => value));
}

type Step =
  | { readonly step: "add"; readonly selectors: Selector[]; readonly value: string }
  | { readonly step: "remove"; readonly which: number }
  | { readonly step: "match"; readonly topics: string[] };

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    step: fc.constant("add" as const),
    selectors: fc.array(fc.constantFrom(...SELECTORS), { maxLength: 4 }),
    value: fc.constantFrom(...VALUES),
  }),
  fc.record({ step: fc.constant("remove" as const), which: fc.nat() }),
  fc.record({
    step: fc.constant("match" as const),
    topics: fc.array(fc.constantFrom(...TOPICS), { minLength: 1, maxLength: 3 }),
  }),
);

/** Runs steps on an index that remembers few topics, and looks at every answer; gives back what is held at the end. */
function run(index: TopicIndex<string>, all: readonly Step[]): Held[] {
  const held: Held[] = [];
  for (const each of all) {
    if (each.step === "add") {
      index.add(each.selectors, each.value);
      held.push(each);
    } else if (each.step === "remove") {
      const [gone] = held.splice(each.which % Math.max(1, held.length), 1);
      if (gone) index.remove(gone.selectors, gone.value);
    } else {
      const values = [...index.matching(each.topics)];
      assert.equal(new Set(values).size, values.length, "each value once");
      assert.deepEqual(new Set(values), scan(held, each.topics));
    }
  }
  return held;
}

describe("TopicIndex", () => {
  test("finds what a comparison with every selector finds, after any sequence of operations", () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 60 }), fc.constantFrom(2, 4, 100), (all, remembered) => {
        run(new TopicIndex<string>(BASE, UNLIMITED, remembered), all);
      }),
      { numRuns: 200 },
    );
  });

  test("is empty after the removal of all entries", () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 40 }), (all) => {
        const index = new TopicIndex<string>(BASE, UNLIMITED, 4);
        for (const { selectors, value } of run(index, all)) index.remove(selectors, value);
        const { size, topics, patterns, remembered } = index;
        assert.deepEqual({ size, topics, patterns, remembered }, { size: 0, topics: 0, patterns: 0, remembered: 0 });
        assert.deepEqual(index.matching(TOPICS), []);
      }),
      { numRuns: 100 },
    );
  });

  test("returns its own list if all matching subscribers follow everything", () => {
    const index = new TopicIndex<string>(BASE);
    index.add([ANY], "one");
    index.add([ANY], "two");
    assert.equal(index.matching(["/a"]), index.matching(["/b", "news"]));
    index.add([parse("exact", "/c")], "three");
    index.add([parse("template", "/c/{id}")], "four");
    assert.equal(index.matching(["/a"]), index.matching(["/b", "news"]));
    assert.deepEqual([...index.matching(["/c/1"])].sort(), ["four", "one", "two"]);
  });

  test("returns its own list if all matching subscribers follow one topic", () => {
    const index = new TopicIndex<string>(BASE);
    index.add([parse("exact", "/a")], "one");
    index.add([parse("urlpattern", "/b/:id")], "two");
    assert.equal(index.matching(["/a"]), index.matching(["/a", "/a", "other"]));
    assert.equal(index.matching(["/b/1"]), index.matching(["/b/2", "/b/3"]));
  });

  test("selectors of the same text are held once", () => {
    const index = new TopicIndex<number>(BASE);
    for (let i = 0; i < 10; i++)
      index.add([parse("template", "/a/{id}"), parse("exact", "/b"), parse("urlpattern", "/c/:id")], i);
    assert.deepEqual([index.size, index.topics, index.patterns], [10, 1, 2]);
    for (let i = 0; i < 9; i++) index.remove([parse("template", "/a/{id}")], i);
    assert.deepEqual([index.size, index.topics, index.patterns], [10, 1, 2]);
    index.remove([parse("template", "/a/{id}")], 9);
    assert.deepEqual([index.size, index.topics, index.patterns], [10, 1, 1]);
  });

  test("finds a pattern that was added after a topic was published, and no removed one", () => {
    const index = new TopicIndex<string>(BASE);
    const [template, pattern] = [parse("template", "/a/{id}"), parse("urlpattern", "/a/:id")];
    index.add([template], "one");
    assert.deepEqual(index.matching(["/a/1"]), ["one"]);
    index.add([pattern], "two");
    assert.deepEqual([...index.matching(["/a/1"])].sort(), ["one", "two"]);
    index.remove([template], "one");
    assert.deepEqual(index.matching(["/a/1"]), ["two"]);
    index.remove([pattern], "two");
    index.add([template], "three");
    assert.deepEqual(index.matching(["/a/1"]), ["three"]);
  });

  test("caches no more topics than its limit", () => {
    const index = new TopicIndex<string>(BASE, UNLIMITED, 100);
    index.add([parse("template", "/a/{id}")], "one");
    for (let i = 0; i < 1_000; i++) {
      assert.deepEqual(index.matching([`/a/${i}`]), ["one"]);
      assert.ok(index.remembered <= 100);
    }
    assert.ok(index.remembered >= 50);
  });

  test("patterns that match everything do not fill the memory with what they match", () => {
    const index = new TopicIndex<number>(BASE);
    for (let i = 0; i < 500; i++) index.add([parse("template", `{+any}{v${i}}`)], i);
    for (let i = 0; i < 2_500; i++) assert.equal(index.matching([`/${i}`]).length, 500);
    assert.ok(index.remembered <= 2_001, `${index.remembered} topics with 500 patterns each`);
  });

  test("keeps nothing of a topic that is added and removed 10,000 times", () => {
    const index = new TopicIndex<number>(BASE);
    for (let i = 0; i < 10_000; i++) {
      const selectors = [parse("exact", `/${i % 3_000}`)];
      index.add(selectors, i);
      assert.deepEqual(index.matching([`/${i % 3_000}`]), [i]);
      index.remove(selectors, i);
      assert.deepEqual(index.matching([`/${i % 3_000}`]), []);
    }
    assert.deepEqual([index.size, index.topics], [0, 0]);
  });

  test("what was not added cannot be removed", () => {
    const index = new TopicIndex<string>(BASE);
    index.add([parse("exact", "/a")], "one");
    for (const selector of SELECTORS) {
      if (selector.kind === "exact" && selector.value === "/a") continue;
      assert.throws(() => index.remove([selector], "one"), TypeError);
    }
    assert.throws(() => index.remove([parse("exact", "/a")], "two"), TypeError);
    assert.deepEqual(index.matching(["/a"]), ["one"]);
  });

  test("a selector that cannot be compiled leaves the index as it was", () => {
    const index = new TopicIndex<string>(BASE);
    const broken: Selector = { kind: "urlpattern", value: "/(" };
    assert.throws(() => index.add([parse("exact", "/a"), broken], "one"), { name: "ProtocolError" });
    assert.deepEqual([index.size, index.topics, index.patterns], [0, 0, 0]);
  });
});
