import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { FileRequestRecord, MAX_IDS } from "../../../src/storage/clients/file-request-record.js";
import { removeDirectory, temporaryDirectory } from "../../support/processes.js";

const turn = () => new Promise(setImmediate);

function setUp(t: TestContext) {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const failures: unknown[] = [];
  let now = 0;
  const wrote = (_file: string, error: unknown) => {
    failures.push(error);
  };
  /** Another process on the same files; the one before it is as if it was killed. */
  const next = (more: { boot?: string; cleanStop?: boolean } = {}) =>
    new FileRequestRecord({
      folder,
      server: "main",
      boot: "b1",
      monotonic: () => now,
      cleanStop: false,
      onWrite: wrote,
      ...more,
    });
  const advance = (milliseconds: number) => {
    now += milliseconds;
  };
  return { folder, next, failures, advance };
}

const idsOf = (ids: Iterable<number> | undefined) => [...(ids ?? [])].sort((a, b) => a - b);

describe("Request record", () => {
  test("tells the next process what was read, what was answered and what was kept, turn by turn", async (t) => {
    const { next } = setUp(t);
    const first = next();
    assert.equal(first.previous, undefined, "nothing is known of what went before");
    for (const id of [1, 2, 3, 4, 9]) first.read(id);
    first.answered(1, false);
    first.answered(2, true);
    first.ended(4);
    await turn();
    first.read(5);
    const { previous } = next();
    assert.equal(previous?.highest, 9, "5 was said in a turn that is not over");
    assert.deepEqual(idsOf(previous?.unanswered), [3, 9]);
    assert.deepEqual(idsOf(previous?.kept), [2]);
    assert.equal(previous?.cleanStop, false);
  });

  test("counts requests that a connection sends ahead", async (t) => {
    const { next } = setUp(t);
    const first = next();
    first.read(1);
    first.read(1);
    first.answered(1, true);
    await turn();
    assert.deepEqual(idsOf(next().previous?.unanswered), [1], "one answer is missing");
    first.answered(1, true);
    assert.equal(first.has(1), true);
  });

  test("of a process that was killed before it had decided is joined to that of the next", async (t) => {
    const { next } = setUp(t);
    const first = next();
    for (const id of [1, 2]) first.read(id);
    first.answered(2, true);
    await turn();
    const second = next();
    for (const id of [7, 8]) second.read(id);
    second.answered(8, true);
    await turn();
    const third = next();
    assert.equal(third.previous?.highest, 2, "what the first has lost lies above its highest id");
    assert.deepEqual(idsOf(third.previous?.unanswered), [1, 7]);
    assert.deepEqual(idsOf(third.previous?.kept), [2, 8]);
    third.previousDecided();
    const fourth = next();
    assert.equal(fourth.previous?.highest, 8);
    assert.deepEqual(idsOf(fourth.previous?.unanswered), []);
    assert.deepEqual(idsOf(fourth.previous?.kept), [2, 8], "both connections may still send a request");
  });

  test("after a clean stop holds no request that was lost", async (t) => {
    const { next } = setUp(t);
    const first = next();
    for (const id of [1, 2]) first.read(id);
    first.answered(2, true);
    await turn();
    const { previous } = next({ cleanStop: true });
    assert.equal(previous?.cleanStop, true);
    assert.deepEqual(idsOf(previous?.unanswered), []);
    assert.deepEqual(idsOf(previous?.kept), [2]);
  });

  test("of another boot of the machine, of something else or cut off is as good as its whole part", async (t) => {
    const { folder, next } = setUp(t);
    const first = next();
    first.read(1);
    await turn();
    const path = join(folder, "requests-main.log");
    const whole = readFileSync(path);
    assert.equal(next({ boot: "b2" }).previous, undefined);
    writeFileSync(path, "something else");
    assert.equal(next().previous, undefined);
    rmSync(join(folder, "requests-main.previous"), { force: true });
    writeFileSync(path, whole);
    appendFileSync(path, Buffer.from([1, 9]));
    assert.deepEqual(idsOf(next().previous?.unanswered), [1]);
  });

  test("takes what was under way for lost when the link is, and forgets every id when Mongrel2 was restarted", async (t) => {
    const { next } = setUp(t);
    const record = next();
    for (const id of [1, 2, 3]) record.read(id);
    record.answered(2, true);
    record.linkLost();
    assert.deepEqual(idsOf(record.previous?.unanswered), [1, 3]);
    assert.equal(record.has(1), false);
    record.reset();
    assert.equal(record.previous, undefined);
    assert.equal(record.highest, 0);
    await turn();
    const { previous } = next();
    assert.deepEqual([previous?.highest, idsOf(previous?.kept)], [0, []]);
  });

  test("keeps orphans for the next process", (t) => {
    const { next } = setUp(t);
    const orphan = { id: 5, kind: "request", quietSince: 17, bytesRead: 1, bytesWritten: 2 } as const;
    next().keepOrphans([orphan]);
    assert.deepEqual(next().orphans, [orphan]);
    assert.deepEqual(next({ boot: "b2" }).orphans, []);
  });

  test("is bounded whatever strangers do, and so is its file", async (t) => {
    const { folder, next } = setUp(t);
    const record = next();
    for (let id = 1; id <= MAX_IDS + 10; id++) {
      record.read(id);
      record.answered(id, true);
    }
    for (let id = 100_001; id <= 100_000 + MAX_IDS + 10; id++) record.read(id);
    assert.equal(record.has(10), false);
    assert.equal(record.has(11), true);
    for (let times = 0; times < 20; times++) {
      for (let id = 1_000_000; id < 1_050_000; id++) {
        record.read(id);
        record.answered(id, false);
      }
      await turn();
    }
    const { size } = statSync(join(folder, "requests-main.log"));
    assert.ok(size < 4_000_000, `${size} bytes`);
    assert.equal(next().previous?.unanswered.size, MAX_IDS);
  });

  test("that cannot be written says so, and is whole again when it can", async (t) => {
    const { folder, next, failures, advance } = setUp(t);
    const record = next();
    record.read(1);
    await turn();
    removeDirectory(folder);
    record.rewriteIfGone();
    assert.ok(failures.at(-1) instanceof Error);
    record.read(2);
    await turn();
    mkdirSync(folder, { recursive: true });
    advance(1000);
    record.retry();
    assert.equal(failures.at(-1), undefined);
    assert.deepEqual(idsOf(next().previous?.unanswered), [1, 2]);
  });
});
