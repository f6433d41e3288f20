import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { URLPattern } from "urlpattern-polyfill/urlpattern";
import { unlimitedWork } from "../../src/matching/compile-work.js";
import { compileUrlPattern } from "../../src/matching/url-pattern.js";

const BASE = "https://hub.example/.well-known/mercure";
const compile = (pattern: string) => compileUrlPattern(pattern, BASE, unlimitedWork());

const CASES: readonly [pattern: string, yes: readonly string[], no: readonly string[]][] = [
  [
    "https://example.com/books/:id",
    [
      "https://example.com/books/1",
      "https://example.com/books/1?x=1",
      "https://example.com/books/1#f",
      "https://user:pw@example.com/books/1",
      "https://example.com:443/books/1",
      "https://EXAMPLE.com/books/1",
    ],
    [
      "https://example.com/books/a/b",
      "https://example.com/books/",
      "https://example.com:8443/books/1",
      "http://example.com/books/1",
      "https://example.com/Books/1",
      "https://[bad",
    ],
  ],
  ["/books/:id", ["/books/1", "https://hub.example/books/1"], ["https://example.com/books/1", "books/1"]],
  ["foo/:x", ["foo/1", "/.well-known/foo/1", "https://hub.example/.well-known/foo/1"], ["/foo/1"]],
  ["/café", ["/café", "/caf%C3%A9"], ["/caf%c3%a9", "/cafe"]],
  ["urn:isbn::n", [], ["urn:isbn:123"]],
  ["urn\\:*", [], ["urn:isbn:123"]],
  ["*://*/*", ["https://example.com/", "http://a.b/c?d#e"], ["https://example.com:8443/"]],
  ["https://*.example.com/*", ["https://a.b.example.com/x"], ["https://example.com/x"]],
  ["https://:sub.example.com/", ["https://a.example.com/"], ["https://a.b.example.com/"]],
  ["https://*:*/x", ["https://a.b:1234/x", "https://a.b/x"], ["https://a.b/y"]],
  ["https://[\\:\\:1]/x", ["https://[::1]/x"], ["https://[::2]/x"]],
  [
    "https://bücher.example/",
    ["https://bücher.example/", "https://xn--bcher-kva.example/"],
    ["https://bucher.example/"],
  ],
  ["http{s}?://example.com/", ["http://example.com/", "https://example.com/"], ["ftp://example.com/"]],
  ["https://example.com:443/", ["https://example.com/"], ["https://example.com:80/"]],
  ["/a/:b?", ["/a", "/a/x"], ["/a/", "/a/x/y"]],
  ["/a/:b+", ["/a/x", "/a/x/y"], ["/a", "/a/"]],
  ["/a/:b*", ["/a", "/a/x/y/z"], ["/a/"]],
  ["/a{/b}?", ["/a", "/a/b"], ["/ab"]],
  ["/a/{:b}-{:c}", ["/a/x-y"], ["/a/x"]],
  ["/year/:y(\\d{4})", ["/year/2026"], ["/year/26", "/year/20265"]],
  ["/(a|b)+", ["/a", "/a/b"], ["/c"]],
  ["/*.(jpg|png)", ["/x/y.png"], ["/x/y.gif"]],
  ["/a/../b", ["/b"], ["/a/b"]],
  ["?q=*", ["?q=1", "/.well-known/mercure?q=1#f"], ["/x?q=1", "?r=1"]],
  ["/x?q=1", ["/x?q=1", "/x?q=1#f"], ["/x", "/x?q=2"]],
  ["#top", ["#top", "/.well-known/mercure#top"], ["/x#top", "?q#top"]],
  ["/x\\?q", ["/x?q"], ["/x", "/q"]],
  ["", ["/.well-known/", "./?x"], ["/.well-known/mercure"]],
  ["https://example.com", ["https://example.com", "https://example.com/any/thing?x#y"], ["https://example.org"]],
  ["data:text*", [], ["data:text/plain"]],
  ["data\\:text*", [], ["data:text/plain"]],
  ["x-app://:host/:rest*", ["x-app://h/a/b"], ["x-other://h/a"]],
];

