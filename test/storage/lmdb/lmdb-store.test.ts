/** The LMDB file of a history without the history in front of it: what one process stores, the next one finds. */
import assert from "node:assert/strict";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { open as openDatabase } from "lmdb";
import type { History } from "../../../src/delivery/history.js";
import type { Publication } from "../../../src/protocol/publication.js";
import { EventBlock } from "../../../src/storage/lmdb/block.js";
import { LmdbStore, type LmdbStoreOptions } from "../../../src/storage/lmdb/lmdb-store.js";
import { publication } from "../../contract/history.js";
import { FakeClock } from "../../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../../support/processes.js";

const NO_LIMITS = { durability: "commit", maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 } as const;

function setUp(t: TestContext) {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const file = join(folder, "history.mdb");
  const clock = new FakeClock();
  const open = (options: Partial<LmdbStoreOptions> = {}) => new LmdbStore(file, { ...NO_LIMITS, ...options }, clock);
  return { file, clock, open };
}

/** One block for each event, as events of different turns of the event loop are stored. */
function add(store: LmdbStore, offsets: readonly number[], more: Partial<Publication> = {}): readonly string[] {
  const blocks = offsets.map((offset) => {
    const block = new EventBlock(store.epoch, publication({ epoch: store.epoch } as History, offset, more));
    block.seal();
    return block;
  });
  return store.add(blocks);
}

function offsetsIn(store: LmdbStore, after: number, through: number): number[] {
  return [...store.read(after, through)].map((it) => (typeof it === "number" ? -it : it.offset));
}

describe("LmdbStore", () => {
  test("finds epoch, events and last offset again after a close", async (t) => {
    const { open } = setUp(t);
    const first = open();
    first.probe(1);
    add(first, [1, 2, 5]);
    await first.close(9);
    const second = open();
    t.after(() => second.close(9));
    assert.deepEqual([second.epoch, second.last, second.count], [first.epoch, 9, 3]);
    assert.equal(second.hadUncleanShutdown, false);
    assert.deepEqual(offsetsIn(second, 1, 5), [2, 5]);
  });

  test("keeps the format that earlier daemons read until an event needs the newer one", async (t) => {
    const { file, open } = setUp(t);
    const versionOf = async (store: LmdbStore) => {
      await store.close(9);
      const root = openDatabase({ path: file, noSync: true });
      const version = root.openDB({ name: "meta", encoding: "json" }).get("version");
      await root.close();
      return version;
    };
    const first = open();
    add(first, [1]);
    assert.equal(await versionOf(first), 2);
    const second = open();
    add(second, [2], { isFinal: true });
    assert.equal(await versionOf(second), 3);
    const third = open();
    t.after(() => third.close(9));
    assert.deepEqual(offsetsIn(third, 0, 9), [1, 2]);
  });

  test("continues far above the stored offsets when the file was not closed", async (t) => {
    const { open } = setUp(t);
    const killed = open();
    killed.probe(1);
    add(killed, [1, 2]);
    const next = open();
    assert.equal(next.hadUncleanShutdown, true);
    assert.ok(next.last > 1_000_000);
    await next.close(next.last);
    await killed.close(2);
  });

  test("trims by count, raises the floor and removes custom ids with their events", async (t) => {
    const { open } = setUp(t);
    const store = open({ maxEvents: 2 });
    t.after(() => store.close(4));
    add(store, [1], { id: "own" });
    add(store, [2, 3, 4]);
    assert.equal(store.find("own", "oldest"), 1);
    assert.equal(store.trim(100), 2);
    assert.deepEqual([store.floor, store.count, store.find("own", "oldest")], [2, 2, undefined]);
    assert.deepEqual(offsetsIn(store, 0, 4), [3, 4]);
    assert.equal(store.trim(100), 0);
  });

  test("trims by age on the monotonic clock", async (t) => {
    const { open, clock } = setUp(t);
    const store = open({ maxAge: 1000 });
    t.after(() => store.close(2));
    add(store, [1]);
    store.sampleAge(1);
    clock.advance(900);
    add(store, [2]);
    store.sampleAge(2);
    clock.advance(200);
    assert.equal(store.trim(100), 1);
    assert.deepEqual(offsetsIn(store, 0, 2), [2]);
  });

  test("returns the topics of ids that are stored already, and finds both offsets", async (t) => {
    const { open } = setUp(t);
    const store = open();
    t.after(() => store.close(2));
    assert.deepEqual(add(store, [1], { id: "own" }), []);
    assert.equal(add(store, [2], { id: "own" }).length, 1);
    assert.deepEqual([store.find("own", "oldest"), store.find("own", "newest")], [1, 2]);
  });

  test("refuses a file that became shorter, before LMDB reads it", async (t) => {
    const { open, file } = setUp(t);
    const store = open();
    store.probe(1);
    add(store, [1]);
    truncateSync(file, 4096);
    assert.throws(() => store.checkLength(), { code: "ETRUNCATED" });
    assert.throws(() => add(store, [2]), { code: "ETRUNCATED" });
    assert.throws(() => offsetsIn(store, 0, 1), { code: "ETRUNCATED" });
    await assert.rejects(store.close(1), { code: "ETRUNCATED" });
  });

  test("refuses such a file also where it counts the pages of many ids", async (t) => {
    const { open, file } = setUp(t);
    const store = open();
    store.probe(1);
    truncateSync(file, 0);
    const offsets = Array.from({ length: 30 }, (_, at) => at + 1);
    assert.throws(() => add(store, offsets, { id: "own" }), { code: "ETRUNCATED" });
    await assert.rejects(store.close(1), { code: "ETRUNCATED" });
  });

  test("begins with the epoch and offsets of an archive", async (t) => {
    const { open } = setUp(t);
    const store = open({ archiveHeader: { epoch: "abcdef", floor: 10, last: 20 } });
    assert.deepEqual([store.epoch, store.floor], ["abcdef", 10]);
    await store.close(20);
    const next = open();
    t.after(() => next.close(20));
    assert.ok(next.last > 1_000_000, "the exporting daemon may have continued");
  });
});
