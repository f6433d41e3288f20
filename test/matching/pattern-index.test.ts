import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import type { Matcher } from "../../src/matching/matcher.js";
import { type Indexed, PatternIndex, type RequiredLiteral, type TopicForm } from "../../src/matching/pattern-index.js";
import { compile, parseSelector, type SelectorKind } from "../../src/matching/selector.js";
import { partOfTopic } from "../../src/matching/url-pattern.js";

const BASE = "https://hub.example/.well-known/mercure";

interface Pattern {
  readonly value: string;
  readonly matches: Matcher;
  readonly needs: readonly RequiredLiteral[];
  lastQuery: number;
  list: Indexed[] | undefined;
  position: number;
}

function pattern(kind: SelectorKind, value: string): Pattern {
  const matches = compile(parseSelector(kind, value, BASE), BASE);
  return { value, matches, needs: matches.needs ?? [], lastQuery: 0, list: undefined, position: 0 };
}

const formOf = (topic: string) => (form: TopicForm) => (form === "text" ? topic : partOfTopic(form, topic, BASE));
const candidates = (list: PatternIndex<Pattern>, topic: string) =>
  list.candidates(formOf(topic)).map(({ value }) => value);

function listOf(patterns: readonly Pattern[]): PatternIndex<Pattern> {
  const list = new PatternIndex<Pattern>();
  for (const one of patterns) list.add(one);
  return list;
}

describe("PatternIndex", () => {
  test("of a thousand patterns with the same beginning a topic is tried on those that have its end", () => {
    const patterns = Array.from({ length: 1_000 }, (_, i) =>
      i % 2 === 0
        ? pattern("template", `https://example.com/{kind}/${i}-room{?q}`)
        : pattern("urlpattern", `https://example.com/:kind/${i}-room`),
    );
    const list = listOf(patterns);
    for (const i of [500, 501, 7]) {
      const found = candidates(list, `https://example.com/books/${i}-room`);
      assert.ok(found.includes(patterns[i]?.value ?? ""));
      assert.ok(found.length < 100, `${found.length} of 1000`);
    }
    assert.ok(candidates(list, "https://example.com/books/none").length < 100);
  });

  test("of a long literal text the end counts, and a topic that has it all is found", () => {
    const long = "x".repeat(4_000);
    const list = listOf([pattern("template", `${long}/{a}`), pattern("template", `${long}y/{a}`)]);
    assert.ok(candidates(list, `${long}/1`).includes(`${long}/{a}`));
    assert.ok(candidates(list, `${long}y/1`).includes(`${long}y/{a}`));
  });

  test("a pattern without literal text is tried on every topic", () => {
    const list = listOf([pattern("template", "{a}"), pattern("urlpattern", ":x://*")]);
    for (const topic of ["a", "https://example.com/", "https://[bad"])
      assert.equal(candidates(list, topic).includes("{a}"), true);
  });

  test("a topic that is no URL is tried on no URL pattern that has literal text", () => {
    const list = listOf([pattern("urlpattern", "https://example.com/x/:id"), pattern("template", "https://[{x}")]);
    assert.deepEqual(candidates(list, "https://[bad"), ["https://[{x}"]);
    assert.deepEqual(candidates(list, "https://example.com/x/1"), ["https://example.com/x/:id"]);
  });

  test("what is removed is not found any more, and what was filed beside it still is", () => {
    const [one, other] = [pattern("template", "same/{a}"), pattern("template", "same/{b}")];
    const list = listOf([one, other]);
    list.remove(one);
    assert.deepEqual(candidates(list, "same/x"), ["same/{b}"]);
    list.remove(other);
    assert.deepEqual(candidates(list, "same/x"), []);
  });

  const piece = fc.constantFrom(
    "a",
    "b1",
    "/",
    "/x",
    "books",
    "https://",
    "e.com",
    "hub.example",
    ".",
    "?q=1",
    "#f",
    "é",
    "%41",
    "%C3%A9",
    "-",
    "urn:",
    "..",
  );
  const expression = fc.constantFrom(
    "{a}",
    "{+a}",
    "{/a,b}",
    "{/a*}",
    "{?q}",
    "{#f}",
    "{.a}",
    ":id",
    ":id?",
    "*",
    "(\\d+)",
    "{x}?",
    "(a|b)*",
    "{/y}*",
  );
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const value = fc.array(fc.oneof(piece, expression), { minLength: 1, maxLength: 7 }).map((pieces) => pieces.join(""));
  const anyPattern = fc.tuple(fc.constantFrom<SelectorKind>("template", "urlpattern"), value).map(([kind, text]) => {
    try {
      const one = pattern(kind, text);
      return text === "*" ? undefined : one;
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    }
  });

  test("each matching pattern is among the candidates, once", () => {
    let matched = 0;
    fc.assert(
      fc.property(fc.array(anyPattern, { maxLength: 12 }), fc.array(text, { maxLength: 6 }), (some, topics) => {
        const patterns = some.filter((it) => it !== undefined);
        const list = listOf(patterns);
        // Literally what a pattern says is a topic, too.
        for (const topic of [
          ...topics,
          ...patterns.map((it) => it.value.replace(/[:{}*?()|\\+]/g, "")),
          ...patterns.map((it) => it.value),
        ]) {
          const found = list.candidates(formOf(topic));
          assert.equal(new Set(found).size, found.length);
          for (const one of patterns) {
            if (!one.matches(topic)) continue;
            matched++;
            assert.ok(found.includes(one), `${one.value} matches ${topic} and is no candidate`);
          }
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(matched > 1_000, `${matched} matches were looked at`);
  });
});
