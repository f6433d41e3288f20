import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Flags, readClass } from "../../src/matching/character-class.js";
import { isPropertyOfStrings } from "../../src/matching/unicode-property.js";

const ASCII = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

const members = (notation: string, flags: Flags) => ASCII.filter((_, code) => readClass(notation, flags)[code] === 1);

function engineMembers(notation: string, flags: Flags): string[] | undefined {
  try {
    const one = new RegExp(`^${notation}$`, flags);
    return ASCII.filter((character) => one.test(character));
  } catch {
    return undefined;
  }
}

const piece = fc.constantFrom(
  ...["a", "z", "0", "9", "A", "-", "--", "&&", "&", "^", ".", "/", ":", "a-f", "+--", "!-/", "[", "[a-f]", "[^b]"],
  ...["\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\p{L}", "\\P{L}", "\\p{Lu}", "\\p{Script=Greek}", "\\p{Emoji}"],
  ...[
    "\\x41",
    "\\u0042",
    "\\u{43}",
    "\\u{1f600}",
    "\\cI",
    "\\t",
    "\\n",
    "\\b",
    "\\0",
    "\\-",
    "\\]",
    "\\\\",
    "\\^",
    "\\/",
  ],
);
const notation = fc.tuple(fc.constantFrom("[", "[^"), fc.array(piece, { maxLength: 6 }), fc.constant("]"));

describe("readClass", () => {
  for (const flags of ["u", "v"] as const) {
    test(`has the ASCII members that JavaScript's own engine finds, with the flag ${flags}`, () => {
      let valid = 0;
      fc.assert(
        fc.property(notation, ([open, pieces, close]) => {
          // Without set notation the first "]" ends the class: what follows is another one.
          if (flags === "u" && pieces.some((it) => it.endsWith("]") && it.startsWith("["))) return;
          const text = open + pieces.join("") + close;
          const expected = engineMembers(text, flags);
          if (!expected) return;
          valid++;
          assert.deepEqual(members(text, flags), expected, text);
        }),
        { numRuns: 800 },
      );
      assert.ok(valid > 300, `only ${valid} of the generated classes were valid`);
    });
  }

  test("has no ASCII member of a property of strings, as the engine has none", () => {
    for (const name of ["RGI_Emoji", "Basic_Emoji", "Emoji_Keycap_Sequence", "RGI_Emoji_Flag_Sequence"]) {
      assert.ok(isPropertyOfStrings(name));
      assert.deepEqual(engineMembers(`\\p{${name}}`, "v"), []);
      assert.deepEqual(members(`[\\p{${name}}x]`, "v"), ["x"]);
    }
  });
});
