/** The lint finds what it is for: a check that finds nothing proves nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lint, parseMetrics, sampleOf } from "./lint.js";

const declared = (name: string, type: string, ...samples: string[]) =>
  [`# HELP ${name} What it is.`, `# TYPE ${name} ${type}`, ...samples, ""].join("\n");

const GOOD = [
  declared("a_total", "counter", 'a_total{server="x",reason="a \\"b\\" \\\\"} 3'),
  declared(
    "b_seconds",
    "histogram",
    'b_seconds_bucket{le="1"} 1',
    'b_seconds_bucket{le="+Inf"} 2',
    "b_seconds_sum 3.5",
    "b_seconds_count 2",
  ),
].join("");

describe("Lint", () => {
  test("a good text has no faults", () => {
    assert.deepEqual(lint(GOOD), []);
    assert.equal(sampleOf(GOOD, "a_total", { server: "x", reason: 'a \\"b\\" \\\\' }), 3);
    assert.equal(sampleOf(GOOD, "b_seconds_sum"), 3.5);
    assert.equal(sampleOf(GOOD, "a_total", { server: "x" }), undefined);
  });

  const FAULTS: [what: string, text: string, fault: RegExp][] = [
    ["a counter without _total", declared("a", "counter", "a 1"), /_total belongs/],
    ["a gauge with _total", declared("a_total", "gauge", "a_total 1"), /_total belongs/],
    ["a unit that is not basic", declared("a_milliseconds", "gauge", "a_milliseconds 1"), /base unit/],
    ["no help", "# TYPE a gauge\na 1\n", /no help/],
    ["capitals", declared("aB", "gauge", "aB 1"), /snake/],
    ["a series twice", declared("a", "gauge", 'a{b="1"} 1', 'a{b="1"} 2'), /twice/],
    [
      "buckets that fall",
      declared("a", "histogram", 'a_bucket{le="1"} 2', 'a_bucket{le="+Inf"} 1', "a_sum 1", "a_count 1"),
      /rise/,
    ],
    [
      "a count that is not +Inf",
      declared("a", "histogram", 'a_bucket{le="+Inf"} 1', "a_sum 1", "a_count 2"),
      /count 2/,
    ],
    ["a reserved ending", declared("a_count", "gauge", "a_count 1"), /reserved/],
  ];

  for (const [what, text, fault] of FAULTS) {
    test(`the lint finds ${what}`, () => assert.match(lint(text).join("\n"), fault));
  }

  for (const text of [
    "a 1\n",
    declared("a", "gauge", "a"),
    declared("a", "gauge", "a x"),
    declared("a", "gauge", "a{b=1} 1"),
    "# TYPE a gauge",
  ]) {
    test(`what is not of the format is refused: ${JSON.stringify(text.split("\n").at(-2))}`, () => {
      assert.throws(() => parseMetrics(text));
    });
  }
});
