import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  ANY,
  canonical,
  compile,
  covers,
  coversAll,
  parseSelector,
  type Selector,
  type SelectorKind,
  selectorOf,
  signature,
  textOf,
} from "../../src/matching/selector.js";

const BASE = "https://hub.example/.well-known/mercure";
const KINDS: readonly SelectorKind[] = ["exact", "template", "urlpattern"];

const parse = (kind: SelectorKind, value: string): Selector => parseSelector(kind, value, BASE);
const matches = (kind: SelectorKind, value: string, topic: string): boolean => compile(parse(kind, value), BASE)(topic);

describe("Selector", () => {
  for (const kind of KINDS) {
    test(`* is every topic, as ${kind} too`, () => {
      assert.deepEqual(parse(kind, "*"), ANY);
      assert.equal(matches(kind, "*", "https://[no url"), true);
    });

    test(`a control, invisible or broken character is refused as ${kind}`, () => {
      for (const bad of ["\0", "\t", "\n", "\x7f", "\x85", "\u200b", "\u202e", "\ufeff", "\ud800", "\u{e0001}"]) {
        const refused = { name: "ProtocolError", code: "invalid", message: /U\+[0-9A-F]{4,}/ };
        assert.throws(() => parse(kind, `/a${bad}b`), refused);
      }
    });

    test(`rejects more than 4096 bytes as ${kind}, whatever the number of characters`, () => {
      assert.ok(parse(kind, `/${"a".repeat(4095)}`));
      for (const value of [`/${"a".repeat(4096)}`, `/${"é".repeat(2048)}`]) {
        assert.throws(() => parse(kind, value), { name: "ProtocolError", code: "too_large", message: /4097 bytes/ });
      }
    });
  }

  test("an exact selector is compared byte for byte", () => {
    assert.equal(matches("exact", "https://e.com/{id}", "https://e.com/{id}"), true);
    for (const other of [
      "https://E.com/{id}",
      "https://e.com/1",
      "https://e.com/%7Bid%7D",
      "https://e.com/{id}/",
      "",
    ]) {
      assert.equal(matches("exact", "https://e.com/{id}", other), false, other);
    }
    assert.equal(matches("exact", "caf\u00e9", "cafe\u0301"), false);
  });

  test("a template matches itself, too", () => {
    assert.equal(matches("template", "/books/{id}", "/books/{id}"), true);
    assert.equal(matches("template", "/books/{id}", "/books/1"), true);
    assert.equal(matches("template", "/books/{id}", "/books/1/2"), false);
  });

  test("what is no template is an exact topic", () => {
    for (const value of ["/books/1", "/books/{", "/a b/{id}", "{=x}"]) {
      assert.deepEqual(parse("template", value), { kind: "exact", value });
    }
  });

  test("a URL pattern is checked when it is read", () => {
    assert.throws(() => parse("urlpattern", "/("), { name: "ProtocolError", code: "invalid" });
    assert.throws(() => parse("urlpattern", "/(a{600})"), { name: "ProtocolError", code: "too_large" });
  });

  test("resolves a URL pattern against the given base", () => {
    const selector = parse("urlpattern", "/x/:id");
    assert.equal(compile(selector, BASE)("https://hub.example/x/1"), true);
    assert.equal(compile(selector, "https://other.example/")("https://hub.example/x/1"), false);
    assert.equal(compile(selector, BASE)("https://hub.example/x/1"), true);
  });

  const topic = fc.stringMatching(/^[a-z{}:/*é]{0,12}$/);
  const kindOf = fc.constantFrom(...KINDS);
  const parsed = fc.tuple(kindOf, topic).map(([kind, value]) => {
    try {
      return parse(kind, value);
    } catch {
      return ANY;
    }
  });

  test("a selector has one text, without a line end, and is made again from it", () => {
    fc.assert(
      fc.property(parsed, (selector) => {
        assert.doesNotMatch(textOf(selector), /\n/);
        assert.deepEqual(selectorOf(textOf(selector)), selector);
      }),
    );
  });

  test("a text that no selector has is a mistake of ours", () => {
    for (const text of ["", "exact", "exact\t", "none\ta", "exact\ta\tb", "exact\ta\nexact\tb", "**"]) {
      const attempt = () => selectorOf(text);
      if (text === "exact\t") assert.deepEqual(attempt(), { kind: "exact", value: "" });
      else assert.throws(attempt, TypeError);
    }
  });

  test("the same selectors have the same signature, in any order and however often", () => {
    fc.assert(
      fc.property(fc.array(parsed, { maxLength: 6 }), (selectors) => {
        const expected = signature(canonical(selectors));
        assert.equal(signature(canonical([...selectors, ...selectors].reverse())), expected);
        assert.equal(new Set(expected.split("\n")).size, canonical(selectors).length || 1);
      }),
    );
  });

  test("different selectors have different signatures", () => {
    const texts = [["a"], ["a", "b"], ["b"], ["ab"]].map((all) =>
      signature(canonical(all.map((value) => parse("exact", value)))),
    );
    const kinds = KINDS.map((kind) => signature([{ kind, value: "/{a}" }]));
    const all = [...texts, ...kinds, signature([ANY]), signature([])];
    assert.equal(new Set(all).size, all.length);
  });

  const GRANTS = [parse("exact", "news"), parse("template", "/users/{id}"), parse("urlpattern", "/books/:id")];

  test("a grant for one of its topics is enough to read a publication", () => {
    assert.equal(covers(GRANTS, ["secret", "/users/1"], BASE), true);
    assert.equal(covers(GRANTS, ["secret", "https://hub.example/books/1"], BASE), true);
    assert.equal(covers(GRANTS, ["secret", "/users/1/mail"], BASE), false);
    assert.equal(covers([ANY], ["secret"], BASE), true);
  });

  test("to publish, each topic needs a grant", () => {
    assert.equal(coversAll(GRANTS, ["news", "/users/1", "/books/2"], BASE), true);
    assert.equal(coversAll(GRANTS, ["news", "secret"], BASE), false);
    assert.equal(coversAll([ANY], ["news", "secret"], BASE), true);
  });

  test("without grants nothing is granted", () => {
    assert.equal(covers([], ["news"], BASE), false);
    assert.equal(coversAll([], ["news"], BASE), false);
  });
});
