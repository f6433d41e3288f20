import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HistoryPage } from "../../src/delivery/history.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { positionDraft } from "../../src/protocol/position.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";

const ALL = { through: Number.MAX_SAFE_INTEGER, maxBytes: 1e9 };
const offsets = (page: HistoryPage | Promise<HistoryPage>) => {
  assert.ok(!(page instanceof Promise));
  return page.publications.map(({ offset }) => offset);
};

/** A history of events; a number is the ttl of one, in milliseconds. */
function setUp(ttls: readonly (number | undefined)[]) {
  const clock = new FakeClock();
  const stored = new MemoryHistory({ maxEvents: 100, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const history = new VisibleHistory(stored, clock);
  for (const ttlMs of ttls) {
    const draft = { topics: ["t"] as const, data: "x", private: false, ...(ttlMs !== undefined && { ttlMs }) };
    void history.append(positionDraft(draft, stored.epoch, history.last + 1, clock.now()));
  }
  return { clock, history };
}

describe("VisibleHistory", () => {
  test("reads leave out an event from the moment at which it expires", () => {
    const { clock, history } = setUp([undefined, 10, 20]);
    clock.advance(9);
    assert.deepEqual(offsets(history.read(0, ALL)), [1, 2, 3]);
    clock.advance(1);
    assert.deepEqual(offsets(history.read(0, ALL)), [1, 3]);
    assert.deepEqual(offsets(history.read(0, { ...ALL, match: ({ offset }) => offset > 1 })), [3]);
    clock.advance(10);
    assert.deepEqual(offsets(history.read(1, ALL)), []);
  });

  test("the id of an expired event still says where its client was", () => {
    const { clock, history } = setUp([undefined, 10, undefined]);
    clock.advance(10);
    assert.equal(history.find(`#${history.epoch}.2`), 2);
    assert.deepEqual(offsets(history.read(2, ALL)), [3]);
    assert.deepEqual([history.floor, history.last, history.count], [0, 3, 3]);
  });
});
