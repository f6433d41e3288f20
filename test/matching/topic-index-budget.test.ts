import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Budget } from "../../src/matching/match-budget.js";
import { stepsSoFar } from "../../src/matching/nfa-matcher.js";
import { compile, parseSelector, type Selector, type SelectorKind } from "../../src/matching/selector.js";
import { TopicIndex } from "../../src/matching/topic-index.js";

const BASE = "https://hub.example/.well-known/mercure";
const parse = (kind: SelectorKind, value: string): Selector => parseSelector(kind, value, BASE);

const PATTERNS = [
  ...["/a/{id}", "{/any*}", "/{+all}", "/{x}/{y}"].map((value) => parse("template", value)),
  ...["/a/:id", "/:any/1", "https://hub.example/*", "/((?:.?){30}1?)"].map((value) => parse("urlpattern", value)),
];
const SELECTORS = [...PATTERNS, parse("exact", "/a"), parse("exact", "/b/1")];
const TOPICS = ["/a", "/a/1", "/a/2", "/b", "/b/1", "news", "https://hub.example/a/1"];

type Step =
  | { readonly step: "add"; readonly selectors: Selector[] }
  | { readonly step: "remove"; readonly which: number }
  | { readonly step: "resume"; readonly which: number }
  | { readonly step: "match"; readonly topics: string[]; readonly units: number }
  | { readonly step: "test"; readonly selector: Selector; readonly topic: string };

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    step: fc.constant("add" as const),
    selectors: fc.array(fc.constantFrom(...SELECTORS), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ step: fc.constant("remove" as const), which: fc.nat() }),
  fc.record({ step: fc.constant("resume" as const), which: fc.nat() }),
  fc.record({
    step: fc.constant("match" as const),
    topics: fc.array(fc.constantFrom(...TOPICS), { minLength: 1, maxLength: 3 }),
    units: fc.constantFrom(0, 1, 50, 200, 1000),
  }),
  fc.record({
    step: fc.constant("test" as const),
    selector: fc.constantFrom(...PATTERNS),
    topic: fc.constantFrom(...TOPICS),
  }),
);

/** Runs steps; a client that was not tried is paused, as in the hub, until a step resumes it. */
function run(all: readonly Step[]): void {
  const budget: Budget = { left: 0 };
  const index = new TopicIndex<number>(BASE, budget, 4);
  const held = new Map<number, readonly Selector[]>();
  const paused = new Set<number>();
  let last = 0;
  const nth = (which: number) => [...held.keys()][which % Math.max(1, held.size)] ?? -1;
  const wants = (value: number, topics: readonly string[]) =>
    (held.get(value) ?? []).some((selector) => topics.some((topic) => compile(selector, BASE)(topic)));
  for (const each of all) {
    if (each.step === "add") {
      index.add(each.selectors, ++last);
      held.set(last, each.selectors);
    } else if (each.step === "remove") {
      const value = nth(each.which);
      index.remove(held.get(value) ?? [], value);
      held.delete(value);
      paused.delete(value);
    } else if (each.step === "resume") {
      if (paused.delete(nth(each.which))) index.resume(nth(each.which));
    } else if (each.step === "test") {
      assert.equal(index.testOf(each.selector)(each.topic), compile(each.selector, BASE)(each.topic));
    } else {
      budget.left = each.units;
      const found = index.matching(each.topics);
      const untried = index.takeUntried();
      for (const value of found) assert.ok(wants(value, each.topics), `${value} does not want it`);
      for (const value of untried) assert.ok(!found.includes(value) && !paused.has(value), `${value} twice`);
      for (const value of held.keys()) {
        const isKnown = found.includes(value) || untried.includes(value) || paused.has(value);
        assert.ok(isKnown || !wants(value, each.topics), `${value} was missed`);
      }
      for (const value of untried) {
        index.pause(value);
        paused.add(value);
      }
    }
  }
}

const slow = (count: number, seed: number) =>
  Array.from({ length: count }, (_, n) => parse("urlpattern", `https://example.com/((?:.?){${150 + n}}[Z${seed}])`));

describe("TopicIndex with a budget", () => {
  test("loses no subscriber: one that was not found was not tried and is reported, or reads from the history", () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 60 }), (all) => run(all)),
      { numRuns: 300 },
    );
  });

  test("tries the patterns of the cheapest values first", () => {
    const budget: Budget = { left: 2_000 };
    const index = new TopicIndex<string>(BASE, budget);
    for (let n = 0; n < 20; n++)
      index.add([parse("urlpattern", `https://example.com/((?:.?){200}[Z${n}])`)], `slow ${n}`);
    index.add([parse("urlpattern", "https://example.com/:kind/1")], "cheap");
    index.add([parse("exact", "https://example.com/books/1")], "exact");
    const found = index.matching(["https://example.com/books/1"]);
    assert.deepEqual([...found].sort(), ["cheap", "exact"]);
    const untried = index.takeUntried();
    assert.ok(untried.length > 10 && untried.every((value) => value.startsWith("slow")), `${untried.length} untried`);
  });

  test("counts a value with many cheap patterns for what all of them cost", () => {
    const budget: Budget = { left: 800 };
    const index = new TopicIndex<string>(BASE, budget);
    const cheap = (n: number) => parse("urlpattern", `https://example.com/:kind/1?:x${n}=*`);
    index.add(
      Array.from({ length: 90 }, (_, n) => cheap(n)),
      "many",
    );
    index.add([cheap(100)], "one");
    index.matching(["https://example.com/books/1?yes"]);
    assert.deepEqual(index.takeUntried(), ["many"]);
  });

  test("continues where it stopped when a topic is published again, and keeps what it found", () => {
    const budget: Budget = { left: 0 };
    const index = new TopicIndex<string>(BASE, budget);
    for (let n = 0; n < 10; n++) index.add(slow(5, n), `slow ${n}`);
    let publications = 0;
    do {
      budget.left = 50_000;
      index.matching(["https://example.com/books/and/more"]);
      publications++;
    } while (index.takeUntried().length > 0);
    assert.ok(publications > 2, "it took several");
    const before = stepsSoFar();
    index.matching(["https://example.com/books/and/more"]);
    assert.equal(stepsSoFar(), before, "and nothing from then on");
  });

  test("knows what all distinct patterns cost, and what others would add", () => {
    const index = new TopicIndex<string>(BASE);
    assert.equal(index.cost, 0);
    const [one, other] = [parse("urlpattern", "/:a/1"), parse("urlpattern", "/((?:.?){100})")];
    const [costOfOne, costOfOther] = [index.costOf([one]), index.costOf([other])];
    assert.ok(costOfOne > 0 && costOfOther > 200);
    index.add([one, parse("exact", "/a")], "one");
    index.add([one], "same");
    assert.equal(index.cost, costOfOne);
    assert.equal(index.costOf([one, other]), costOfOther);
    index.remove([one], "same");
    index.remove([one, parse("exact", "/a")], "one");
    assert.equal(index.cost, 0);
  });
});
