/** Checks a stored file before LMDB opens it, and words the errors of unusable data. */
import { M2pushError } from "../../errors.js";
import { findFileDamage } from "./lmdb-file.js";

const RESTORE_FIX = "restore the file from a copy, or move it away to begin with an empty history";

interface UnusableOptions {
  readonly cause?: unknown;
  readonly fix?: string;
}

/** Throws "storage_unusable" when a damaged file could crash LMDB. A missing file passes. */
export function checkFile(file: string): void {
  const damage = findFileDamage(file);
  if (damage !== undefined) throw unusable(file, damage);
}

/** Throws "storage_unusable" for data in another format than those from the `oldest` to the `known` one. No release wrote an older one. */
export function checkVersion(file: string, version: number, oldest: number, known: number): void {
  if (version >= oldest && version <= known) return;
  if (version < oldest) throw unusable(file, `it was written before the first release (format ${version})`);
  const why = `it was written by a newer m2push (format ${version}, this one reads ${known})`;
  throw unusable(file, why, { fix: "start that version, or move the file away to begin with an empty history" });
}

/** The text about damaged blocks of a usable file. */
export function describeDamage(blocks: number): string {
  return `${blocks} block${blocks === 1 ? "" : "s"} of the history, of up to some 25 events each, ${blocks === 1 ? "is" : "are"} damaged`;
}

/** `cause`: the error of LMDB or the system; `fix`: absent = restore or remove the file. */
export function unusable(file: string, why: string, { cause, fix = RESTORE_FIX }: UnusableOptions = {}): M2pushError {
  return new M2pushError("storage_unusable", `${file} cannot be used: ${why}; fix: ${fix}`, { cause });
}