describe("URL patterns", () => {
  for (const [pattern, yes, no] of CASES) {
    test(`${pattern || "nothing"} matches as the standard has it`, () => {
      const matches = compile(pattern);
      for (const topic of yes) assert.equal(matches(topic), true, topic);
      for (const topic of no) assert.equal(matches(topic), false, topic);
    });
  }

  const MALFORMED = [
    "/{a",
    "/a}",
    "/(a",
    "/()",
    "/(?:a)",
    "/((a))",
    "/:a/:a",
    "/{a{b}}",
    "/**:",
    "\\",
    "/(é)",
    "https://a b/",
    "https://e.com:8x/",
  ];

  for (const pattern of [...MALFORMED, "https://[g::1]/", "1x://a/", "/([b-a])", "/(\\1)", "https://e.com:70000/"]) {
    test(`${pattern} is malformed`, () => {
      assert.throws(() => compile(pattern), { name: "ProtocolError", code: "invalid" });
    });
  }

  test("a port of the base is part of what a relative pattern means", () => {
    const matches = compileUrlPattern("/x", "https://hub.example:8443/hub", unlimitedWork());
    assert.equal(matches("https://hub.example:8443/x"), true);
    assert.equal(matches("/x"), true);
    assert.equal(matches("https://hub.example/x"), false);
  });

  test("characters of the base that mean something in patterns mean themselves", () => {
    const matches = compileUrlPattern("x", "https://hub.example/a*(b)/hub", unlimitedWork());
    assert.equal(matches("/a*(b)/x"), true);
    assert.equal(matches("/ab/x"), false);
  });

  test("a host beyond ASCII is no less a URL after ten thousand topics", () => {
    const matches = compile("https://*/x");
    for (let i = 0; i < 10_000; i++) assert.equal(matches(`https://bücher${i}.example/x`), true);
  });

  /** Each is longer to match, or to read, for a backtracking implementation than anyone would wait: this test would not end. */
  const SLOW = [
    `*${"{*}".repeat(100)}x://e.com/`,
    `${"{h}?".repeat(60)}x://e.com/`,
    "https://e.com/*a*a*a*a*a*a*(\\D)",
    "https://e.com/((?:a*)*b)",
    `https://e.com/:a${"{a}?".repeat(80)}c*`,
    "https://*.*.*.*.*.*.*.*x/",
  ];

  for (const pattern of SLOW) {
    test(`${pattern.slice(0, 30)} is read, and matched, before the world ends`, () => {
      const matches = compile(pattern);
      for (let i = 0; i < 20; i++) assert.equal(matches(`https://e.com/${"a".repeat(4000)}/${i}`), false);
    });
  }

  test("nonsense of any kind is a pattern or is refused", () => {
    const bits = fc.constantFrom(
      "(",
      ")",
      "{",
      "}",
      ":",
      "*",
      "?",
      "\\",
      "[",
      "]",
      "/",
      "a",
      "(?:",
      "(a|b)",
      "://",
      "#",
      "@",
    );
    fc.assert(
      fc.property(fc.array(bits, { maxLength: 1_000 }), (all) => {
        try {
          compile(all.join(""))("https://hub.example/a");
        } catch (error) {
          assert.match(String(error), /ProtocolError/);
        }
      }),
      { numRuns: 200 },
    );
  });

  const head = fc.constantFrom(
    "/",
    "https://example.com/",
    "/books/",
    "https://*.example.com/",
    "*://*/",
    "http{s}?://a.b:*/",
    "?",
  );
  const piece = fc.constantFrom(
    ":id",
    ":n(\\d*)",
    "*",
    "/",
    "books",
    "a",
    "{/:p}?",
    "{:s.}+",
    "{b}*",
    "{/a/:q}*",
    "(\\d+)",
    "([a-z]{2}|x*)",
    "(a|b)+",
    ".html",
    "?q=*",
    "#top",
    "(?:x|y)?",
    "([^a-c]*)",
    "(.*b)",
    "(^a)",
    "(a$)",
    "([\\w.~]{1,3})",
    "(a{2,}?)",
    "(a.?)*",
    "é",
    "\\:",
  );
  const start = fc.constantFrom(
    "/",
    "https://example.com/",
    "/books/",
    "https://a.example.com/",
    "http://a.b:81/",
    "?",
    "https://[bad",
  );
  const part = fc.constantFrom(
    "a",
    "b",
    "x",
    "1",
    "23",
    "-",
    ".html",
    "books",
    "b/a",
    "a/",
    "?q=1",
    "#top",
    "é",
    "%C3%A9",
  );

  test("agrees with another implementation of the standard", () => {
    const joined = (first: fc.Arbitrary<string>, next: fc.Arbitrary<string>) =>
      fc.tuple(first, fc.array(next, { maxLength: 5 })).map(([begin, rest]) => begin + rest.join(""));
    // The other one loses the host of a topic whose path begins with two slashes.
    const topics = fc.array(joined(start, part), { minLength: 10, maxLength: 20 });
    fc.assert(
      fc.property(joined(head, piece), topics, (pattern, all) => {
        const [own, other] = [outcome(() => compile(pattern)), outcome(() => otherOf(pattern))];
        assert.equal(own === undefined, other === undefined, `only one takes ${pattern}`);
        for (const topic of all) assert.equal(own?.(topic), other?.(topic), `${pattern} on ${topic}`);
      }),
      { numRuns: 500 },
    );
  });

  function otherOf(pattern: string): (topic: string) => boolean {
    const other = new URLPattern(pattern, BASE);
    return (topic) => other.test(topic, BASE);
  }

  function outcome<T>(attempt: () => T): T | undefined {
    try {
      return attempt();
    } catch {
      return undefined;
    }
  }
});
