import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeStreamRecord, encodeStreamRecord } from "../../src/cluster/stream-record.js";
import { positionDraft } from "../../src/protocol/position.js";
import { draft } from "../support/arbitraries.js";

const message = (data: Uint8Array) => ({ sequence: 7, epoch: "e", stamp: "2000000000", data });

describe("Stream record", () => {
  test("a publication comes out of the stream as it went in, at the time at which the stream stored it", () => {
    fc.assert(
      fc.property(draft, (it) => {
        assert.deepEqual(decodeStreamRecord(message(encodeStreamRecord(it)), "e"), positionDraft(it, "e", 7, 2000));
      }),
    );
  });

  test("the time of an imported event counts for its expiry", () => {
    const data = encodeStreamRecord({ topics: ["t"], data: "x", private: false, ttlMs: 5 }, 1000);
    const publication = decodeStreamRecord(message(data), "e");
    assert.ok(typeof publication === "object");
    assert.deepEqual([publication.time, publication.expiresAt], [1000, 1005]);
  });

  for (const [what, more] of [
    ["a ttl that is no number", { ttl: "5" }],
    ["a final that is not true", { final: 1 }],
  ] as const) {
    test(`${what} is no publication`, () => {
      const data = Buffer.from(JSON.stringify({ v: 1, topics: ["t"], data: "x", ...more }));
      assert.match(String(decodeStreamRecord(message(data), "e")), /of another type/);
    });
  }
});
