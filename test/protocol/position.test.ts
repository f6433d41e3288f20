import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { offsetOf, positionDraft, positionId, presenceId, presenceNumberOf } from "../../src/protocol/position.js";

const EPOCH = "k3x9ab";
/** Objects of one shape are what V8 compiles the hot path for. */
const PLAIN_MEMBERS = ["offset", "id", "topics", "private", "time", "bytes"];

describe("Ids that the hub makes", () => {
  test("are fragments: nothing that a client may take for another address", () => {
    const { id } = positionDraft({ topics: ["t"], data: "x", private: false }, EPOCH, 7, 0);
    assert.equal(id, `#${EPOCH}.7`);
    assert.equal(new URL(id, "https://hub.example/a?b").href, `https://hub.example/a?b#${EPOCH}.7`);
  });

  test("belong to publications that have further members only if the draft has", () => {
    const draft = { topics: ["t"], data: "x", private: false } as const;
    assert.deepEqual(Object.keys(positionDraft(draft, EPOCH, 7, 0)), PLAIN_MEMBERS);
    const { expiresAt, isFinal } = positionDraft({ ...draft, ttlMs: 5, final: true }, EPOCH, 7, 1000);
    assert.deepEqual([expiresAt, isFinal], [1005, true]);
    assert.deepEqual(Object.keys(positionDraft({ ...draft, final: true }, EPOCH, 7, 0)), [...PLAIN_MEMBERS, "isFinal"]);
  });

  test("are understood with and without the #, which those of earlier versions lack", () => {
    for (const id of [positionId(EPOCH, 42), `${EPOCH}.42`, presenceId(EPOCH, 42, "log", 3), `${EPOCH}.42.log.3`]) {
      assert.equal(offsetOf(EPOCH, id), 42, id);
    }
    assert.equal(presenceNumberOf(EPOCH, `#${EPOCH}.42.log.3`, "log"), 3);
    assert.equal(presenceNumberOf(EPOCH, `${EPOCH}.42.log.3`, "log"), 3);
  });

  test("have at most 128 bytes", () => {
    const id = presenceId("x".repeat(22), 2 ** 53 - 1, "y".repeat(16), 2 ** 53 - 1);
    assert.ok(Buffer.byteLength(id) <= 128, id);
  });

  test("of another epoch, or anything that only looks like one, are none", () => {
    for (const id of ["#other.1", `##${EPOCH}.1`, `#${EPOCH}`, `#${EPOCH}.`, `#${EPOCH}.01`, `#${EPOCH}.-1`, "#", ""]) {
      assert.equal(offsetOf(EPOCH, id), undefined, id);
    }
  });

  test("cannot be given by a publisher, in either form", () => {
    for (const id of [`#${EPOCH}.5`, `${EPOCH}.5`]) {
      assert.throws(() => positionDraft({ topics: ["t"], data: "x", private: false, id }, EPOCH, 9, 0), /is reserved/);
    }
  });
});
