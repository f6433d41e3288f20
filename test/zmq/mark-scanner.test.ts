import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MarkScanner } from "../../src/zmq/mark-scanner.js";

const MARK = Buffer.from(" 2000000001 @* ");
const TEXT = Buffer.from("us 17 /x 2:{},0:,us 2000000001 @* 17:us 18 /y");
const END = TEXT.indexOf(MARK) + MARK.length;

describe("MarkScanner", () => {
  test("finds the mark wherever the stream is cut in two, in the chunk that completes it", () => {
    for (let cut = 0; cut <= TEXT.length; cut++) {
      const scanner = new MarkScanner(MARK);
      const found = [TEXT.subarray(0, cut), TEXT.subarray(cut)].map((chunk) => scanner.isIn(chunk));
      assert.deepEqual(found, cut >= END ? [true, false] : [false, true], `cut at ${cut}`);
    }
  });

  test("finds the mark in a stream of single bytes, once", () => {
    const scanner = new MarkScanner(MARK);
    const found = [...TEXT].map((byte) => scanner.isIn(Buffer.of(byte)));
    assert.equal(found.indexOf(true), END - 1);
    assert.equal(found.filter(Boolean).length, 1);
  });

  test("does not take a longer number for the mark", () => {
    const scanner = new MarkScanner(MARK);
    assert.equal(scanner.isIn(Buffer.from("us 12000000001 @* us 20000000011 @* ")), false);
  });
});
