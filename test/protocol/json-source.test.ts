import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { elementSources, memberSource } from "../../src/protocol/json-source.js";

/** Text that means something in JSON. */
const word = fc.oneof(
  fc.string(),
  fc.constantFrom('"', "\\", '\\"', "{", "}", "[", "]", ",", ":", "data", "__proto__"),
);
const value = fc.jsonValue();
const space = fc.constantFrom("", " ", "\n", "\t", "\r\n");

/** JSON with white space of any kind between its tokens, and its names written with or without escapes. */
function spaced(value: unknown, gap: () => string, isEscaped: () => boolean): string {
  const around = (text: string) => gap() + text + gap();
  if (Array.isArray(value)) return `[${value.map((it) => around(spaced(it, gap, isEscaped))).join(",") || gap()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, it]) => {
    const plain = JSON.stringify(name);
    const escaped = `"${[...name].map((unit) => [...Array(unit.length).keys()].map((at) => `\\u${unit.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")).join("")}"`;
    return `${around(isEscaped() ? escaped : plain)}:${around(spaced(it, gap, isEscaped))}`;
  });
  return `{${members.join(",") || gap()}}`;
}

describe("JSON source", () => {
  test("the sources of an array's elements are the values that JSON.parse() gives", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(value, word)),
        fc.infiniteStream(space),
        fc.infiniteStream(fc.boolean()),
        (values, gaps, escapes) => {
          const json = ` ${spaced(
            values,
            () => gaps.next().value,
            () => escapes.next().value,
          )} `;
          const sources = elementSources(json);
          assert.deepEqual(
            sources.map((source) => JSON.parse(source)),
            JSON.parse(json),
          );
          for (const source of sources) assert.equal(source, source.trim());
        },
      ),
    );
  });

  test("the source of each member is the value that JSON.parse() gives, also of a name that is written with escapes", () => {
    fc.assert(
      fc.property(
        fc.dictionary(word, fc.oneof(value, word)),
        fc.infiniteStream(space),
        fc.infiniteStream(fc.boolean()),
        (object, gaps, escapes) => {
          const json = spaced(
            object,
            () => gaps.next().value,
            () => escapes.next().value,
          );
          const parsed = JSON.parse(json);
          for (const name of Object.keys(parsed))
            assert.deepEqual(JSON.parse(memberSource(json, name) ?? ""), parsed[name]);
          const absent = `${Object.keys(parsed).join("")}x`;
          assert.equal(memberSource(json, absent), undefined);
        },
      ),
    );
  });

  test("the source is the text as it stands: digits, order, white space and escapes are kept", () => {
    for (const source of [
      "1.50",
      "1e400",
      "-0",
      "9007199254740993",
      '{ "b": 1, "a" : [ ] }',
      '"\\u0041"',
      "null",
      "true",
    ]) {
      assert.equal(memberSource(`{"x": 1, "data" : ${source} , "y": {"data": 2}}`, "data"), source);
    }
    assert.deepEqual(elementSources('[ 1.0 ,{"a":"]"}, [] ,"\\\\"]'), ["1.0", '{"a":"]"}', "[]", '"\\\\"']);
  });

  test("of members of one name the last counts", () => {
    assert.equal(memberSource('{"data":1,"data":2,"d\\u0061ta":3}', "data"), "3");
  });

  test("a deep value and a long run of backslashes take linear time", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    assert.equal(memberSource(`{"data":${deep}}`, "data"), deep);
    const slashes = JSON.stringify('\\"'.repeat(100_000));
    assert.equal(memberSource(`{"data":${slashes}}`, "data"), slashes);
  });
});
