import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import { CANCEL, CLOSE, decodeReply, extendedHead, isSender, KEEP_ALIVE, replyHead } from "../../src/protocol/reply.js";
import { decode } from "../../src/protocol/tnetstring.js";
import { bytes, connectionIds, damaged, sender } from "../support/arbitraries.js";

const malformed = (error: unknown) => error instanceof ProtocolError && error.code === "invalid";
const read = (text: string) => decodeReply(Buffer.from(text));

describe("Reply", () => {
  test("decodes what it encodes", () => {
    fc.assert(
      fc.property(sender, connectionIds, fc.boolean(), bytes, (ident, ids, extended, body) => {
        const head = extended ? extendedHead(ident, ids) : replyHead(ident, ids);
        assert.deepEqual(decodeReply(Buffer.concat([head, body])), { sender: ident, ids, extended, body });
      }),
    );
  });

  test("encodes heads as Mongrel2 accepts them", () => {
    assert.equal(replyHead("a-B-9", [5]).toString(), "a-B-9 1:5, ");
    assert.equal(replyHead("a", [1, 2, 3]).toString(), "a 5:1 2 3, ");
    assert.equal(extendedHead("a", [1, 2, 3]).toString(), "a 7:X 1 2 3, ");
    assert.equal(extendedHead("a", [2_000_000_001]).toString(), "a 12:X 2000000001, ");
    assert.equal(replyHead("a", [0, 2_147_483_647]).toString(), "a 12:0 2147483647, ");
  });

  test("the bodies of extended replies are tnetstrings of a string and a dictionary", () => {
    assert.deepEqual(decode(KEEP_ALIVE), [Buffer.from("ctl"), new Map([["keep-alive", Buffer.alloc(0)]])]);
    assert.deepEqual(decode(CANCEL), [Buffer.from("ctl"), new Map([["cancel", Buffer.alloc(0)]])]);
    assert.equal(CLOSE.length, 0);
  });

  test("throws a TypeError for invalid, too many or no ids", () => {
    const wrong = [
      -1,
      2_147_483_648,
      2 ** 32,
      2 ** 32 + 1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      "1" as unknown as number,
    ];
    for (const id of wrong) {
      assert.throws(() => replyHead("a", [1, id]), TypeError, String(id));
      assert.throws(() => extendedHead("a", [id]), TypeError, String(id));
    }
    const ids = Array.from({ length: 129 }, (_, id) => id);
    for (const head of [replyHead, extendedHead]) {
      assert.throws(() => head("a", []), TypeError);
      assert.throws(() => head("a", ids), TypeError);
      assert.doesNotThrow(() => head("a", ids.slice(1)));
      assert.doesNotThrow(() => head("a", ids, 1024));
      assert.throws(() => head("a", [1, 2, 3], 2), TypeError);
    }
  });

  test("a sender that would make every reply unreadable is a TypeError", () => {
    for (const ident of ["", "a_b", "a.b", "a b", "a:", "é", "a\n", "\0"]) {
      assert.equal(isSender(ident), false, ident);
      assert.throws(() => replyHead(ident, [1]), TypeError, ident);
    }
    assert.equal(isSender("54c6755b-9628-40a4-9a2d-cc82a816345e"), true);
  });

  test("accepts the frames that Mongrel2 accepts", () => {
    const body = Buffer.from("x");
    assert.deepEqual(read("a 1:7, x"), { sender: "a", ids: [7], extended: false, body });
    assert.deepEqual(read("a 2:7 , x"), { sender: "a", ids: [7], extended: false, body });
    assert.deepEqual(read("a 3:007, x"), { sender: "a", ids: [7], extended: false, body });
    assert.deepEqual(read("a 03:7 7, x"), { sender: "a", ids: [7, 7], extended: false, body });
    assert.deepEqual(read("a 3:X 7, x"), { sender: "a", ids: [7], extended: true, body });
    assert.deepEqual(read("a 1:7, "), { sender: "a", ids: [7], extended: false, body: Buffer.alloc(0) });
    assert.deepEqual(read("a 1:7,  1:8, x").body, Buffer.from(" 1:8, x"));
  });

  test("rejects the frames that Mongrel2 rejects", () => {
    const frames = [
      "",
      "a",
      "a ",
      "a 1",
      "a 1:",
      "a 1:7",
      "a 1:7,",
      "a 1:7,x",
      "a 0:, x",
      "a 1: , x",
      "a 2: 7, x",
      "a 4:7  8, x",
      "a 3:7,8, x",
      "a 3:7 8 , x",
      "a 2:7, x",
      "a 1:78, x",
      "a -1:7, x",
      "a :7, x",
      "a  1:7, x",
      " 1:7, x",
      "a_b 1:7, x",
      "a 1:X, x",
      "a 2:X , x",
      "a 2:X7, x",
      "a 4:X  7, x",
      "a 3:x 7, x",
      "a 3:7 X, x",
      "a 2:-7, x",
      "a 10:2147483648, x",
      `a ${"9".repeat(400)}:7, x`,
    ];
    for (const text of frames) assert.throws(() => read(text), malformed, text);
  });

  test("more ids than limits.handler_targets are refused where a limit is given", () => {
    const reply = Buffer.concat([replyHead("a", [1, 2, 3]), Buffer.from("x")]);
    assert.deepEqual(decodeReply(reply, { maxTargets: 3 }).ids, [1, 2, 3]);
    assert.throws(() => decodeReply(reply, { maxTargets: 2 }), /3 ids/);
  });

  test("decodes a damaged frame to a value or throws a ProtocolError", () => {
    const whole = Buffer.concat([extendedHead("54c6755b-9628", [1, 22, 333]), KEEP_ALIVE]);
    fc.assert(
      fc.property(fc.oneof(damaged(whole), bytes), (input) => {
        try {
          decodeReply(input);
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a very long list of ids ends in a value or an error, not in a full stack", () => {
    const list = "1 ".repeat(500_000);
    assert.equal(read(`a ${list.length}:${list}, `).ids.length, 500_000);
    assert.throws(() => read(`a ${list.length + 1}:${list} , `), malformed);
  });
});
