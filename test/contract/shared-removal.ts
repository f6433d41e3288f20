/** What every shared bus promises of removals: each daemon applies them, also one that was away or comes later, and the stream forgets. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { HistoryPage } from "../../src/delivery/history.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import type { RemovalTarget } from "../../src/protocol/removal.js";
import { systemClock } from "../../src/util/clock.js";
import { type Course, type Listener, listen, readAll } from "./bus.js";

interface RemovalCourse extends Course {
  /** The texts of all messages that the stream holds. */
  stored(): Promise<string[]>;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

type Attendant = Awaited<ReturnType<typeof listen>>;

/** What clients of a daemon could be sent. */
async function shown({ end }: Pick<Listener, "end">): Promise<number[]> {
  const visible = new VisibleHistory(end.history, systemClock);
  const publications = await readAll({ ...end, history: visible });
  return publications.map(({ offset }) => offset);
}

const remove = ({ end: { bus, history } }: Listener, target: RemovalTarget) =>
  bus.remove({ ...target, through: history.last });

/** Offsets whose events have topic "a", "b", "c" in turn, and an own id each fifth. */
async function fill(listener: Listener, count: number): Promise<void> {
  const { bus } = listener.end;
  const topicOf = (at: number) => (["a", "b", "c"] as const)[at % 3] ?? "a";
  const publish = (at: number) =>
    bus.publish({
      ...{ topics: [topicOf(at)], data: `[${at + 1}]`, private: false },
      ...((at + 1) % 5 === 0 && { id: `own ${at + 1}` }),
    });
  await Promise.all(Array.from({ length: count }, (_, at) => publish(at)));
  await listener.hears(count);
}

const tookRemoval = ({ heard }: Listener) => heard.some(({ removes }) => removes);
const rest = (count: number, isRemoved: (offset: number) => boolean) =>
  Array.from({ length: count }, (_, at) => at + 1).filter((offset) => !isRemoved(offset));

/** Resolves when the stream holds none of these events any more, and a daemon has taken that. */
async function erased(
  { stored }: RemovalCourse,
  attendants: readonly Listener[],
  isRemoved: (offset: number) => boolean,
) {
  const left = (texts: readonly string[]) =>
    texts
      .flatMap((text) => [.../"data":"\[(\d+)\]"/g[Symbol.matchAll](text)])
      .filter(([, at]) => isRemoved(Number(at)));
  while (left(await stored()).length > 0) await turn();
  for (const { end } of attendants) while (end.history.removals.size > 0) await turn();
}

export type OpenRemovalCourse = (t: TestContext) => Promise<RemovalCourse> | RemovalCourse;

export function sharedRemovalSuite(name: string, open: OpenRemovalCourse): void {
  for (const [what, target, isRemoved] of [
    ["a topic", { topic: "a" }, (offset: number) => offset % 3 === 1],
    ["an id", { id: "own 15" }, (offset: number) => offset === 15],
    ["what was published before", { before: Number.MAX_SAFE_INTEGER }, () => true],
  ] as const) {
    test(`${name}: ${what} is removed at every daemon, from the stream, and for a daemon that comes later`, async (t) => {
      const course = await open(t);
      const [a, b] = [await listen(course), await listen(course)];
      await fill(a, 300);
      await b.hears(300);
      await shown(b); // ranges that are in memory
      await remove(a, target);
      await b.until(tookRemoval, "the removal");
      assert.deepEqual([await shown(a), await shown(b)], [rest(300, isRemoved), rest(300, isRemoved)]);
      await erased(course, [a, b], isRemoved);
      const c = await listen(course);
      const all = [a, b, c];
      for (const it of all) assert.deepEqual(await shown(it), rest(300, isRemoved));
      for (const it of all)
        assert.deepEqual(offsetsOf(await page(it, 0)).slice(0, 5), rest(300, isRemoved).slice(0, 5));
      const found = await Promise.all(all.flatMap(({ end }) => [end.history.find("own 15"), end.history.floor]));
      assert.deepEqual(found, [15, 0, 15, 0, 15, 0], "an id of a removed event is a position, and nothing was lost");
      assert.deepEqual(
        all.map(({ gaps }) => gaps.length),
        [0, 0, 0],
      );
    });
  }

  test(`${name}: a daemon that was away meanwhile takes what is missing for removed, and is told of no loss`, async (t) => {
    const course = await open(t);
    const [a, b] = [await listen(course), await listen(course)];
    await fill(a, 30);
    await b.hears(30);
    b.wire.cut();
    await fill2(a, 30, 60);
    await remove(a, { topic: "a" });
    await erased(course, [a], (offset) => offset % 3 === 1);
    await a.publish("last");
    b.wire.restore();
    await b.until(({ heard }) => heard.some(({ bytes }) => bytes.includes("last")), "the last");
    assert.deepEqual(b.gaps, []);
    assert.deepEqual(await shown(b), await shown(a));
  });

  test(`${name}: what is published after a removal stays, and what is removed twice is removed`, async (t) => {
    const course = await open(t);
    const [a, b] = [await listen(course), await listen(course)];
    await fill(a, 9);
    const record = await remove(a, { topic: "a" });
    await fill2(a, 9, 12);
    const second = await remove(b, { topic: "b" });
    await erased(course, [a, b], (offset) => offset % 3 === 2);
    const texts = (await course.stored()).flatMap((text) => /"data":"\[(\d+)\]"/.exec(text)?.[1] ?? []);
    assert.deepEqual(texts, ["3", "6", "9", "10", "12"]);
    assert.ok(second.offset > record.offset);
    assert.deepEqual(await shown(a), await shown(b));
  });
}

/** Takes half a minute by the clock of the daemons. */
export function removalTakeoverSuite(name: string, open: OpenRemovalCourse): void {
  test(`${name}: when the daemon of a removal has ended before it was carried out, another one carries it out`, async (t) => {
    const course = await open(t);
    const [a, b] = [await listen(course), await listen(course)];
    await fill(a, 60);
    await b.hears(60);
    await orphanRemoval(a, { topic: "a" });
    await b.until(tookRemoval, "the removal");
    assert.deepEqual(
      await shown(b),
      rest(60, (offset) => offset % 3 === 1),
    );
    const c = await listen(course);
    assert.deepEqual(
      await shown(c),
      rest(60, (offset) => offset % 3 === 1),
      "a daemon that starts reads the removals",
    );
    await erased(course, [b, c], (offset) => offset % 3 === 1);
  });
}

const offsetsOf = ({ publications }: HistoryPage): number[] => publications.map(({ offset }) => offset);
const page = async ({ end: { history } }: Attendant, after: number): Promise<HistoryPage> =>
  new VisibleHistory(history, systemClock).read(after, { through: history.last, maxBytes: 1e9 });

/** The events after `from` up to `through`, of the same topics in turn. */
async function fill2({ end: { bus } }: Listener, from: number, through: number): Promise<void> {
  for (let at = from; at < through; at++)
    await bus.publish({ topics: [(["a", "b", "c"] as const)[at % 3] ?? "a"], data: `[${at + 1}]`, private: false });
}

/** The record reaches the stream, and its daemon nothing any more. */
async function orphanRemoval({ end, wire }: Attendant, target: RemovalTarget): Promise<void> {
  const { bus, history } = end;
  wire.deafen();
  const removed = bus.remove({ ...target, through: history.last });
  removed.catch(() => {}); // it is not acknowledged
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(removed, { code: "unavailable" });
  wire.cut();
}
