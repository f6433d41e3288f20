import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileNode, MAX_STATE_COUNT } from "../../src/matching/automaton.js";
import { unlimitedWork } from "../../src/matching/compile-work.js";
import { MAX_STEP_COUNT, matchesNfa } from "../../src/matching/nfa-matcher.js";
import { parseRegExp } from "../../src/matching/regexp.js";
import { measureNfa } from "../support/measure-nfa.js";

const compile = (source: string) => compileNode(parseRegExp(source, unlimitedWork()), unlimitedWork());

const atom = fc.constantFrom("a", "b", "\\.", "[ab]", "[^a]", ".", "\\d", "\\w", "\\x61", "(?:)", "^", "$");
const quantifier = fc.constantFrom("", "", "?", "*", "+", "{2}", "{0}", "{1,}", "{0,2}", "*?");
// Three levels at most: the backtracking engine that is asked for comparison may need ages for more.
const { expression } = fc.letrec<{ expression: string; term: string }>((tie) => ({
  term: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.tuple(atom, quantifier).map(([one, times]) => (/^[$^]/.test(one) ? one : one + times)),
    fc.tuple(tie("expression"), quantifier).map(([inner, times]) => `(?:${inner})${times}`),
  ),
  expression: fc
    .array(fc.array(tie("term"), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
    .map((choices) => choices.map((terms) => terms.join("")).join("|")),
}));
const input = fc.array(fc.constantFrom("a", "b", "c", ".", "1", "4", "-"), { maxLength: 7 }).map((all) => all.join(""));

describe("Regular expressions in URL patterns", () => {
  // Not with the flag "v": V8 11.3 (Node 20) then takes (?:(?:[^a]|)x)+ for a match of "ax".
  test("agrees with JavaScript's own engine", () => {
    fc.assert(
      fc.property(expression, fc.array(input, { minLength: 5, maxLength: 15 }), (source, inputs) => {
        const program = compile(source);
        const own = new RegExp(`^(?:${source})$`, "u");
        for (const each of inputs) assert.equal(matchesNfa(program, each), own.test(each), `(${source}) on "${each}"`);
      }),
      { numRuns: 200 },
    );
  });

  const CLASSES: readonly [source: string, yes: string, no: string][] = [
    ["[a-c]", "b", "d"],
    ["[^a-c]", "d", "b"],
    ["[\\]x]", "]", "\\"],
    ["[\\w&&[^\\d]]", "a", "1"],
    ["\\p{Lu}", "A", "a"],
    ["\\u0041", "A", "B"],
    ["\\u{41}", "A", "B"],
    ["\\x41", "A", "B"],
    ["\\cI", "\t", "I"],
    ["\\/", "/", "\\"],
    ["[^/]", "a", "/"],
    ["[(]", "(", ")"],
  ];

  for (const [source, yes, no] of CLASSES) {
    test(`(${source}) matches ${JSON.stringify(yes)} and not ${JSON.stringify(no)}`, () => {
      const program = compile(source);
      assert.equal(matchesNfa(program, yes), true);
      assert.equal(matchesNfa(program, no), false);
    });
  }

  test("a named group is a group", () => {
    const program = compile("(?<year>\\d{4})-x");
    assert.equal(matchesNfa(program, "2026-x"), true);
    assert.equal(matchesNfa(program, "206-x"), false);
  });

  const REFUSED: readonly [source: string, why: RegExp][] = [
    ["(?=a)a", /lookaround and inline flags/],
    ["(?<!a)b", /lookaround and inline flags/],
    ["\\bword\\b", /word boundaries/],
    ["(?<x>a)\\k<x>", /backreferences/],
    ["(?:(?<x>a))\\1", /backreferences/],
    ["a{2", /not a regular expression/],
    ["*", /not a regular expression/],
    ["[b-a]", /not a regular expression/],
    ["(?P<x>a)", /not a regular expression/],
    ["[\\q{ab|c}]", /\\q is not supported/],
  ];

  for (const [source, message] of REFUSED) {
    test(`(${source}) is rejected with its reason`, () => {
      assert.throws(() => compile(source), { name: "ProtocolError", code: "invalid", message });
    });
  }

  const TOO_MUCH: readonly [what: string, source: string][] = [
    ["a long repetition", "a{513}"],
    ["repetitions of repetitions", "(?:(?:a{100}){100}){100}"],
    ["a repetition of nothing, over and over", "(?:(?:(?:){1000000}){1000000}){1000000}"],
    ["a number beyond all numbers", `a{${"9".repeat(400)}}`],
    ["much, behind what is repeated never", `(?:a{${"9".repeat(400)}}){0}b{100000000}`],
    ["deep nesting", `${"(?:".repeat(60)}a${")".repeat(60)}`],
    ["many classes", Array.from({ length: 65 }, (_, i) => `[a\\x${(32 + i).toString(16)}]`).join("")],
  ];

  for (const [what, source] of TOO_MUCH) {
    test(`${what} is too much`, () => {
      assert.throws(() => compile(source), { name: "ProtocolError", code: "too_large" });
    });
  }

  /** With these a backtracking engine would need more than the age of the universe, or a DFA more than all memory. */
  const SLOW = [
    "(?:a*)*b",
    "(?:(?:a|b|ab)*)*[xyz]",
    ".*a.{200}",
    "(?:.?){240}",
    ".*a.*a.*a.*a.*a.*a.*[xyz]",
    "(?:[ab]?){100}[ab]{100}",
  ];

  for (const source of SLOW) {
    test(`(${source}) costs no more than the limit, on 4 kB made for it`, () => {
      const limit = MAX_STEP_COUNT + 1_100;
      for (const each of ["ab".repeat(2048), "a".repeat(4096), `${"a".repeat(4095)}b`]) {
        assert.ok(measureNfa(compile(source), each).steps <= limit);
      }
    });
  }

  test("never compiles a program above the limit", () => {
    fc.assert(
      fc.property(expression, fc.integer({ min: 0, max: 300 }), (source, times) => {
        const program = outcome(() => compile(`(?:${source}){${times}}(?:${source})*`));
        assert.ok((program?.ops.length ?? 0) <= MAX_STATE_COUNT);
      }),
      { numRuns: 150 },
    );
  });

  function outcome<T>(attempt: () => T): T | undefined {
    try {
      return attempt();
    } catch {
      return undefined;
    }
  }

  test("the cost of a usual expression grows with the text, not faster", () => {
    const program = compile("[a-z]+(?:-[a-z]+)*");
    const stepsFor = (length: number) => measureNfa(program, "ab-".repeat(length).slice(0, -1)).steps;
    assert.ok(stepsFor(1000) < 11 * stepsFor(100));
    assert.equal(measureNfa(program, "ab-".repeat(1000).slice(0, -1)).isMatch, true);
  });

  test("after an expression that was stopped, the next one is right", () => {
    assert.equal(matchesNfa(compile("(?:.?){240}"), "a".repeat(4096)), false);
    assert.equal(matchesNfa(compile("a+b"), "aab"), true);
  });
});
