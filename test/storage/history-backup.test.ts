/** Backups of a data folder, by the command: what is refused, verified and merged. test/e2e/history-backup.test.ts has a daemon that runs. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { addHistory } from "../../src/cli/history-command.js";
import { positionDraft } from "../../src/protocol/position.js";
import { lockFolder } from "../../src/storage/folder-lock.js";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { openRevocationFile } from "../../src/storage/revocation-file.js";
import { systemClock } from "../../src/util/clock.js";
import { runCommand } from "../cli/harness.js";
import { damageBlock } from "../support/damage.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;

function folder(t: TestContext): string {
  const made = temporaryDirectory();
  t.after(() => removeDirectory(made));
  return made;
}

const openIn = (path: string) => openLmdbHistory({ ...BOUNDS, path }, systemClock);

async function append(path: string, from: number, count: number): Promise<void> {
  const history = await openIn(path);
  for (let at = 0; at < count; at++) {
    const draft = { topics: ["t"], data: `${from + at}`, private: false };
    void history.append(positionDraft({ ...draft, topics: ["t"] }, history.epoch, history.last + 1, systemClock.now()));
  }
  await history.close();
}

async function read(path: string) {
  const history = await openIn(path);
  const { publications } = history.read(history.floor, { through: history.last, maxBytes: 1e9 });
  const ids = publications.map(({ id }) => id);
  const { last, epoch } = history;
  await history.close();
  return { ids, last, epoch };
}

const history = (cwd: string, action: string, ...words: string[]) =>
  runCommand(addHistory, ["history", action, ...words], { cwd });

describe("History backup", () => {
  test("a backup holds what the folder holds, is private, and a restore gives the same events; new offsets begin far above", async (t) => {
    const path = folder(t);
    const data = join(path, "data");
    await append(data, 1, 500);
    const backup = await history(path, "backup", "b", "--history-path", "data");
    assert.deepEqual([backup.code, backup.stderr], [0, ""]);
    assert.match(backup.stdout, /^500 events of epoch \w+ backed up to .*\/b\n$/);
    assert.deepEqual(readdirSync(join(path, "b")).sort(), ["backup.json", "history.mdb"]);
    for (const name of ["", "backup.json", "history.mdb"])
      assert.equal(statSync(join(path, "b", name)).mode & 0o077, 0, name);
    const before = await read(data);
    const restored = await history(path, "restore", "b", "--history-path", "new");
    assert.equal(restored.code, 0, restored.stderr);
    const after = await read(join(path, "new"));
    assert.deepEqual([after.ids, after.epoch], [before.ids, before.epoch]);
    assert.ok(after.last >= before.last + 1_048_576);
    assert.ok(!existsSync(join(path, "new", "import")));
  });

  test("two restores of one backup never give the same offset twice, as long as publishing is slower than 100,000 a second", async (t) => {
    const path = folder(t);
    await append(join(path, "data"), 1, 3);
    await history(path, "backup", "b", "--history-path", "data");
    const manifest = JSON.parse(readFileSync(join(path, "b", "backup.json"), "utf8"));
    await history(path, "restore", "b", "--history-path", "first");
    const hourAgo = new Date(Date.parse(manifest.time) - 3_600_000).toISOString();
    writeFileSync(join(path, "b", "backup.json"), JSON.stringify({ ...manifest, time: hourAgo }));
    await history(path, "restore", "b", "--history-path", "second");
    const [first, second] = [await read(join(path, "first")), await read(join(path, "second"))];
    assert.ok(second.last - first.last >= 3_600 * 100_000 - 10_000_000, `${first.last}, ${second.last}`);
  });

  test("a restore refuses a folder in use, one with events, a damaged backup and a folder that is none; the data stay", async (t) => {
    const path = folder(t);
    await append(join(path, "data"), 1, 5);
    await history(path, "backup", "b", "--history-path", "data");
    const refused = async (target: string, backup: string, expected: RegExp) => {
      const { code, stderr } = await history(path, "restore", backup, "--history-path", target);
      assert.equal(code, 1);
      assert.match(stderr, expected);
    };
    await refused("data", "b", /is not empty, it holds 5 events: move history.mdb away first/);
    const lock = await lockFolder(join(path, "used"), systemClock, 0);
    await refused("used", "b", /used is in use by the m2push with pid \d+: stop that first/);
    await lock.release();
    await refused(
      "new",
      "nothing",
      /backup\.json cannot be read: .*; fix: name a folder that `m2push history backup` made/,
    );
    const sum = JSON.parse(readFileSync(join(path, "b", "backup.json"), "utf8"));
    mkdirSync(join(path, "c"));
    writeFileSync(join(path, "c", "backup.json"), JSON.stringify({ ...sum, files: { "../x": "0" } }));
    await refused("new", "c", /is not that of a backup/);
    appendFileSync(join(path, "b", "history.mdb"), "x");
    await refused("new", "b", /history\.mdb is damaged: its SHA-256 is not that of backup\.json/);
    assert.ok(!existsSync(join(path, "new", "history.mdb")));
    assert.equal((await read(join(path, "data"))).ids.length, 5);
  });

  test("a backup refuses an existing folder, a missing history, and a cluster; nothing half-made stays", async (t) => {
    const path = folder(t);
    const refused = async (expected: RegExp, ...words: string[]) => {
      const { code, stderr } = await history(path, "backup", ...words);
      assert.notEqual(code, 0);
      assert.match(stderr, expected);
    };
    await refused(/there is no history in .*data; fix: see whether/, "b", "--history-path", "data");
    await append(join(path, "data"), 1, 1);
    mkdirSync(join(path, "old"));
    await refused(/old exists; fix: name a folder that does not exist yet/, "old", "--history-path", "data");
    await refused(/backup needs a folder; fix: m2push history backup FOLDER/);
    writeFileSync(join(path, "file"), "");
    await refused(/cannot be written: .*ENOTDIR.*; fix: name a folder/, "file/b", "--history-path", "data");
    writeFileSync(join(path, "c.toml"), '[cluster]\nnats = ["nats://127.0.0.1:1"]\n');
    await refused(/is a JetStream stream; fix: use `nats stream backup`/, "b", "-c", "c.toml");
    assert.deepEqual(readdirSync(path).sort(), ["c.toml", "data", "file", "old"]);
  });

  test("damaged blocks are reported at the backup and at the restore, and everything else is there", async (t) => {
    const path = folder(t);
    await append(join(path, "data"), 1, 300);
    const { after, through } = await damageBlock(join(path, "data"));
    const backup = await history(path, "backup", "b", "--history-path", "data");
    assert.equal(backup.code, 1);
    assert.match(backup.stderr, /^m2push: 1 block of the history, .* is damaged, and their events are missing/);
    const restored = await history(path, "restore", "b", "--history-path", "new");
    assert.equal(restored.code, 1);
    const history2 = await openIn(join(path, "new"));
    assert.equal(history2.count, 300 - (through - after));
    await history2.close();
  });

  test("revoked tokens are part of it; a restore revokes none again, and none that is revoked is valid again", async (t) => {
    const path = folder(t);
    await append(join(path, "data"), 1, 1);
    const revocation = (jti: string) => ({ id: jti.repeat(16) });
    openRevocationFile(join(path, "data"), 0).append([revocation("a"), revocation("b")]);
    await history(path, "backup", "b", "--history-path", "data");
    mkdirSync(join(path, "new"), { mode: 0o700 });
    openRevocationFile(join(path, "new"), 0).append([revocation("b"), revocation("c")]);
    const restored = await history(path, "restore", "b", "--history-path", "new");
    assert.equal(restored.code, 0, restored.stderr);
    const lines = readFileSync(join(path, "new", "revocations.jsonl"), "utf8")
      .trim()
      .split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line).id[0]).sort(), ["a", "b", "c"]);
  });
});
