import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { lockFolder } from "../../src/storage/folder-lock.js";
import { systemClock } from "../../src/util/clock.js";
import { Child, removeDirectory, run, temporaryDirectory } from "../support/processes.js";

function folder(t: TestContext): string {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  return join(dir, "data");
}

const take = (path: string, timeoutMs = 0) => lockFolder(path, systemClock, timeoutMs);
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe("lockFolder", () => {
  test("makes the folder and its files for this user only", async (t) => {
    const path = folder(t);
    const lock = await take(path);
    assert.equal(modeOf(path), 0o700);
    for (const name of readdirSync(path)) assert.equal(modeOf(join(path, name)), 0o600, name);
    assert.ok(lstatSync(join(path, "lock")).isSocket());
    await lock.release();
    assert.deepEqual(readdirSync(path), []);
  });

  test("takes the rights of others away from what an earlier version has left", async (t) => {
    const path = folder(t);
    mkdirSync(path);
    writeFileSync(join(path, "history.mdb"), "");
    chmodSync(join(path, "history.mdb"), 0o664);
    chmodSync(path, 0o755);
    const lock = await take(path);
    assert.deepEqual([modeOf(path), modeOf(join(path, "history.mdb"))], [0o700, 0o600]);
    await lock.release();
  });

  test("refuses a second holder, and names the first", async (t) => {
    const path = folder(t);
    const lock = await take(path);
    await assert.rejects(take(path), new RegExp(`in use by the m2push with pid ${process.pid}: stop it`));
    await lock.release();
    await (await take(path)).release();
  });

  test("works where the path is longer than a socket's may be", async (t) => {
    const path = join(folder(t), "x".repeat(120));
    const lock = await take(path);
    await assert.rejects(take(path), /in use/);
    await lock.release();
  });

  test("replaces a socket that a killed process has left", async (t) => {
    const path = folder(t);
    mkdirSync(path);
    const listen = `require("node:net").createServer().listen(${JSON.stringify(join(path, "lock"))}, () => process.exit())`;
    // exit() does not remove the socket's file, as a kill does not.
    const { exit, output } = await run(process.execPath, ["-e", listen], path);
    assert.equal(exit.code, 0, output);
    assert.ok(existsSync(join(path, "lock")));
    await (await take(path)).release();
  });

  test("does not take a lock from a process that is stopped and accepts nobody", async (t) => {
    const path = folder(t);
    mkdirSync(path);
    const busy = createServer().listen(join(path, "lock"), 1);
    await once(busy, "listening");
    const callers = Array.from({ length: 4 }, () => connect(join(path, "lock")).on("error", () => {}));
    await assert.rejects(take(path), /in use/);
    for (const caller of callers) caller.destroy();
    busy.close();
  });

  test("never lets two of many starters have the folder, over a socket that was left behind", async (t) => {
    const path = folder(t);
    mkdirSync(path);
    const starter = fileURLToPath(new URL("./lock-starter.js", import.meta.url));
    const starters = Array.from({ length: 8 }, () => new Child(process.execPath, [starter, path], path));
    const exits = await Promise.all(starters.map((it) => it.exited));
    const stderr = starters.map((it) => it.stderr).join("");
    assert.deepEqual(new Set(exits.map(({ code }) => code)), new Set([0]), stderr);
  });

  test("says what to do where the folder cannot be made", async (t) => {
    const path = folder(t);
    symlinkSync("/dev/null", path);
    await assert.rejects(take(path), /cannot be used: .*; fix: make it writable/);
  });
});
