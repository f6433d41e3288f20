/** Strangers' text must not steer a terminal, forge a line of the log, or hide in one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { escapeAll, escapeJson, escapeUnprintable, printableLine, quote } from "../../src/util/escape.js";
import { anyCharacter } from "../support/arbitraries.js";

/** ESC, DEL, CSI and NEL of C1, soft hyphen, zero width, marks of direction, both separators, isolates, BOM, a tag. */
const UNPRINTABLE = [
  "\x1b",
  "\x7f",
  "\x9b",
  "\x85",
  "\xad",
  "\u200b",
  "\u200f",
  "\u2028",
  "\u2029",
  "\u202e",
  "\u2066",
];
const ASTRAL = ["\ufeff", "\u{e0041}"];
const ANY = /[\0-\x09\x0b-\x1f\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u;

describe("escapeUnprintable", () => {
  test("replaces control and invisible characters by their codes", () => {
    for (const character of [...UNPRINTABLE, ...ASTRAL]) {
      const shown = escapeUnprintable(`a${character}b`);
      assert.match(shown, /^a(\\u[0-9a-f]{4})+b$/, JSON.stringify(character));
    }
    assert.equal(escapeUnprintable("\x9b2J\u{e0041}"), "\\u009b2J\\udb40\\udc41");
  });

  test("leaves letters, emoji and line ends as they are", () => {
    const text = "a b\nжук 日本 \u{1f600} e\u0301 ~";
    assert.equal(escapeUnprintable(text), text);
  });
});

describe("escapeJson", () => {
  test("leaves JSON the same JSON, without such a character in it", () => {
    const text = fc.oneof(fc.string({ unit: anyCharacter }), fc.constantFrom(...UNPRINTABLE, ...ASTRAL));
    fc.assert(
      fc.property(fc.dictionary(text, fc.array(text, { maxLength: 5 }), { maxKeys: 5 }), (value) => {
        const json = escapeJson(JSON.stringify(value));
        assert.doesNotMatch(json, ANY);
        assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe("Text for a terminal", () => {
  test("makes one line of any text", () => {
    assert.equal(printableLine(" a\r\n b\u2028c\x1b[2J "), "a b\\u2028c\\u001b[2J");
  });

  test("is quoted as JSON has it, C1 and bidi controls too", () => {
    assert.equal(quote('a"\x9b\u202e'), '"a\\"\\u009b\\u202e"');
  });

  test("is escaped in every member of a value, names and line ends too", () => {
    const value = { "n\x9b": ["a\nb", 1, null, { deep: "\u2028" }] };
    assert.deepEqual(escapeAll(value), { "n\\u009b": ["a\\nb", 1, null, { deep: "\\u2028" }] });
  });
});
