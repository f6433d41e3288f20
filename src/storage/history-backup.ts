/**
 * Backups of a data folder: a copy of the history while the daemon runs, and the way back. A backup is a folder:
 *
 *   history.mdb         the stored events, their idempotency keys included
 *   revocations.jsonl   the revoked tokens, if there are any
 *   backup.json         what the two must be (sizes and SHA-256), and what the history holds
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { M2pushError, messageOf } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { packageVersion } from "../util/package-version.js";
import { PRIVATE_MODE, privately } from "../util/private-files.js";
import { fillFolder, NO_LIMITS } from "./history-archive.js";
import { describeDamage } from "./lmdb/check-file.js";
import { copyHistoryFile } from "./lmdb/lmdb-backup.js";
import { HISTORY_FILE, openLmdbHistory } from "./lmdb/lmdb-history.js";
import { openRevocationFile, REVOCATION_FILE } from "./revocation-file.js";

const MANIFEST_FILE = "backup.json";
/** More than a daemon can publish: offsets that it has given out since the backup, at most. */
const MAX_OFFSETS_PER_SECOND_COUNT = 100_000;
const MIN_RESERVED_OFFSETS_COUNT = 1_048_576;
const MS_PER_SECOND = 1000;

interface Manifest {
  readonly m2push: string;
  /** RFC 3339. */
  readonly time: string;
  readonly epoch: string;
  readonly last: number;
  readonly events: number;
  /** SHA-256 of each file, hexadecimal. */
  readonly files: Readonly<Record<string, string>>;
}

export interface BackupSummary {
  readonly events: number;
  readonly epoch: string;
  /** Describes damaged blocks, for operators; absent = none. */
  readonly damage?: string;
}

/**
 * Copies the history of the folder `path` to the new folder `target`, which exists only when the copy is complete, verified and flushed to
 * the disk. Rejects with "storage_unusable".
 */
export async function backupHistory(path: string, target: string, clock: Clock): Promise<BackupSummary> {
  const source = join(path, HISTORY_FILE);
  if (!existsSync(source)) throw failure(`there is no history in ${path}`, "see whether [history] path is right");
  if (existsSync(target)) throw failure(`${target} exists`, "name a folder that does not exist yet");
  const staging = `${target}.partial`;
  try {
    return await fillBackup(path, staging, clock).then((summary) => {
      renameSync(staging, target);
      flush(dirname(target));
      return summary;
    });
  } catch (cause) {
    if (cause instanceof M2pushError) throw cause;
    throw failure(`${target} cannot be written: ${messageOf(cause)}`, "name a folder that this user may create", cause);
  } finally {
    remove(staging);
  }
}

/** Also where a part of the path is a file, which rmSync() calls an error. */
function remove(folder: string): void {
  if (existsSync(folder)) rmSync(folder, { recursive: true });
}

async function fillBackup(path: string, staging: string, clock: Clock): Promise<BackupSummary> {
  remove(staging);
  privately(() => mkdirSync(staging, { recursive: true }));
  const copy = join(staging, HISTORY_FILE);
  await copyHistoryFile(join(path, HISTORY_FILE), copy);
  chmodSync(copy, PRIVATE_MODE);
  const files = [HISTORY_FILE];
  if (existsSync(join(path, REVOCATION_FILE))) {
    copyFileSync(join(path, REVOCATION_FILE), join(staging, REVOCATION_FILE));
    files.push(REVOCATION_FILE);
  }
  const { epoch, last, count, damagedBlocks } = await examine(staging, clock);
  const hashes = await Promise.all(files.map(async (name) => [name, await hashOf(join(staging, name))] as const));
  const time = new Date(clock.now()).toISOString();
  const manifest: Manifest = {
    m2push: packageVersion(),
    time,
    epoch,
    last,
    events: count,
    files: Object.fromEntries(hashes),
  };
  writeFileSync(join(staging, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: PRIVATE_MODE });
  for (const name of [...files, MANIFEST_FILE]) flush(join(staging, name));
  flush(staging);
  return { events: count, epoch, ...(damagedBlocks > 0 && { damage: describeDamage(damagedBlocks) }) };
}

