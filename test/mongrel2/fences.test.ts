import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fences, isFence, NULL_CONNECTION_ID } from "../../src/mongrel2/fences.js";

describe("Fences", () => {
  test("fences have ids that no connection can have, each another one", () => {
    const fences = new Fences(0, () => 0.5);
    const ids = Array.from({ length: 500 }, () => fences.arm(0, () => {}));
    assert.equal(new Set(ids).size, 500);
    assert.ok(ids.every((id) => isFence(id) && id > 2_000_000_000 && id < 2 ** 31));
    assert.ok(!isFence(0) && !isFence(1) && !isFence(2_000_000_000));
  });

  test("in whatever order answers come, late, twice or for nobody, fences pass in order, once, with their time", () => {
    const step = fc.oneof(fc.constant("raise" as const), fc.nat(60));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const fences = new Fences(0, () => 0);
        const ids: number[] = [];
        const passed: { number: number; took: number }[] = [];
        let pending: { number: number; since: number }[] = [];
        for (const [now, step] of steps.entries()) {
          if (step === "raise") {
            const number = ids.length;
            ids.push(fences.arm(now, (took) => passed.push({ number, took })));
            pending.push({ number, since: now });
            continue;
          }
          const at = pending.findIndex(({ number }) => number === step);
          const expected = pending.slice(0, at + 1).map(({ number, since }) => ({ number, took: now - since }));
          pending = pending.slice(at + 1);
          passed.length = 0;
          assert.equal(fences.noticeReceived(ids[step] ?? 2_100_000_000 + step, now), at >= 0);
          assert.deepEqual(passed, expected);
        }
        assert.equal(fences.oldestPendingMs(1e9), pending[0] ? 1e9 - pending[0].since : 0);
      }),
    );
  });

  test("the longest wait is that of the oldest pending fence; after clear nothing waits and nothing passes", () => {
    const fences = new Fences(0, () => 0.5);
    assert.equal(fences.oldestPendingMs(500), 0);
    const passed: string[] = [];
    const first = fences.arm(100, (took) => passed.push(`first ${took}`));
    const second = fences.arm(200, () => passed.push("second"));
    assert.equal(fences.oldestPendingMs(500), 400);
    assert.equal(fences.noticeReceived(first, 150), true);
    assert.equal(fences.oldestPendingMs(500), 300);
    fences.clear();
    assert.equal(fences.noticeReceived(second, 600), false);
    assert.deepEqual([fences.oldestPendingMs(500), passed], [0, ["first 50"]]);
  });

  test("a fence that is raised by one that passes waits for its own answer", () => {
    const fences = new Fences(0, () => 0.5);
    const passed: string[] = [];
    let inner = 0;
    const outer = fences.arm(0, () => {
      passed.push("outer");
      inner = fences.arm(1, () => passed.push("inner"));
    });
    fences.noticeReceived(outer, 1);
    assert.deepEqual(passed, ["outer"]);
    assert.equal(fences.noticeReceived(inner, 2), true);
    assert.deepEqual(passed, ["outer", "inner"]);
  });

  test("each process stays in its own block of ids: notices of other blocks were asked for by others", () => {
    for (const [startedAt, random] of [
      [0, 0],
      [Date.UTC(2030, 1, 1), 0.3],
      [4_095_999, 1 - 2 ** -53],
    ] as const) {
      const fences = new Fences(startedAt, () => random);
      const ids = Array.from({ length: 5000 }, () => fences.arm(0, () => {}));
      const [low, high] = [Math.min(...ids), Math.max(...ids)];
      assert.ok(low > 2_000_000_000 && high < 2 ** 31 - 1, `${low} to ${high}`);
      assert.deepEqual(
        ids.filter((id) => fences.isForeign(id)),
        [],
      );
      assert.ok(fences.isForeign(low - 1) && fences.isForeign(high + 1));
      assert.ok(new Set(ids).size > 500, "an id is not used again soon");
    }
  });

  test("of two processes that began up to half an hour apart both know which was first", () => {
    const idOf = (startedAt: number) => new Fences(startedAt, () => 0.5).arm(0, () => {});
    for (const startedAt of [0, 4_095_000, Date.UTC(2030, 1, 1)]) {
      const fences = new Fences(startedAt, () => 0.5);
      for (const later of [100, 10_000, 3 * 60_000]) {
        assert.ok(fences.isYounger(idOf(startedAt + later)));
        assert.ok(!new Fences(startedAt + later, () => 0.5).isYounger(idOf(startedAt)));
      }
    }
  });

  test("a notice to nobody is nobody's: every process sends to that id", () => {
    assert.ok(!new Fences(0, () => 0).isForeign(NULL_CONNECTION_ID));
  });
});
