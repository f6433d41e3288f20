/**
 * Copies the LMDB file of a history while a daemon may be writing it: in one read transaction, by LMDB's compacting copy, which takes no lock of
 * the writer (the plain one does, while it writes the first two pages). The file of the daemon grows meanwhile by what is published.
 */
import { existsSync, statSync } from "node:fs";
import { open } from "lmdb";
import { messageOf } from "../../errors.js";
import { unusable } from "./check-file.js";

/** Rejects with "storage_unusable". `target` must not exist. */
export async function copyHistoryFile(file: string, target: string): Promise<void> {
  // Opening creates the lock file where it is missing, which the daemon could then not open.
  const isForeign = statSync(file).uid !== process.geteuid?.();
  if (isForeign && !existsSync(`${file}-lock`))
    throw unusable(file, "it belongs to another user", { fix: "run this as the user of the daemon" });
  try {
    const root = open({ path: file, readOnly: true, maxDbs: 8 });
    try {
      await root.backup(target, true);
    } finally {
      await root.close();
    }
  } catch (cause) {
    throw unusable(file, `it cannot be copied to ${target}: ${messageOf(cause)}`, {
      cause,
      fix: "see that this user may read the one and write the other, and that the disk has space",
    });
  }
}
