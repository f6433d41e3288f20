/** What every History promises (delivery/history.ts); each implementation runs this. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import type { History, HistoryPage } from "../../src/delivery/history.js";
import type { KeyLimits } from "../../src/delivery/recent-keys.js";
import { positionId } from "../../src/protocol/position.js";
import type { Publication } from "../../src/protocol/publication.js";
import type { KeyEntry, StoredKey } from "../../src/protocol/stored-key.js";
import { FakeClock } from "../support/clock.js";
import { WAIT_TIMEOUT_MS } from "../support/deadline.js";

interface Limits {
  readonly maxEvents?: number;
  readonly maxAge?: number;
  readonly maxBytes?: number;
  readonly keys?: KeyLimits;
}

/** Opens an empty history; it is closed when the test ends. */
export type Open = (t: TestContext, limits: Limits, clock: FakeClock) => Promise<History>;

const ALL = { through: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };
/** Trimming works in batches: this many more events may be held for a while. */
const SLACK = 300;

export function publication(history: History, offset: number, more: Partial<Publication> = {}): Publication {
  const id = positionId(history.epoch, offset);
  const bytes = Buffer.from(`id: ${more.id ?? id}\ndata: ${offset}\n\n`);
  return { offset, id, topics: [`topic ${offset % 3}`], private: false, time: 0, bytes, ...more };
}

/** 22 characters of base64url that a hash can have: the last one holds 2 bits. */
export const hashNamed = (name: string): string => Buffer.from(name.padEnd(16, ".")).toString("base64url");

export const keyNamed = (name: string, more: Partial<StoredKey> = {}): StoredKey => ({
  hash: hashNamed(name),
  fingerprint: hashNamed(`of ${name}`),
  count: 1,
  ...more,
});

async function fill(history: History, offsets: Iterable<number>, more: Partial<Publication> = {}): Promise<void> {
  await Promise.all([...offsets].map((offset) => history.append(publication(history, offset, more))));
}

