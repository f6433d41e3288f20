import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import { checkDraft, type Draft, faultsOfDraft } from "../../src/protocol/draft.js";
import { LIMITS } from "../../src/protocol/limits.js";
import { eventSize } from "../../src/protocol/sse.js";

/** Valid and invalid values of each member. */
const anyDraft = fc.record<Draft>(
  {
    topics: fc.constantFrom<Draft["topics"]>(["t"], ["t", "*"], ["a\nb"], ["t".repeat(5000)], [""]),
    data: fc.constantFrom("x", "", "a\r\nb", "\ud800", "x".repeat(10_001), "\n".repeat(20_000)),
    private: fc.constant(false),
    id: fc.constantFrom("1", "", "#x", " x", "x".repeat(300)),
    type: fc.constantFrom("tick", "", "mercure", "a\nb"),
    retry: fc.constantFrom(1, -1, 1e12),
    ttlMs: fc.constantFrom(1, 0, 1e15),
    key: fc.constantFrom("k", "", "k".repeat(300)),
    final: fc.constant(true),
  },
  { requiredKeys: ["topics", "data", "private"] },
);

function refusal(draft: Draft) {
  try {
    checkDraft(draft);
    return undefined;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { code: error.code, detail: error.message };
  }
}

describe("Draft", () => {
  test("checkDraft() throws the first of the faults that faultsOfDraft() lists, and nothing else", () => {
    fc.assert(
      fc.property(anyDraft, (draft) => {
        const [first] = faultsOfDraft(draft);
        assert.deepEqual(refusal(draft), first && { code: first.code, detail: first.detail });
      }),
      { numRuns: 500 },
    );
  });

  test("the largest event whose size is not computed is within the limit, whatever its data is", () => {
    const [id, type] = ["i".repeat(LIMITS.idBytes), "t".repeat(LIMITS.typeBytes)];
    for (const character of ["x", "\n", "\r", "\u20ac", "\0"]) {
      const draft = { topics: ["t"], data: character.repeat(10_000), id, type, retry: LIMITS.retryMs } as const;
      assert.equal(refusal({ ...draft, private: false }), undefined);
      assert.ok(eventSize(draft) <= LIMITS.eventBytes, `${eventSize(draft)} bytes`);
    }
  });
});
