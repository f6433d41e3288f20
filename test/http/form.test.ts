import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import { isForm, parseForm, parseFormBody, valuesOf } from "../../src/http/form.js";
import type { HttpRequest } from "../../src/protocol/request.js";

const isProtocolError = (error: unknown) => error instanceof ProtocolError;

describe("Form", () => {
  test("keeps order and repetition of names and values", () => {
    const form = parseForm("b=2&a=1&b=3");
    assert.deepEqual(form, [
      ["b", "2"],
      ["a", "1"],
      ["b", "3"],
    ]);
    assert.deepEqual(valuesOf(form, "b"), ["2", "3"]);
    assert.deepEqual(valuesOf(form, "c"), []);
  });

  for (const [what, text, pairs] of [
    ["nothing is no pair", "", []],
    ["empty pairs are left out", "&&a=1&&", [["a", "1"]]],
    [
      "a name without an equals sign has an empty value",
      "private&a",
      [
        ["private", ""],
        ["a", ""],
      ],
    ],
    ["only the first equals sign parts", "a=b=c", [["a", "b=c"]]],
    ["a name may be empty", "=x", [["", "x"]]],
    ["plus is a space, in names too", "a+b=c+d", [["a b", "c d"]]],
    ["%2B is a plus", "a=%2B", [["a", "+"]]],
    ["percent-encoded UTF-8 is decoded, in either case", "a=%c3%A9%F0%9F%98%80", [["a", "é😀"]]],
    [
      "a percent sign that encodes nothing stands for itself",
      "a=%&b=%4&c=%zz&d=100%25",
      [
        ["a", "%"],
        ["b", "%4"],
        ["c", "%zz"],
        ["d", "100%"],
      ],
    ],
    ["%26 and %3D do not part", "a%3Db=%26c", [["a=b", "&c"]]],
    ["a semicolon does not part", "a=1;b=2", [["a", "1;b=2"]]],
    ["NUL and line ends are passed on", "a=%00%0D%0A", [["a", "\0\r\n"]]],
  ] as const) {
    test(what, () => assert.deepEqual(parseForm(text), pairs));
  }

  test("bytes of a body that are not ASCII are UTF-8", () => {
    assert.deepEqual(parseFormBody(Buffer.from("a=é&é=a")), [
      ["a", "é"],
      ["é", "a"],
    ]);
  });

  test("what is not UTF-8 is an error, however it is written, and no text with U+FFFD in it", () => {
    for (const text of ["a=%ff", "%c3=x", "a=%c3", "a=%ed%a0%80", "a=%c0%80"])
      assert.throws(() => parseForm(text), { code: "invalid" }, text);
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80]])
      assert.throws(() => parseFormBody(Buffer.from([0x61, 0x3d, ...bytes])), { code: "invalid" });
  });

  test("accepts 4,000 pairs, and rejects one more", () => {
    assert.equal(parseForm("a=1&".repeat(4_000)).length, 4_000);
    assert.throws(() => parseForm("a=1&".repeat(4_001)), { code: "too_large" });
  });

  test("URLSearchParams reads the same, where it reads UTF-8", () => {
    // ASCII only: beside a percent sign that encodes nothing, Node's URLSearchParams misreads other characters.
    const text = fc.string({ unit: fc.constantFrom("x", "=", "&", "+", "%", "%4", "%41", "%C3%A9", ";", "\0", " ") });
    fc.assert(
      fc.property(text, (query) => {
        assert.deepEqual(parseFormBody(Buffer.from(query)), [...new URLSearchParams(query)]);
      }),
    );
  });

  test("parses any bytes to a form or throws a ProtocolError", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          for (const pair of parseFormBody(Buffer.from(bytes))) assert.equal(pair.length, 2);
        } catch (error) {
          assert.ok(isProtocolError(error));
        }
      }),
    );
  });

  test("a form is known by its media type, with parameters or without, in any case", () => {
    const withType = (...values: string[]) =>
      ({ headers: new Map([["content-type", values]]) }) as unknown as HttpRequest;
    for (const type of ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=UTF-8"])
      assert.equal(isForm(withType(type)), true, type);
    for (const type of [
      "",
      "text/plain",
      "multipart/form-data; boundary=x",
      "application/x-www-form-urlencodedX",
      "x application/x-www-form-urlencoded",
    ])
      assert.equal(isForm(withType(type)), false, type);
    assert.equal(isForm({ headers: new Map() } as unknown as HttpRequest), false);
  });
});
