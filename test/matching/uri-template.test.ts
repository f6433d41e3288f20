import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compileNode } from "../../src/matching/automaton.js";
import { unlimitedWork } from "../../src/matching/compile-work.js";
import { MAX_STEP_COUNT, matchesNfa } from "../../src/matching/nfa-matcher.js";
import { parseTemplate } from "../../src/matching/uri-template.js";
import { measureNfa } from "../support/measure-nfa.js";

function compile(template: string) {
  const node = parseTemplate(template);
  assert.ok(node, `${template} is a template`);
  return compileNode(node, unlimitedWork());
}

const CASES: readonly [template: string, yes: readonly string[], no: readonly string[]][] = [
  [
    "https://example.com/books/{id}",
    [
      "https://example.com/books/1",
      "https://example.com/books/",
      "https://example.com/books/a,b",
      "https://example.com/books/caf%C3%a9",
    ],
    [
      "https://example.com/books/1/2",
      "https://example.com/books/1?x",
      "https://example.com/books",
      "https://example.com/books/caf%C3%",
      "https://example.com/books/café",
      "xhttps://example.com/books/1",
      "HTTPS://example.com/books/1",
    ],
  ],
  ["{a}", ["", "a", "a.b-c_d~e", "%41", ","], ["a/b", "a b", "%4", "%4g", "a=b", "'"]],
  ["{a,b}", ["", "1", "1,2", ",", "1,2,3"], ["1/2", "1=2"]],
  ["{a*}", ["", "1,2,3", "k=v,l=w"], ["1/2"]],
  ["{a:3}", ["", "abc", "abcd"], ["a/b"]],
  ["/{+path}", ["/", "/a/b/c", "/a?b=c&d#e", "/a'b(c)[d]", "/%2F"], ["", "a", "/a b", "/%2", "/ü"]],
  ["{+a,b}", ["1,2", "/a/,/b/"], ["{", " "]],
  ["x{#frag}", ["x", "x#", "x#a/b?c", "x#a,b"], ["xa", "x##é", "x# "]],
  ["x{#a,b}", ["x#1,2"], ["x1,2"]],
  ["file{.ext}", ["file", "file.", "file.tar", "file.tar.gz"], ["filetar", "file.a/b"]],
  ["file{.a,b}", ["file.a.b"], ["file.a;b"]],
  ["file{.a*}", ["file.a.b.c", "file.k=v"], ["file.a/b"]],
  ["/base{/a}", ["/base", "/base/", "/base/x"], ["/base/x/y", "/basex", "/base/x=y"]],
  ["/base{/a,b}", ["/base", "/base/x", "/base/x/y"], ["/base/x/y/z"]],
  ["/base{/a*}", ["/base", "/base/x/y/z", "/base/k=v"], ["/base?x"]],
  ["/p{;x}", ["/p", "/p;x", "/p;x=1", "/p;y=1"], ["/p;x=1;y=2", "/px"]],
  ["/p{;x,y}", ["/p;x=1;y=2"], ["/p;x=1;y=2;z=3"]],
  ["/p{;x*}", ["/p;a=1;b=2;c=3"], ["/p;a/b"]],
  ["/q{?q}", ["/q", "/q?", "/q?q=1", "/q?other=1"], ["/q?q=1&r=2", "/q&q=1", "/q?q=a/b"]],
  ["/q{?q,r}", ["/q?q=1", "/q?q=1&r=2"], ["/q?q=1&r=2&s=3"]],
  ["{?q*}", ["", "?", "?a=1&b=2&c=3"], ["&a=1", "?a=1?b=2"]],
  ["/q?fixed=1{&q}", ["/q?fixed=1", "/q?fixed=1&q=2"], ["/q", "/q?fixed=1&q=2&r=3"]],
  ["/q?fixed=1{&q*}", ["/q?fixed=1&a=1&b=2"], ["/q?fixed=1?a=1"]],
  [
    "{/lang}/doc{.ext}{?page,size}{#part}",
    ["/doc", "/en/doc.html?page=1&size=2#top", "/en/doc?page=1"],
    ["/en/fr/doc"],
  ],
  ["{a}{b}-{c}", ["-", "xy-z"], ["", "xy/z"]],
  ["/ü/{id}", ["/ü/1"], ["/%C3%BC/1"]],
  ["{%41b.c_d}", ["x"], ["/"]],
];

describe("URI templates", () => {
  for (const [template, yes, no] of CASES) {
    test(`${template} matches what it matches in the reference hub`, () => {
      const program = compile(template);
      for (const topic of yes) assert.equal(matchesNfa(program, topic), true, topic);
      for (const topic of no) assert.equal(matchesNfa(program, topic), false, topic);
    });
  }

  const NONE = [
    "{",
    "}",
    "a}b",
    "{}",
    "{a",
    "{a}}",
    "{{a}}",
    "{a b}",
    "{=a}",
    "{!a}",
    "{|a}",
    "{a,}",
    "{a:0}",
    "{a:10000}",
    "{a**}",
  ];

  for (const value of [...NONE, "{+}", "{a:3*}", "{a..b}", "{.a", "{%4}", "<{a}>", "a b{c}", "%4{a}"]) {
    test(`${value} is no template`, () => {
      assert.equal(parseTemplate(value), undefined);
    });
  }

  const SLOW = [
    `${"{+a}".repeat(40)}!{b}`,
    `${"{a}{/b}".repeat(20)}!{b}`,
    `{${Array.from({ length: 40 }, (_, i) => `a${i}`).join(",")}}!{b}`,
    `${"{+a*}{?b*}{&c*}".repeat(6)}!{b}`,
  ];

  for (const template of SLOW) {
    test(`${template.slice(0, 20)}... costs no more than the limit, on 4 kB made for it`, () => {
      for (const unit of ["a", "a,", "a/", "?a&", "%41", "!"]) {
        const { steps } = measureNfa(compile(template), unit.repeat(4096 / unit.length));
        assert.ok(steps <= MAX_STEP_COUNT + 1_100, `${steps} steps`);
      }
    });
  }

  test("more variables than a template can sensibly have are too much", () => {
    assert.throws(() => compile("{a}{/b}".repeat(100)), { name: "ProtocolError", code: "too_large" });
  });
});
