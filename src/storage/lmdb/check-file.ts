/** Data that cannot be used: how that is found out before it is opened, and what is said of it. */
import { M2pushError } from "../../errors.js";
import { findFileDamage } from "./lmdb-file.js";

/** Throws "storage_unusable" when LMDB could not be trusted with the file. A missing one is fine. */
export function checkFile(file: string): void {
  const damage = findFileDamage(file);
  if (damage !== undefined) throw unusable(file, damage);
}

/** Throws "storage_unusable" when the data was written in another format than the `known` one. No release wrote an older one. */
export function checkVersion(file: string, version: number, known: number): void {
  if (version === known) return;
  if (version < known) throw unusable(file, `it was written before the first release (format ${version})`);
  throw unusable(file, `it was written by a newer m2push (format ${version}, this one reads ${known}): use that one`);
}

/** Says that blocks of a file that can be used are damaged. */
export function describeDamage(blocks: number): string {
  return `${blocks} block${blocks === 1 ? "" : "s"} of the history, of up to some 25 events each, ${blocks === 1 ? "is" : "are"} damaged`;
}

export function unusable(file: string, why: string, cause?: unknown): M2pushError {
  const fix = "put a copy of it back, or move it away to begin with an empty history";
  return new M2pushError("storage_unusable", `${file} cannot be used: ${why}; ${fix}`, { cause });
}
