/** Files that were damaged while nobody had them open: LMDB would end the process with a signal for many of them. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { findFileDamage } from "../../src/storage/lmdb/lmdb-file.js";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { publication } from "../contract/history.js";
import { FakeClock } from "../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const PAGE = 4096;
const FILE = "history.mdb";
/** A process is started for each. */
const DAMAGES = Number(process.env.DAMAGES ?? 30);

/** A file with all that a history has: branches, overflow pages, and pages that became free. */
async function healthy(
  t: TestContext,
): Promise<{ readonly dir: string; readonly file: string; readonly bytes: Buffer }> {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  const clock = new FakeClock();
  const options = { path: dir, durability: "commit", maxEvents: 1000, maxAge: 1e15, maxBytes: 1e12 } as const;
  const history = await openLmdbHistory(options, clock);
  for (let offset = 1; offset <= 3000; offset++) {
    const bytes = Buffer.alloc(offset % 50 === 0 ? 9000 : 60);
    const kept = history.append(publication(history, offset, { id: `own ${offset}`, bytes }));
    if (offset % 100 === 0) await kept;
    if (offset % 500 === 0) clock.advance(1000);
  }
  await history.close();
  const file = join(dir, FILE);
  return { dir, file, bytes: readFileSync(file) };
}

/** Runs user.js on a copy; its exit code, or the signal that ended it. */
function use(dir: string): Promise<number | string> {
  const program = fileURLToPath(new URL("user.js", import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, dir], (error) => resolve(error ? (error.signal ?? error.code ?? 1) : 0));
  });
}

describe("Damage", () => {
  test("a file that was closed, and what a smaller and a larger history leave, has no flaw", async (t) => {
    const { dir, file } = await healthy(t);
    assert.equal(findFileDamage(file), undefined);
    assert.equal(findFileDamage(join(dir, "nothing")), undefined);
    assert.equal(await use(dir), 0);
    assert.equal(findFileDamage(file), undefined);
  });

  test("a file that ends too soon has a flaw, wherever it was cut", async (t) => {
    const { file, bytes } = await healthy(t);
    for (const part of [0.99, 0.5, 0.1, 0.01]) {
      truncateSync(file, Math.floor(bytes.length * part));
      assert.match(findFileDamage(file) ?? "none", /./);
    }
  });

  test("a file with a damaged page is refused in words or used to its end: no damage ends the process", async (t) => {
    const { dir, bytes } = await healthy(t);
    const pages = Math.floor(bytes.length / PAGE);
    const damage = fc.record({
      page: fc.nat(pages - 1),
      bytes: fc.oneof(
        fc.constant(Buffer.alloc(PAGE)),
        fc.uint8Array({ minLength: PAGE, maxLength: PAGE }),
        fc.nat(pages - 1).map((other) => bytes.subarray(other * PAGE, (other + 1) * PAGE)),
        fc.uint8Array({ minLength: 16, maxLength: 64 }),
      ),
    });
    const results = await Promise.all(
      fc.sample(damage, DAMAGES).map(async (it, number) => {
        const copy = join(dir, `copy ${number}`);
        mkdirSync(copy);
        const damaged = Buffer.from(bytes);
        damaged.set(it.bytes, it.page * PAGE);
        writeFileSync(join(copy, FILE), damaged);
        return use(copy);
      }),
    );
    const [used, refused] = [0, 3].map((code) => results.filter((it) => it === code).length);
    t.diagnostic(`${used} were used, ${refused} were refused`);
    assert.deepEqual(
      results.filter((it) => it !== 0 && it !== 3),
      [],
    );
  });
});
