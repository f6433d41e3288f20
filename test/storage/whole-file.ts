/** A stored history that is whole, and a process that uses what became of it. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { publication } from "../contract/history.js";
import { FakeClock } from "../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

export const FILE = "history.mdb";

/** A file with all that a history has: branches, overflow pages, and pages that became free. */
export async function wholeFile(
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
export function use(dir: string): Promise<number | string> {
  const program = fileURLToPath(new URL("user.js", import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, dir], (error) => resolve(error ? (error.signal ?? error.code ?? 1) : 0));
  });
}