/** Lets a minute pass in steps, and the disk, which has its own time, finish, until the condition holds. */
async function passes(clock: FakeClock, isSo: () => boolean, step = 1000): Promise<void> {
  const end = performance.now() + WAIT_TIMEOUT_MS;
  for (let passed = 0; !isSo(); passed += step) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_TIMEOUT_MS} ms until ${isSo}`);
    if (passed < 60_000) clock.advance(step);
    await pause(5);
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const offsets = (page: HistoryPage) => page.publications.map(({ offset }) => offset);

/** Everything after an offset, page by page. */
async function readAll(history: History, after: number, maxBytes = ALL.maxBytes): Promise<number[]> {
  const found: number[] = [];
  for (let at = after; ; ) {
    const page = await history.read(at, { through: history.last, maxBytes });
    found.push(...offsets(page));
    if (page.through >= history.last) return found;
    assert.ok(page.through > at, "a page gets on");
    at = page.through;
  }
}

/** A key's entry, without what an implementation adds to it. */
function entryOf(history: History, name: string): KeyEntry | undefined {
  const entry = history.findKey(hashNamed(name));
  return entry && { fingerprint: entry.fingerprint, epoch: entry.epoch, offset: entry.offset, count: entry.count };
}

export function historySuite(name: string, open: Open): void {
  const start = (t: TestContext, limits: Limits = {}) => {
    const clock = new FakeClock();
    return open(t, limits, clock).then((history) => ({ history, clock }));
  };

  test(`${name}: what is appended can be read at once, in order, after any position`, async (t) => {
    const { history } = await start(t);
    const kept = fill(history, range(1, 20));
    assert.deepEqual(await readAll(history, 0), range(1, 20));
    await kept;
    for (const after of [0, 1, 7, 19, 20, 25]) {
      assert.deepEqual(offsets(await history.read(after, ALL)), range(after + 1, 20));
    }
    assert.deepEqual([history.last, history.floor, history.count], [20, 0, 20]);
  });

  test(`${name}: what comes back is what went in`, async (t) => {
    const { history } = await start(t);
    const odd = {
      ...{ id: "urn:ü:7", topics: ["a", "https://example.com/ö"], private: true, time: 1_700_000_000_123 },
      ...{ expiresAt: 1_800_000_000_123, isFinal: true as const },
    };
    await fill(history, [5], odd);
    const [found] = (await history.read(0, ALL)).publications;
    assert.deepEqual(
      { ...found, bytes: found?.bytes.toString() },
      {
        ...publication(history, 5, odd),
        bytes: publication(history, 5, odd).bytes.toString(),
      },
    );
  });

  test(`${name}: offsets may leave some out, and must rise`, async (t) => {
    const { history } = await start(t);
    await fill(history, [3, 10, 1000]);
    assert.deepEqual(await readAll(history, 0), [3, 10, 1000]);
    assert.deepEqual(await readAll(history, 4), [10, 1000]);
    assert.throws(() => history.append(publication(history, 1000)), TypeError);
    const page = await history.read(10, { ...ALL, most: 1 });
    assert.deepEqual([offsets(page), page.through], [[1000], 1000], "what no publication has costs nothing");
  });

  test(`${name}: a page ends where it is told to, and says how far it has looked`, async (t) => {
    const { history } = await start(t);
    await fill(history, range(1, 30));
    assert.deepEqual(offsets(await history.read(5, { ...ALL, through: 9 })), range(6, 9));
    const match = ({ offset }: Publication) => offset % 10 === 0;
    const page = await history.read(0, { ...ALL, through: 25, match });
    assert.deepEqual([offsets(page), page.through], [[10, 20], 25]);
    const size = publication(history, 1).bytes.length;
    const small = await history.read(0, { ...ALL, maxBytes: 3 * size });
    assert.deepEqual([offsets(small), small.through], [[1, 2, 3], 3]);
    assert.deepEqual(offsets(await history.read(0, { ...ALL, maxBytes: 1 })), [1], "one is always given");
    const few = await history.read(0, { ...ALL, most: 15, match });
    assert.deepEqual([offsets(few), few.through], [[10], 15]);
    assert.deepEqual(await readAll(history, 0, 2 * size), range(1, 30));
  });

  test(`${name}: reads single events as those that match, in pages as large as any`, async (t) => {
    const { history } = await start(t);
    // Several blocks of LMDB, and offsets that no publication has.
    const stored = range(1, 300).map((at) => 2 * at);
    await fill(history, stored, { topics: ["a topic with a name that takes some room in a block"] });
    const size = publication(history, 100).bytes.length;
    const anyOffsets = fc.uniqueArray(fc.integer({ min: 1, max: 620 }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(anyOffsets, fc.integer({ min: 1, max: 40 * size }), async (some, maxBytes) => {
        const only = some.sort((a, b) => a - b);
        const wanted = new Set(only);
        const match = ({ offset }: Publication) => wanted.has(offset);
        const read: Publication[] = [];
        for (let after = 0; after < 600; ) {
          const page = await history.read(after, { through: 600, maxBytes, only, match });
          const bytes = page.publications.reduce((sum, it) => sum + it.bytes.length, 0);
          assert.ok(bytes <= maxBytes || page.publications.length === 1, `${bytes} bytes`);
          assert.ok(page.through > after);
          read.push(...page.publications);
          after = page.through;
        }
        const expected = stored.filter((offset) => wanted.has(offset));
        assert.deepEqual(
          read.map((it) => it.offset),
          expected,
        );
        for (const { offset, id, topics, bytes } of read) {
          assert.equal(bytes.toString(), publication(history, offset).bytes.toString());
          assert.deepEqual([id, topics.length], [positionId(history.epoch, offset), 1]);
        }
      }),
      { numRuns: 40 },
    );
  });

  test(`${name}: ids are found, ours and publishers' own; of an id that was used twice the oldest counts`, async (t) => {
    const { history } = await start(t);
    await fill(history, range(1, 5));
    await fill(history, [6, 7], { id: "order-7" });
    await fill(history, [8], { id: "order-8" });
    const find = async (id: string) => history.find(id);
    assert.deepEqual(await Promise.all(["order-7", "order-8", positionId(history.epoch, 3)].map(find)), [6, 8, 3]);
    for (const id of ["never", "", positionId(history.epoch, 99), positionId("other", 3)]) {
      assert.equal(await find(id), undefined, id);
    }
  });

  test(`${name}: of an id that was used again the newest is found where it is asked for, and each use is told`, async (t) => {
    const { history } = await start(t);
    const told: string[] = [];
    history.onRepeatedId?.((topic) => told.push(topic));
    await fill(history, [1], { id: "1" });
    await fill(history, [2], { id: "2" });
    await fill(history, range(3, 5));
    assert.deepEqual([told, await history.find("1", "newest")], [[], 1]);
    await fill(history, [6, 7], { id: "1", topics: ["news", "other"] });
    history.commit();
    assert.deepEqual([told, await history.find("1"), await history.find("1", "newest")], [["news", "news"], 1, 7]);
    assert.deepEqual([await history.find("2", "newest"), await history.find("3", "newest")], [2, undefined]);
    assert.equal(await history.find(positionId(history.epoch, 3), "newest"), 3);
  });

  test(`${name}: an id that was used again is found as long as its newest event is held`, async (t) => {
    const { history, clock } = await start(t, { maxEvents: 100 });
    await fill(history, [1, 1500], { id: "mine" });
    await fill(history, range(1501, 1600));
    await passes(clock, () => history.floor >= 1);
    assert.equal(await history.find("mine", "newest"), history.floor < 1500 ? 1500 : undefined);
    await fill(history, [1601], { id: "mine" });
    assert.equal(await history.find("mine", "newest"), 1601);
    await fill(history, range(1602, 4000));
    await passes(clock, () => history.floor > 1601);
    assert.equal(await history.find("mine", "newest"), undefined);
  });

  test(`${name}: the oldest go when there are too many`, async (t) => {
    const { history, clock } = await start(t, { maxEvents: 100 });
    await fill(history, [1], { id: "mine" });
    await fill(history, range(2, 2000));
    await passes(clock, () => history.count <= 100 + SLACK);
    assert.ok(history.count <= 100 + SLACK, `${history.count}`);
    assert.ok(history.floor >= 2000 - 100 - SLACK, `${history.floor}`);
    assert.deepEqual(await readAll(history, 0), range(history.floor + 1, 2000));
    assert.equal(await history.find("mine"), undefined);
    assert.equal(await history.find(positionId(history.epoch, 2000)), 2000);
  });

  test(`${name}: the oldest go when they are too large`, async (t) => {
    const { history, clock } = await start(t, { maxBytes: 200_000 });
    for (const offset of range(1, 100)) {
      await history.append(publication(history, offset, { bytes: Buffer.alloc(10_000, "x") }));
      clock.advance(1);
    }
    await passes(clock, () => history.bytes <= 210_000);
    assert.ok(history.bytes <= 210_000, `${history.bytes}`);
    assert.ok(history.floor >= 75 && history.floor < 100, `${history.floor}`);
  });

  test(`${name}: the oldest go when they are too old`, async (t) => {
    const { history, clock } = await start(t, { maxAge: 60_000 });
    await fill(history, range(1, 10), { time: clock.now() });
    clock.advance(59_000);
    assert.equal(history.floor, 0);
    await fill(history, [11], { time: clock.now() });
    clock.advance(5000);
    await fill(history, [12], { time: clock.now() });
    await passes(clock, () => history.floor === 10, 100);
    assert.deepEqual([history.floor, await readAll(history, 0)], [10, [11, 12]]);
  });

  test(`${name}: a key is found with what was published with it, as soon as that is acknowledged`, async (t) => {
    const { history } = await start(t);
    assert.equal(history.findKey(hashNamed("a")), undefined);
    await history.append(publication(history, 3, { storedKey: keyNamed("a", { count: 2 }) }));
    const { epoch } = history;
    assert.deepEqual(entryOf(history, "a"), { fingerprint: hashNamed("of a"), epoch, offset: 3, count: 2 });
    assert.deepEqual([history.keyCount, history.findKey(hashNamed("b"))], [1, undefined]);
  });

  test(`${name}: a key is kept longer than its event, and until its window is over`, async (t) => {
    const keys = { windowMs: 60_000, maxKeys: 10_000 };
    const { history, clock } = await start(t, { maxEvents: 1, keys });
    await fill(history, [1], { storedKey: keyNamed("a") });
    await fill(history, range(2, 2000));
    await passes(clock, () => history.floor > 1, 10);
    assert.equal(entryOf(history, "a")?.offset, 1);
    clock.advance(55_000);
    await fill(history, [2001], { storedKey: keyNamed("b") });
    clock.advance(10_000);
    assert.deepEqual([entryOf(history, "a"), entryOf(history, "b")?.offset], [undefined, 2001]);
    await fill(history, [2002], { storedKey: keyNamed("a") });
    clock.advance(3000);
    assert.deepEqual([entryOf(history, "a")?.offset, entryOf(history, "b")?.offset], [2002, 2001]);
    assert.equal(history.keyCount, 2);
  });

  test(`${name}: of too many keys the oldest are evicted, and that is told`, async (t) => {
    let evicted = 0;
    const onEvicted = (count: number) => {
      evicted += count;
    };
    const { history } = await start(t, { keys: { windowMs: 60_000, maxKeys: 100, onEvicted } });
    for (const offset of range(1, 400)) {
      const stored = fill(history, [offset], { storedKey: keyNamed(`${offset}`) });
      history.commit();
      await stored;
    }
    const known = range(1, 400).filter((offset) => entryOf(history, `${offset}`));
    assert.deepEqual(known, range(400 - known.length + 1, 400));
    assert.ok(known.length >= 100 && known.length <= 103, `${known.length}`);
    assert.deepEqual([history.keyCount, evicted], [known.length, 400 - known.length]);
  });

  test(`${name}: any order of appending and looking gives what a list would`, async (t) => {
    const step = fc.record({
      gap: fc.integer({ min: 1, max: 5 }),
      own: fc.boolean(),
      after: fc.integer({ min: 0, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 400 }), async (steps, maxBytes) => {
        const { history } = await start(t);
        const list: Publication[] = [];
        let offset = 0;
        for (const { gap, own, after } of steps) {
          offset += gap;
          const made = publication(history, offset, own ? { id: `own ${offset % 4}` } : {});
          list.push(made);
          await history.append(made);
          assert.deepEqual(
            await readAll(history, after, maxBytes),
            list.map((it) => it.offset).filter((it) => it > after),
          );
          assert.equal(await history.find(made.id), list.find(({ id }) => id === made.id)?.offset);
          assert.equal(await history.find(made.id, "newest"), offset);
        }
      }),
      { numRuns: 30 },
    );
  });
}
