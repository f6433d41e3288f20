/** The record of revoked tokens in the data folder: a line of JSON for each revocation, appended and flushed before it is answered. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isRevocation, type Revocation } from "../hub/revocations.js";
import { PRIVATE_MODE } from "../util/private-files.js";

export const REVOCATION_FILE = "revocations.jsonl";

export interface RevocationFile {
  /** Those that still matter. */
  readonly recorded: readonly Revocation[];
  /** Throws errors of the file system. */
  append(revocations: readonly Revocation[]): void;
}

/**
 * Reads the file, and leaves out what has expired by `now` (milliseconds since 1970) and lines that are damaged, as the last one is after a
 * crash. Throws errors of the file system.
 */
export function openRevocationFile(folder: string, now: number): RevocationFile {
  const path = join(folder, REVOCATION_FILE);
  const lines = readLines(path);
  const recorded = lines.flatMap(parse).filter(({ keepUntil = Number.POSITIVE_INFINITY }) => keepUntil > now);
  if (recorded.length < lines.length) {
    const fresh = `${path}.new`;
    writeFileSync(fresh, textOf(recorded), { mode: PRIVATE_MODE, flush: true });
    renameSync(fresh, path);
  }
  return { recorded, append: (revocations) => append(path, textOf(revocations)) };
}

function append(path: string, text: string): void {
  const file = openSync(path, "a", PRIVATE_MODE);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function parse(line: string): Revocation[] {
  try {
    const value: unknown = JSON.parse(line);
    return isRevocation(value) ? [value] : [];
  } catch {
    return [];
  }
}

const textOf = (revocations: readonly Revocation[]): string =>
  revocations.map((revocation) => `${JSON.stringify(revocation)}\n`).join("");
