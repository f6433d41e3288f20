import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "lmdb";
import { VisibleHistory } from "../../../src/delivery/visible-history.js";
import { positionId } from "../../../src/protocol/position.js";
import { STAMPS_TRUSTED_AFTER_MS } from "../../../src/storage/lmdb/age-index.js";
import { type LmdbHistoryOptions, openLmdbHistory } from "../../../src/storage/lmdb/lmdb-history.js";
import { hashNamed, historySuite, keyNamed, publication } from "../../contract/history.js";
import { applied, offsetsIn, removalSuite, remove } from "../../contract/removal.js";
import { FakeClock } from "../../support/clock.js";
import { damageBlock } from "../../support/damage.js";
import { removeDirectory, temporaryDirectory } from "../../support/processes.js";

const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 };
const ALL = { through: Number.MAX_SAFE_INTEGER, maxBytes: 1e9 };

function folder(t: TestContext): string {
  const made = temporaryDirectory();
  t.after(() => removeDirectory(made));
  return join(made, "data");
}

const openAt = (path: string, more: Partial<LmdbHistoryOptions> = {}, clock = new FakeClock()) =>
  openLmdbHistory({ ...BOUNDS, durability: "commit", path, ...more }, clock);

describe("LMDB history", () => {
  for (const durability of ["memory", "commit", "sync"] as const) {
    historySuite(`lmdb, ${durability}`, async (t, limits, clock) => {
      const history = await openAt(folder(t), { ...limits, durability }, clock);
      t.after(() => history.close());
      return history;
    });
    removalSuite(`lmdb, ${durability}`, async (t, limits, clock) => {
      const history = await openAt(folder(t), { ...limits, durability }, clock);
      t.after(() => history.close());
      return history;
    });
  }

  test("a removal that a process did not finish is finished by the next one", async (t) => {
    const path = folder(t);
    const first = await openAt(path);
    for (let offset = 1; offset <= 500; offset++) void first.append(publication(first, offset));
    void remove(first, { topic: "topic 1" });
    await first.close();
    const second = await openAt(path);
    assert.equal(second.removals.size, 1);
    const visible = new VisibleHistory(second, new FakeClock());
    assert.deepEqual((await offsetsIn(visible)).length, 333);
    await applied(second);
    await second.close();
    const third = await openAt(path);
    t.after(() => third.close());
    assert.deepEqual([third.removals.size, (await offsetsIn(third)).length, third.count], [0, 333, 501]);
  });

  test("what is removed is trimmed like every event, with its id", async (t) => {
    const history = await openAt(folder(t), { maxEvents: 10 });
    t.after(() => history.close());
    for (let offset = 1; offset <= 20; offset++)
      void history.append(publication(history, offset, { id: `own ${offset}` }));
    await remove(history, { id: "own 15" });
    await applied(history);
    for (let offset = 22; offset <= 600; offset++) await history.append(publication(history, offset));
    assert.ok(history.floor > 21, `${history.floor}`);
    assert.equal(history.find("own 15"), undefined);
  });

  test("what was stored is there after a restart, in the same epoch, and offsets go on", async (t) => {
    const path = folder(t);
    const first = await openAt(path);
    for (let offset = 1; offset <= 10; offset++)
      await first.append(publication(first, offset, { id: `own ${offset}` }));
    await first.close();
    const second = await openAt(path);
    t.after(() => second.close());
    assert.deepEqual([second.epoch, second.last, second.count], [first.epoch, 10, 10]);
    assert.equal(second.find("own 7"), 7);
    await second.append(publication(second, 11));
    const stored = second.read(0, ALL);
    const newest = second.read(stored.through, ALL);
    assert.deepEqual([stored.publications.length, newest.publications.map(({ offset }) => offset)], [10, [11]]);
  });

  test("a key survives the restart with its event, and its age with it", async (t) => {
    const path = folder(t);
    const clock = new FakeClock();
    const keys = { windowMs: 3_600_000, maxKeys: 100 };
    const first = await openAt(path, { keys }, clock);
    await first.append(publication(first, 1, { storedKey: keyNamed("a"), time: clock.now() }));
    clock.advance(1_800_000);
    await first.append(publication(first, 2, { storedKey: keyNamed("b"), time: clock.now() }));
    await first.close();
    const second = await openAt(path, { keys }, clock);
    t.after(() => second.close());
    assert.deepEqual([second.keyCount, second.findKey(hashNamed("a"))?.offset], [2, 1]);
    clock.advance(2_000_000);
    assert.deepEqual([second.findKey(hashNamed("a")), second.findKey(hashNamed("b"))?.offset], [undefined, 2]);
    clock.advance(1000);
    assert.equal(second.keyCount, 1);
  });

  test("a file from before the keys is opened, and gets their tables", async (t) => {
    const path = folder(t);
    const first = await openAt(path);
    await first.append(publication(first, 1));
    await first.close();
    const root = open({ path: join(path, "history.mdb"), maxDbs: 8, noSync: true, overlappingSync: false });
    root.openDB({ name: "keys" }).dropSync();
    root.openDB({ name: "key_order" }).dropSync();
    root.openDB({ name: "meta", encoding: "json" }).removeSync("keys");
    await root.close();
    const second = await openAt(path);
    await second.append(publication(second, 2, { storedKey: keyNamed("a") }));
    await second.close();
    const third = await openAt(path);
    t.after(() => third.close());
    assert.deepEqual([third.count, third.findKey(hashNamed("a"))?.offset], [2, 2]);
  });

  test("a process that is killed has kept every event that it acknowledged, and its offsets are not given out again", async (t) => {
    const path = folder(t);
    const program = fileURLToPath(new URL("appender.js", import.meta.url));
    for (let round = 1; round <= 3; round++) {
      const child = spawn(process.execPath, [program, path], { stdio: ["ignore", "pipe", "inherit"] });
      let printed = "";
      child.stdout.setEncoding("latin1");
      while (printed.split("\n").length < 100) printed += (await once(child.stdout, "data"))[0];
      child.kill("SIGKILL");
      child.stdout.on("data", (text) => {
        printed += text;
      });
      await once(child, "close");
      const acknowledged = printed.split("\n").slice(0, -1).map(Number);
      const history = await openAt(path);
      const held = new Set(history.read((acknowledged[0] as number) - 1, ALL).publications.map(({ offset }) => offset));
      assert.deepEqual(
        acknowledged.filter((offset) => !held.has(offset)),
        [],
      );
      const last = acknowledged.at(-1) ?? 0;
      assert.equal(history.find(`own ${last}`), last);
      assert.ok(history.last > last + 1000, "an event may have been sent that was not stored");
      await history.close();
    }
  });

  test("what was committed outlives a process that is killed at that moment", async (t) => {
    const path = folder(t);
    const program = fileURLToPath(new URL("appender.js", import.meta.url));
    for (const durability of ["memory", "commit", "sync"] as const) {
      const child = spawn(process.execPath, [program, path, durability, "killed"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      child.stdout.setEncoding("latin1");
      let printed = "";
      child.stdout.on("data", (text) => {
        printed += text;
      });
      assert.deepEqual(await once(child, "close"), [null, "SIGKILL"]);
      const history = await openAt(path);
      assert.equal(history.find("own a"), Number(printed), durability);
      assert.deepEqual(
        history.read(Number(printed) - 1, ALL).publications.map(({ id }) => id),
        ["own a", "own b"],
      );
      await history.close();
      rmSync(path, { recursive: true });
    }
  });

  test("a second daemon on the same data is refused, and told what to do", async (t) => {
    const path = folder(t);
    const first = await openAt(path);
    t.after(() => first.close());
    await assert.rejects(openAt(path), { code: "storage_unusable", message: /--takeover/ });
  });

  test("a folder that cannot be made is an error that names it", async (t) => {
    const path = folder(t);
    writeFileSync(path, "a file");
    await assert.rejects(openAt(join(path, "below")), {
      code: "storage_unusable",
      message: /cannot be used.*\[history\] path/,
    });
  });

  /** Damages the data of a history that was closed well, then opens it. */
  async function reopenedAfter(t: TestContext, damage: (file: string) => unknown): Promise<string> {
    const path = folder(t);
    const history = await openAt(path);
    for (let offset = 1; offset <= 500; offset++) {
      void history.append(publication(history, offset, { bytes: Buffer.alloc(1000, "x") }));
    }
    await history.close();
    await damage(join(path, "history.mdb"));
    const outcome = await openAt(path).then(
      async (again) => {
        const { publications } = again.read(0, ALL);
        const isWhole = publications.every(({ offset, id }) => id === positionId(again.epoch, offset));
        await again.close();
        return isWhole ? "opened" : "garbage";
      },
      ({ code, message }) => `${code}: ${message}`,
    );
    return outcome;
  }

  test("data that is cut off is refused with a clear error", async (t) => {
    const outcome = await reopenedAfter(t, (file) => truncateSync(file, 40_000));
    assert.match(outcome, /^storage_unusable: .*history\.mdb/);
  });

  test("a file that is something else is refused with a clear error", async (t) => {
    const outcome = await reopenedAfter(t, (file) => writeFileSync(file, Buffer.alloc(100_000, "not a database")));
    assert.match(outcome, /^storage_unusable: .*history\.mdb/);
  });

  test("data of a newer version is refused, and the newer m2push named as the fix", async (t) => {
    const outcome = await reopenedAfter(t, async (file) => {
      const root = open({ path: file, maxDbs: 3 });
      await root.openDB<number, string>({ name: "meta", encoding: "json" }).put("version", 99);
      await root.close();
    });
    assert.match(outcome, /^storage_unusable: .*newer m2push/);
  });

  test("events whose bytes were damaged are left out, never given as something else", async (t) => {
    const outcome = await reopenedAfter(t, (file) => {
      const bytes = readFileSync(file);
      // Inside the events: only these contain as many x in a row.
      for (let at = bytes.indexOf("x".repeat(600)); at > 0 && at < bytes.length - 3000; at += 50_000)
        bytes[at + 300] = 0x79;
      writeFileSync(file, bytes);
    });
    assert.match(outcome, /^opened$|^storage_unusable/);
  });

  test("where events were damaged a reader hears that something is missing, and goes on behind it", async (t) => {
    const path = folder(t);
    const first = await openAt(path);
    for (let offset = 1; offset <= 100; offset++) await first.append(publication(first, offset));
    assert.equal(first.damagedBlocks, 0);
    await first.close();
    const { after, through } = await damageBlock(path);
    const second = await openAt(path);
    t.after(() => second.close());
    assert.deepEqual([second.damagedBlocks, second.count], [1, 100 - (through - after)]);
    const offsets: number[] = [];
    const broken: (readonly [number, number])[] = [];
    for (let at = 0; at < 100; ) {
      const page = second.read(at, { ...ALL, match: ({ offset }) => offset !== after });
      offsets.push(...page.publications.map(({ offset }) => offset));
      if (page.isBroken) broken.push([at, page.through]);
      at = page.through;
    }
    const whole = Array.from({ length: 100 }, (_, index) => index + 1);
    assert.deepEqual(
      offsets,
      whole.filter((offset) => offset < after || offset > through),
    );
    assert.deepEqual(broken, [[after, through]]);
  });

  /** A history of four events, ten seconds apart, the last of them ten seconds old. */
  async function leaveFour(path: string, clock: FakeClock): Promise<void> {
    const history = await openAt(path, {}, clock);
    for (let offset = 1; offset <= 4; offset++) {
      await history.append(publication(history, offset, { time: clock.now() }));
      clock.advance(10_000);
    }
    await history.close();
  }

  test("a damaged block that is trimmed counts as trimmed: who stands before it has lost something", async (t) => {
    const path = folder(t);
    const clock = new FakeClock();
    await leaveFour(path, clock);
    assert.deepEqual(await damageBlock(path), { after: 2, through: 3 });
    const second = await openAt(path, { maxAge: 85_000 }, clock);
    t.after(() => second.close());
    clock.advance(STAMPS_TRUSTED_AFTER_MS);
    assert.deepEqual([second.floor, second.count], [3, 1]);
  });

  test("a damaged event that claims to be of the future does not keep those behind it for ever, and says nothing", async (t) => {
    const path = folder(t);
    const clock = new FakeClock();
    await leaveFour(path, clock);
    const root = open({ path: join(path, "history.mdb"), maxDbs: 4 });
    const blocks = root.openDB<Buffer, number>({ name: "blocks", encoding: "binary" });
    const block = Buffer.from(blocks.get(2) ?? assert.fail("no second event"));
    block.writeUInt16LE(0xffff, 12); // the upper bytes of its offset
    block.writeDoubleLE(1e15, 14);
    await blocks.put(2, block);
    await root.close();
    const second = await openAt(path, { maxAge: 75_000 }, clock);
    t.after(() => second.close());
    assert.equal(second.count, 3);
    const pages = [0, 1, 2].map((after) => second.read(after, ALL));
    assert.deepEqual(
      pages.map(({ publications }) => publications.map(({ offset }) => offset)),
      [[1], [], [3, 4]],
    );
    clock.advance(STAMPS_TRUSTED_AFTER_MS);
    assert.deepEqual([second.floor, second.count, second.last], [3, 1, 4]);
  });

  test("what one moment brought goes event by event, and stays gone after a restart", async (t) => {
    const path = folder(t);
    const clock = new FakeClock();
    const first = await openAt(path, {}, clock);
    for (let offset = 1; offset <= 50; offset++) void first.append(publication(first, offset, { id: `own ${offset}` }));
    await first.close();
    for (const maxEvents of [17, 16]) {
      const history = await openAt(path, { maxEvents }, clock);
      clock.advance(1000);
      const { publications } = history.read(0, ALL);
      assert.deepEqual(
        [history.count, history.floor, publications.map(({ offset }) => offset)[0], publications.length],
        [maxEvents, 50 - maxEvents, 51 - maxEvents, maxEvents],
      );
      assert.deepEqual([history.find(`own ${50 - maxEvents}`), history.find("own 50")], [undefined, 50]);
      await history.close();
    }
    const all = await openAt(path, { maxEvents: 0 }, clock);
    t.after(() => all.close());
    clock.advance(1000);
    assert.deepEqual([all.count, all.bytes, all.floor, all.last], [0, 0, 50, 50]);
  });

  test("what goes out of memory is read from the file, and the page goes on in memory", async (t) => {
    const history = await openAt(folder(t));
    t.after(() => history.close());
    for (let offset = 1; offset <= 25_000; offset++) {
      const kept = history.append(publication(history, offset));
      if (offset % 1000 === 0) await kept;
    }
    const found: number[] = [];
    for (let at = 0; at < history.last; ) {
      const page = history.read(at, { ...ALL, maxBytes: 50_000 });
      found.push(...page.publications.map(({ offset }) => offset));
      at = page.through;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 25_000 }, (_, index) => index + 1),
    );
  });

  test("data of a format that no release wrote is refused in words", async (t) => {
    const path = folder(t);
    await (await openAt(path)).close();
    const root = open({ path: join(path, "history.mdb"), maxDbs: 4 });
    await root.openDB<number, string>({ name: "meta", encoding: "json" }).put("version", 1);
    await root.close();
    await assert.rejects(openAt(path), {
      code: "storage_unusable",
      message: /written before the first release \(format 1\)/,
    });
  });

  test("nothing is left behind by a history that was closed, and its folder can be opened at once", async (t) => {
    const path = folder(t);
    mkdirSync(path);
    for (let turn = 0; turn < 5; turn++) await (await openAt(path)).close();
    assert.ok(readdirSync(path).includes("history.mdb"));
    rmSync(path, { recursive: true });
  });

  test("a wall clock that is a day ahead for some seconds empties nothing, and is told of", async (t) => {
    const clock = new FakeClock();
    const warnings: string[] = [];
    const options = { maxAge: 60_000, warn: (warning: string) => warnings.push(warning) };
    const history = await openAt(folder(t), options, clock);
    t.after(() => history.close());
    for (let offset = 1; offset <= 10; offset++)
      await history.append(publication(history, offset, { time: clock.now() }));
    const wall = clock.now();
    clock.setNow(wall + 25 * 3_600_000);
    clock.advance(3000);
    assert.equal(history.count, 10);
    clock.setNow(wall + 3000);
    clock.advance(3000);
    assert.equal(history.count, 10);
    assert.match(warnings.join("\n"), /^the wall clock jumped 90000 s forward: .*\n.* 90000 s back: /);
    clock.advance(63_000);
    assert.equal(history.count, 0);
  });

  test("one event stamped in the future does not keep those behind it", async (t) => {
    const clock = new FakeClock();
    const history = await openAt(folder(t), { maxAge: 60_000 }, clock);
    t.after(() => history.close());
    for (let offset = 1; offset <= 3; offset++) {
      await history.append(publication(history, offset, { time: offset === 1 ? 4e12 : clock.now() }));
    }
    clock.advance(63_000);
    assert.deepEqual([history.count, history.floor], [0, 3]);
  });
});
