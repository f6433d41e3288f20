/** Envelopes of requests: what a reply carries back, and what is the message. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { splitEnvelope } from "../../src/protocol/envelope.js";

const split = (parts: readonly string[], isRequestSocket = false) => {
  const { envelope, parts: rest } = splitEnvelope(
    parts.map((part) => Buffer.from(part)),
    isRequestSocket,
  );
  return [envelope.map(String), rest.map(String)];
};

describe("splitEnvelope", () => {
  for (const [what, message, envelope, rest, isRequestSocket] of [
    ["a REQ socket's message", ["", "t", "x"], [""], ["t", "x"], true],
    ["a REQ socket's message with a request id", ["id", "", "t", "x"], ["id", ""], ["t", "x"], true],
    ["a REQ socket's message without the empty part", ["t", "x"], [], ["t", "x"], true],
    ["a REQ socket's event without data", ["", "t", ""], [""], ["t", ""], true],
    ["a DEALER's message with the empty part", ["", "t", "x"], [""], ["t", "x"], false],
    ["a DEALER's message without the empty part", ["t", "x"], [], ["t", "x"], false],
    ["a DEALER's event without data", ["t", ""], [], ["t", ""], false],
    ["a DEALER's event without data, with options", ["t", "", "{}"], [], ["t", "", "{}"], false],
    ["a message that a proxy passes on", ["\0abcd", "", "t", "x"], ["\0abcd", ""], ["t", "x"], false],
    ["a message that two proxies pass on", ["\0abcd", "\0efgh", "", "t"], ["\0abcd", "\0efgh", ""], ["t"], false],
    ["a message of one empty part", [""], [""], [], false],
    ["a part that begins with NUL and no empty part", ["\0", "x"], [], ["\0", "x"], false],
  ] as const) {
    test(what, () => assert.deepEqual(split(message, isRequestSocket), [envelope, rest]));
  }

  test("an envelope above the limit is rejected", () => {
    const identity = `\0${"x".repeat(200)}`;
    assert.throws(() => split([...Array.from({ length: 6 }, () => identity), "", "t"]), {
      code: "too_large",
      message: /the envelope of a request has 1206 bytes, the limit is 1024/,
    });
  });

  test("an envelope shares no memory with the message", () => {
    const read = Buffer.from("\0abcd");
    const { envelope } = splitEnvelope([read, Buffer.alloc(0), Buffer.from("t")], false);
    read.fill(0);
    assert.equal(envelope[0]?.toString(), "\0abcd");
  });
});
