/** Exports a history in LMDB, and imports an archive into one, while no daemon uses it. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ReadOptions } from "../delivery/history.js";
import { M2pushError } from "../errors.js";
import type { HistoryExport } from "../protocol/archive.js";
import { positionRemoval } from "../protocol/position.js";
import type { Publication } from "../protocol/publication.js";
import { concerns, type RemovalTarget } from "../protocol/removal.js";
import type { Clock } from "../util/clock.js";
import { privately } from "../util/private-files.js";
import { lockFolder } from "./folder-lock.js";
import { describeDamage } from "./lmdb/check-file.js";
import { HISTORY_FILE, type LmdbHistory, openLmdbHistory } from "./lmdb/lmdb-history.js";
import type { HistoryLimits } from "./memory/memory-history.js";
import type { StorageObserver } from "./storage-failure.js";

/** An export trims nothing. */
export const NO_LIMITS: HistoryLimits = { maxEvents: Infinity, maxAge: Infinity, maxBytes: Infinity };
const STOP_FIX = "stop that first (its streams stay open), and start it again afterwards";
/** Bytes of one page of an export. */
const PAGE_BYTES = 1_000_000;
/** Uncommitted events of an import. */
const MAX_PENDING_EVENTS = 1000;
/** A history is prepared in this subfolder of the data folder. */
const STAGING_FOLDER = "import";

/** An opened history; the caller closes it. */
export interface HistoryArchive extends HistoryExport {
  /** Describes damaged blocks, for operators; absent = none. */
  readonly damage?: string;
  close(): Promise<void>;
}

/** Opens the history of a folder. Rejects with "storage_unusable", also without a history. */
export async function openHistoryArchive(path: string, clock: Clock): Promise<HistoryArchive> {
  const history = await openStopped(path, clock);
  const { epoch, floor, last, damagedBlocks } = history;
  const damage = damagedBlocks > 0 ? { damage: `${describeDamage(damagedBlocks)}: their events are missing` } : {};
  return {
    header: { epoch, floor, last },
    publications: publicationsOf(history, { kept: true }),
    ...damage,
    close: () => history.close(),
  };
}

async function openStopped(path: string, clock: Clock, observer?: StorageObserver): Promise<LmdbHistory> {
  if (!existsSync(join(path, HISTORY_FILE))) throw unusable(`there is no history in ${path}: is [history] path right?`);
  const options = { ...NO_LIMITS, path, durability: "commit", lockFix: STOP_FIX } as const;
  return openLmdbHistory({ ...options, ...(observer && { observer }) }, clock);
}

async function* publicationsOf(history: LmdbHistory, options?: Pick<ReadOptions, "kept">): AsyncGenerator<Publication> {
  const { floor, last } = history;
  for (let at = options?.kept ? 0 : floor; at < last; ) {
    const match = (publication: Publication) => !history.removals.has(publication);
    const { publications, through } = history.read(at, { through: last, maxBytes: PAGE_BYTES, match, ...options });
    yield* publications;
    at = through;
  }
}

/**
 * Imports an archive into a folder, with the same epoch, offsets and ids, so that clients replay from their last event ids. The history
 * is prepared in a subfolder and moved into place when it is complete; after a failure an import starts from the beginning. New offsets
 * begin far above, as after an unclean shutdown, because the exporting daemon may have continued.
 *
 * Resolves with the number of imported events, and how many of them the limits keep. Rejects with "storage_unusable" when the folder
 * has a history with events, and with the errors of the archive.
 */
export async function restore(
  archive: HistoryExport,
  { path, ...limits }: HistoryLimits & { readonly path: string },
  clock: Clock,
): Promise<{ imported: number; held: number }> {
  return fillFolder(path, clock, async (staging) => {
    const options = { ...limits, path: staging, durability: "commit", archiveHeader: archive.header } as const;
    const history = await openLmdbHistory(options, clock);
    return appendAll(history, archive).finally(() => history.close());
  });
}

/**
 * Moves a history that `prepare` makes in a subfolder into a data folder. Rejects with "storage_unusable" when a daemon uses the folder, or
 * when it has a history with events; after any failure its history is as before.
 */
export async function fillFolder<T>(path: string, clock: Clock, prepare: (staging: string) => Promise<T>): Promise<T> {
  await checkEmpty(path, clock);
  const lock = await lockFolder(path, clock, 0, STOP_FIX);
  const staging = join(path, STAGING_FOLDER);
  try {
    rmSync(staging, { recursive: true, force: true });
    privately(() => mkdirSync(staging));
    const prepared = await prepare(staging);
    renameSync(join(staging, HISTORY_FILE), join(path, HISTORY_FILE));
    return prepared;
  } finally {
    rmSync(staging, { recursive: true, force: true });
    await lock.release();
  }
}

/**
 * Removes events from the history of a folder. Resolves with their number, when the file has nothing of them any more. Rejects with
 * "storage_unusable", also without a history.
 */
export async function purgeHistory(path: string, target: RemovalTarget, clock: Clock): Promise<number> {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {}); // the race below reports it
  const observer = { storageFailed: (error: Error) => fail(error), storageRecovered() {} };
  const history = await openStopped(path, clock, observer);
  try {
    let count = 0;
    for await (const publication of publicationsOf(history, { kept: true })) if (concerns(target, publication)) count++;
    const { last: through } = history;
    if (count === 0) return 0;
    await history.append(positionRemoval({ ...target, through }, history.epoch, through + 1, clock.now()));
    while (history.removals.size > 0) await Promise.race([failed, new Promise((resolve) => setImmediate(resolve))]);
    return count;
  } finally {
    await history.close();
  }
}

/** Rejects with "storage_unusable" when the folder has a history with events. */
async function checkEmpty(path: string, clock: Clock): Promise<void> {
  if (!existsSync(join(path, HISTORY_FILE))) return;
  const history = await openLmdbHistory({ ...NO_LIMITS, path, durability: "commit", lockFix: STOP_FIX }, clock);
  const { count } = history;
  await history.close();
  if (count > 0)
    throw unusable(`the history in ${path} is not empty, it holds ${count} events: move ${HISTORY_FILE} away first`);
}

async function appendAll(
  history: LmdbHistory,
  { header, publications }: HistoryExport,
): Promise<{ imported: number; held: number }> {
  let [imported, keptCount] = [0, 0];
  let pending: (Promise<void> | undefined)[] = [];
  let kept: Publication[] = [];
  const addKept = () => {
    if (kept.length > 0) history.addKept(kept);
    keptCount += kept.length;
    kept = [];
  };
  for await (const publication of publications) {
    if (publication.offset <= header.floor) {
      imported++;
      if (kept.push(publication) === MAX_PENDING_EVENTS) addKept();
      continue;
    }
    addKept();
    const stored = history.append(publication);
    stored?.catch(() => {}); // awaited below, unless the archive fails first
    pending.push(stored);
    if (++imported % MAX_PENDING_EVENTS > 0) continue;
    await Promise.all(pending);
    pending = [];
  }
  addKept();
  await Promise.all(pending);
  return { imported, held: history.count + keptCount };
}

function unusable(what: string): M2pushError {
  return new M2pushError("storage_unusable", what);
}
