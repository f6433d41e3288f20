import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  decode,
  decodeAt,
  encode,
  netstringAt,
  type TnetLimits,
  type TnetValue,
} from "../../src/protocol/tnetstring.js";
import { bytes, damaged, tnetValue } from "../support/arbitraries.js";

const read = (text: string, limits?: TnetLimits) => decode(Buffer.from(text), limits);
const codeOf = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;
const broken = codeOf("invalid");
const tooMuch = codeOf("too_large");

/** Any throw but ProtocolError fails. */
function attempt(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return false;
  }
}

describe("tnetstring", () => {
  test("what is encoded is decoded to the same value", () => {
    fc.assert(
      fc.property(tnetValue, (value) => {
        assert.deepEqual(decode(encode(value)), value);
      }),
    );
  });

  test("every beginning of a value is an error, and so is anything after it", () => {
    fc.assert(
      fc.property(tnetValue, (value) => {
        const whole = encode(value);
        for (let cut = 0; cut < whole.length; cut++) assert.throws(() => decode(whole.subarray(0, cut)), broken);
        assert.throws(() => decode(Buffer.concat([whole, Buffer.from("0")])), broken);
      }),
    );
  });

  test("a damaged value, or bytes of any kind, give a value or a ProtocolError", () => {
    const anyDamaged = tnetValue.chain((value) => damaged(encode(value)));
    fc.assert(
      fc.property(fc.oneof(anyDamaged, bytes), (input) => void attempt(() => decode(input))),
      { numRuns: 500 },
    );
  });

  test("each type is read", () => {
    const cases: [string, TnetValue][] = [
      ["0:,", Buffer.alloc(0)],
      ["5:a\0b:,,", Buffer.from("a\0b:,")],
      ["1:0#", 0],
      ["2:-7#", -7],
      ["2:-0#", 0],
      ["16:9007199254740991#", 9007199254740991],
      ["3:1.5^", 1.5],
      ["7:-1.5e-7^", -1.5e-7],
      ["5:1e+21^", 1e21],
      ["4:true!", true],
      ["5:false!", false],
      ["0:~", null],
      ["0:]", []],
      ["0:}", new Map()],
      ["8:1:1#1:a,]", [1, Buffer.from("a")]],
      ["8:1:a,1:1#}", new Map([["a", 1]])],
    ];
    for (const [text, value] of cases) assert.deepEqual(read(text), value, text);
  });

  test("what is not well-formed is refused", () => {
    const cases = [
      "",
      ":",
      ",",
      "1",
      "1:",
      "1:a",
      "2:a,",
      "0:?",
      "01:a,",
      "00:,",
      "-1:a,",
      "+1:a,",
      " 1:a,",
      "1 :a,",
      "1.0:a,",
      "1234567890:a,",
      "0:#",
      "0:^",
      "1:-#",
      "2: 1#",
      "3:1.5#",
      "3:0x1#",
      "16:9007199254740993#",
      "3:NaN^",
      "8:Infinity^",
      "5:1e999^",
      "1:.^",
      "0:!",
      "4:True!",
      "1:x~",
      "3:1:a]",
      "4:1:a,}",
      "7:1:1#1:a}",
      "8:1:1#1:a,}",
      "4:9:a,]",
      "0:,0:,",
      `41:${"1".repeat(41)}#`,
      `300:0.${"1".repeat(298)}^`,
    ];
    for (const text of cases) assert.throws(() => read(text), broken, text);
  });

  test("a value may not stick out of the list that holds it, though the bytes are there", () => {
    assert.throws(() => read("4:2:ab]1:,"), broken);
  });

  test("keys such as __proto__ are keys like any other, and the last of two equal ones counts", () => {
    const value = read("42:9:__proto__,1:1#11:constructor,1:2#1:a,0:~}");
    assert.deepEqual(
      value,
      new Map<string, TnetValue>([
        ["__proto__", 1],
        ["constructor", 2],
        ["a", null],
      ]),
    );
    assert.deepEqual(read("16:1:a,1:1#1:a,1:2#}"), new Map([["a", 2]]));
  });

  test("strings are encoded by their bytes, not their characters", () => {
    assert.equal(encode("é😀").toString(), "6:é😀,");
  });

  test("a number keeps its sign and its fraction", () => {
    const cases: [number, string][] = [
      [0, "1:0#"],
      [-0, "2:-0^"],
      [0.1, "3:0.1^"],
      [2 ** 53, "16:9007199254740992^"],
    ];
    for (const [value, text] of cases) {
      assert.equal(encode(value).toString(), text);
      assert.ok(Object.is(read(text), value), text);
    }
  });

  test("what no tnetstring can hold is a TypeError", () => {
    const values: unknown[] = [
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      () => 0,
      Symbol("x"),
      {},
      [undefined],
      1n,
    ];
    for (const value of values) assert.throws(() => encode(value as TnetValue), TypeError);
  });

  test("lists and dictionaries may lie in each other as deep as the limit, and no deeper", () => {
    let nested = encode(null);
    for (let depth = 0; depth < 16; depth++) nested = Buffer.from(`${nested.length}:${nested}]`);
    assert.doesNotThrow(() => decode(nested));
    assert.throws(() => decode(Buffer.from(`${nested.length}:${nested}]`)), tooMuch);
    assert.throws(() => read("3:0:~]", { maxDepth: 0 }), tooMuch);
    assert.equal(read("0:~", { maxDepth: 0 }), null);
  });

  test("values in very deep lists end in an error, not in a full stack", () => {
    let nested = "";
    for (let depth = 0; depth < 20_000; depth++) nested = `${nested.length}:${nested}]`;
    assert.throws(() => read(nested), tooMuch);
  });

  test("rejects a length above the limit", () => {
    assert.throws(() => read("999999999:a,"), tooMuch);
    assert.throws(() => read("4:abcd,", { maxBytes: 3 }), tooMuch);
    assert.deepEqual(read("3:abc,", { maxBytes: 3 }), Buffer.from("abc"));
  });

  test("the number of values is limited", () => {
    assert.throws(() => read("9:0:~0:~0:~]", { maxItems: 3 }), tooMuch);
    assert.deepEqual(read("9:0:~0:~0:~]", { maxItems: 4 }), [null, null, null]);
  });

  test("a value within a buffer is read, and its end returned", () => {
    assert.deepEqual(decodeAt(Buffer.from("xx1:1#yy"), 2), { value: 1, end: 6 });
    assert.throws(() => decodeAt(Buffer.from("1:1#"), 4), broken);
  });

  test("a netstring is found without looking at what is in it", () => {
    assert.deepEqual(netstringAt(Buffer.from("x3:1:?z,"), 1), { start: 3, end: 6, type: 0x7a, next: 7 });
  });

  test("the bytes of a string are not copied", () => {
    const message = Buffer.from("1:a,");
    const value = decode(message);
    message[2] = 0x62;
    assert.deepEqual(value, Buffer.from("b"));
  });
});
