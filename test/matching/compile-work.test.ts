import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CompileWork, MAX_COMPILE_UNITS } from "../../src/matching/compile-work.js";
import { parseSelector, type SelectorKind } from "../../src/matching/selector.js";

const BASE = "https://hub.example/.well-known/mercure";

/** Units of work of one request with these patterns. */
function unitsOf(patterns: readonly string[], kind: SelectorKind = "urlpattern"): number {
  const work = new CompileWork(Number.POSITIVE_INFINITY);
  for (const pattern of patterns) parseSelector(kind, pattern, BASE, work);
  return work.units;
}

function compileAll(patterns: readonly string[], kind: SelectorKind = "urlpattern"): void {
  const work = new CompileWork();
  for (const pattern of patterns) parseSelector(kind, pattern, BASE, work);
}

const many = (count: number, pattern: (n: number) => string) => Array.from({ length: count }, (_, n) => pattern(n));

describe("CompileWork", () => {
  test("accepts a hundred ordinary patterns for half of the budget of a request", () => {
    assert.ok(unitsOf(many(100, (n) => `https://example.com/:a/${n}/:b?page=*`)) < MAX_COMPILE_UNITS / 2);
    assert.ok(
      unitsOf(
        many(100, (n) => `https://example.com/${n}/{a}{?b,c}`),
        "template",
      ) <
        MAX_COMPILE_UNITS / 2,
    );
  });

  const expensive: readonly [what: string, patterns: readonly string[], kind: SelectorKind, cause: RegExp][] = [
    [
      "sets of emoji",
      many(100, (n) => `/${n}(${"[\\p{RGI_Emoji}a]".repeat(15)})`),
      "urlpattern",
      /properties of strings/,
    ],
    ["other properties", many(60, (n) => `/${n}(${"[\\p{L}\\P{Lu}]".repeat(15)})`), "urlpattern", /Unicode properties/],
    ["classes", many(50, (n) => `/${n}(${many(60, (m) => `[${m}a]`).join("")})`), "urlpattern", /character classes/],
    ["long classes", many(8, (n) => `/${n}([${"\\w\\d".repeat(980)}])`), "urlpattern", /character classes/],
    [
      "alternatives",
      many(100, (n) => `/${n}(${"|".repeat(150)})#(${"|".repeat(150)})`),
      "urlpattern",
      /length of the patterns|alternatives/,
    ],
    [
      "counted repetitions",
      many(100, (n) => `((?:.?){100})://((?:.?){240})/((?:.?){240})/${n}`),
      "urlpattern",
      /repetitions/,
    ],
    ["groups", many(30, (n) => `/${n}${"{a}?".repeat(100)}`), "urlpattern", /text between groups/],
    ["template expressions", many(25, (n) => `/${n}${"{a}".repeat(60)}`), "template", /expressions in templates/],
  ];
  for (const [what, patterns, kind, cause] of expensive) {
    test(`rejects a request with too many ${what} as too expensive`, () => {
      assert.throws(() => compileAll(patterns, kind), {
        code: "too_large",
        message: /too expensive to compile.*fix: /,
      });
      assert.throws(() => compileAll(patterns, kind), { message: cause });
    });
  }

  test("counts a pattern that was compiled before as much as a new one", () => {
    const patterns = many(10, (n) => `/cached/${n}([\\p{L}\\p{RGI_Emoji}])/:name`);
    const first = unitsOf(patterns);
    assert.equal(unitsOf(patterns), first);
    const work = new CompileWork(Number.POSITIVE_INFINITY);
    for (const pattern of patterns) parseSelector("urlpattern", pattern, BASE, work);
    assert.equal(work.performed, 0);
  });

  test("does not let patterns into one request that were compiled one by one", () => {
    const patterns = many(60, (n) => `/one-by-one/${n}([\\p{RGI_Emoji}])`);
    for (const pattern of patterns) compileAll([pattern]);
    assert.throws(() => compileAll(patterns), { code: "too_large" });
  });
});