/** Reads every block of the copy, as a daemon does at its start. */
async function examine(folder: string, clock: Clock) {
  const history = await openLmdbHistory({ ...NO_LIMITS, path: folder, durability: "commit" }, clock);
  const { epoch, last, count, damagedBlocks } = history;
  await history.close();
  rmSync(join(folder, `${HISTORY_FILE}-lock`), { force: true });
  return { epoch, last, count, damagedBlocks };
}

/**
 * Puts a backup into the folder `path`, whose history must be missing or empty. Offsets of new events begin far above the restored ones,
 * farther with the age of the backup: the daemon has continued after it, perhaps from an earlier restore of the same backup. Revoked tokens that the folder has stay revoked. Rejects with
 * "storage_unusable": while a daemon uses the folder, too, and for a backup that is not what its backup.json says.
 */
export async function restoreBackup(backup: string, path: string, clock: Clock): Promise<BackupSummary> {
  const { files, time } = readManifest(backup);
  const summary = await fillFolder(path, clock, async (staging) => {
    for (const [name, hash] of Object.entries(files)) await copyVerified(join(backup, name), join(staging, name), hash);
    const prepared = await prepareHistory(staging, reservedOffsets(Date.parse(time), clock), clock);
    mergeRevocations(staging, path, clock);
    return prepared;
  });
  flush(path);
  return summary;
}

function readManifest(backup: string): Manifest {
  const file = join(backup, MANIFEST_FILE);
  try {
    const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
    const names = Object.keys(manifest.files);
    if (names.includes(HISTORY_FILE) && names.every((name) => [HISTORY_FILE, REVOCATION_FILE].includes(name)))
      return manifest;
  } catch (cause) {
    throw failure(
      `${file} cannot be read: ${messageOf(cause)}`,
      "name a folder that `m2push history backup` made",
      cause,
    );
  }
  throw failure(`${file} is not that of a backup`, "name a folder that `m2push history backup` made");
}

async function copyVerified(from: string, to: string, hash: string): Promise<void> {
  privately(() => copyFileSync(from, to));
  chmodSync(to, PRIVATE_MODE);
  if ((await hashOf(to)) === hash) return;
  throw failure(`${from} is damaged: its SHA-256 is not that of ${MANIFEST_FILE}`, "take another backup");
}

function reservedOffsets(backedUpAt: number, clock: Clock): number {
  const seconds = Math.max(0, Math.ceil((clock.now() - backedUpAt) / MS_PER_SECOND)) || 0;
  return MIN_RESERVED_OFFSETS_COUNT + seconds * MAX_OFFSETS_PER_SECOND_COUNT;
}

async function prepareHistory(staging: string, reserved: number, clock: Clock): Promise<BackupSummary> {
  const options = { ...NO_LIMITS, path: staging, durability: "sync", reservedOffsets: reserved } as const;
  const history = await openLmdbHistory(options, clock);
  const { epoch, count, damagedBlocks } = history;
  await history.close();
  return { events: count, epoch, ...(damagedBlocks > 0 && { damage: describeDamage(damagedBlocks) }) };
}

/** Adds the revocations of the backup that the folder has not. */
function mergeRevocations(staging: string, path: string, clock: Clock): void {
  const { recorded: restored } = openRevocationFile(staging, clock.now());
  const { recorded, append } = openRevocationFile(path, clock.now());
  const known = new Set(recorded.map((it) => JSON.stringify(it)));
  const added = restored.filter((it) => !known.has(JSON.stringify(it)));
  if (added.length > 0) append(added);
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function failure(what: string, fix: string, cause?: unknown): M2pushError {
  return new M2pushError("storage_unusable", `${what}; fix: ${fix}`, { cause });
}
