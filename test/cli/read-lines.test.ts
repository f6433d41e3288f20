import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { linesOf } from "../../src/cli/read-lines.js";
import { ProtocolError } from "../../src/errors.js";
import { LIMITS } from "../../src/protocol/limits.js";

async function lines(...chunks: (Buffer | string)[]): Promise<string[]> {
  const all: string[] = [];
  for await (const line of linesOf(Readable.from(chunks))) all.push(line);
  return all;
}

describe("Lines of standard input", () => {
  test("are the same however the bytes are cut", async () => {
    const text = fc
      .array(fc.constantFrom("a", "é", "日本", "🎉", "\n", "\r\n", "\r", "\u2028", " "))
      .map((all) => all.join(""));
    await fc.assert(
      fc.asyncProperty(text, fc.infiniteStream(fc.integer({ min: 1, max: 4 })), async (whole, sizes) => {
        const bytes = Buffer.from(whole);
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const end = at + (sizes.next().value ?? 1);
          chunks.push(bytes.subarray(at, end));
          at = end;
        }
        const expected = whole.split(/\r\n|\r|\n/);
        if (expected.at(-1) === "") expected.pop();
        assert.deepEqual(await lines(...chunks), expected);
      }),
    );
  });

  test("keep U+2028 and U+2029, which are text in an event", async () => {
    assert.deepEqual(await lines("a\u2028b\u2029c\n"), ["a\u2028b\u2029c"]);
  });

  test("lose the byte order mark of the first line, and of no other", async () => {
    assert.deepEqual(await lines("\u{feff}a\n\u{feff}b"), ["a", "\u{feff}b"]);
    assert.deepEqual(await lines(Buffer.from([0xef]), Buffer.from([0xbb]), Buffer.from([0xbf, 0x61])), ["a"]);
  });

  test("that are not UTF-8 are refused by their number, after those before them", async () => {
    const read: string[] = [];
    const all = async () => {
      for await (const line of linesOf(Readable.from([Buffer.from("a\nb\ncaf\xe9\nd\n", "latin1")]))) read.push(line);
    };
    await assert.rejects(all, {
      code: "invalid",
      message: /^line 3 of standard input is not UTF-8; fix: /,
    });
    assert.deepEqual(read, ["a", "b"]);
  });

  test("that no event can hold are refused before they are all there", async () => {
    const endless = new PassThrough();
    endless.write(Buffer.alloc(LIMITS.messageBytes + 1, "x"));
    const first = linesOf(endless).next();
    await assert.rejects(first, (error) => error instanceof ProtocolError && error.code === "too_large");
    assert.equal(endless.destroyed, true);
  });
});
