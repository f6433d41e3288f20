/** What every History that applies removals by itself promises. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { History } from "../../src/delivery/history.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { positionRemoval } from "../../src/protocol/position.js";
import type { RemovalTarget } from "../../src/protocol/removal.js";
import { FakeClock } from "../support/clock.js";
import { type Open, publication } from "./history.js";

const ALL = { through: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };

const turn = () => new Promise((resolve) => setImmediate(resolve));

export async function offsetsIn(history: History, after = 0): Promise<number[]> {
  const offsets: number[] = [];
  for (let at = after; at < history.last; ) {
    const page = await history.read(at, { ...ALL, through: history.last });
    offsets.push(...page.publications.map(({ offset }) => offset));
    at = Math.max(page.through, at + 1);
  }
  return offsets;
}

/** Appends a removal of what the history holds now, and commits it. */
export function remove(history: History, target: RemovalTarget): Promise<void> | undefined {
  const { last: through, epoch } = history;
  const stored = history.append(positionRemoval({ ...target, through }, epoch, through + 1, 0));
  history.commit();
  return stored;
}

export async function applied(history: History): Promise<void> {
  while (history.removals.size > 0) await turn();
}

/** `bytes` shrink when events are removed. */
export function removalSuite(name: string, open: Open): void {
  const fill = async (t: TestContext, count: number) => {
    const history = await open(t, {}, new FakeClock());
    for (let offset = 1; offset <= count; offset++) {
      const id = offset % 5 === 0 ? { id: `own ${offset}` } : {};
      void history.append(publication(history, offset, { ...id, time: offset }));
    }
    history.commit();
    return { history, visible: new VisibleHistory(history, new FakeClock()) };
  };
  const rest = (from: number, to: number, isRemoved: (offset: number) => boolean) =>
    Array.from({ length: to - from + 1 }, (_, at) => from + at).filter((offset) => !isRemoved(offset));

  for (const [what, target, isRemoved] of [
    ["a topic", { topic: "topic 1" }, (offset: number) => offset % 3 === 1],
    ["an id", { id: "own 15" }, (offset: number) => offset === 15],
    ["everything before a time", { before: 100 }, (offset: number) => offset < 100],
  ] as const) {
    test(`${name}: ${what} is removed at once for readers, and then from the store`, async (t) => {
      const { history, visible } = await fill(t, 1000);
      const stored = remove(history, target);
      const { bytes } = history;
      assert.deepEqual(await offsetsIn(visible), rest(1, 1000, isRemoved));
      await stored;
      await applied(history);
      assert.deepEqual(await offsetsIn(history), rest(1, 1000, isRemoved));
      assert.ok(history.bytes < bytes, "nothing was freed");
    });
  }

  test(`${name}: what is published after a removal stays, and a second removal takes it`, async (t) => {
    const { history } = await fill(t, 10);
    await remove(history, { topic: "topic 1" });
    await history.append(publication(history, 13));
    await applied(history);
    assert.deepEqual(await offsetsIn(history), [2, 3, 5, 6, 8, 9, 13]);
    await remove(history, { topic: "topic 1" });
    await applied(history);
    assert.deepEqual(await offsetsIn(history), [2, 3, 5, 6, 8, 9]);
  });

  test(`${name}: the id of a removed event is still found, and a reader goes on after it without a gap`, async (t) => {
    const { history } = await fill(t, 30);
    await remove(history, { before: 26 });
    await applied(history);
    assert.deepEqual([await history.find("own 15"), history.floor], [15, 0]);
    assert.deepEqual(await offsetsIn(history, 15), [26, 27, 28, 29, 30]);
  });
}
