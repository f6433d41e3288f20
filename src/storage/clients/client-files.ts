/** The LMDB file of the client record. */
import { existsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { BEFORE_ALL } from "../../delivery/client.js";
import type { StoredClient } from "../../delivery/client-store.js";
import { privately } from "../../util/private-files.js";
import { findFileDamage } from "../lmdb/lmdb-file.js";
import { LmdbSpace, lastPageOf } from "../lmdb/lmdb-space.js";

export type ClientKey = [server: string, id: number];

/** A client, and the generation of positions that its own is of; absent = 0. */
export type ClientRow = StoredClient & { readonly generation?: number };

/** A file that is damaged, or is none of LMDB's. */
export class UnreadableRecord extends Error {}

/** LMDB's own error codes (MDB_CORRUPTED and so on) are all below this; those of the system are positive. */
const LAST_LMDB_CODE = -30_000;

export interface ClientFiles {
  readonly root: RootDatabase;
  readonly clients: Database<ClientRow, ClientKey>;
  readonly meta: Database<string | number, string>;
  /** Claimed before each transaction. */
  readonly space: LmdbSpace;
  readonly lastPage: () => number;
}

/** Pages that any transaction may need: its ways through three trees, and the list of free pages. */
const BASE_PAGES = 24;
const PAGE_BYTES = 4096;
/** Of a record beside its selectors, twice. */
const RECORD_BYTES = 1000;

/** Throws UnreadableRecord, or what the file system throws. */
export function openClientFiles(path: string): ClientFiles {
  const flaw = findFileDamage(path);
  if (flaw !== undefined) throw new UnreadableRecord(flaw);
  try {
    const isNew = !existsSync(path);
    const settings = { path, noSync: true, noMemInit: true, maxDbs: 2, overlappingSync: false };
    const root = privately(() => open(settings));
    const lastPage = () => lastPageOf(root);
    const space = new LmdbSpace({ file: path, lastPage });
    if (isNew) space.claim(BASE_PAGES);
    const clients: Database<ClientRow, ClientKey> = root.openDB({ name: "clients", encoding: "json" });
    const meta: Database<string | number, string> = root.openDB({ name: "meta", encoding: "json" });
    return { root, clients, meta, space, lastPage };
  } catch (cause) {
    const isOfLmdb = Number((cause as { code?: unknown }).code) < LAST_LMDB_CODE;
    if (!isOfLmdb) throw cause;
    throw new UnreadableRecord(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** For files that somebody has removed: the same in new ones. Throws as openFiles() does. */
export function recreateClientFiles(path: string, old: ClientFiles): ClientFiles {
  const files = openClientFiles(path);
  files.space.claim(old.lastPage());
  files.root.transactionSync(() => {
    for (const { key, value } of old.clients.getRange()) files.clients.putSync(key, value);
    for (const { key, value } of old.meta.getRange()) files.meta.putSync(key, value);
  });
  void closeClientFiles(old);
  return files;
}

export async function closeClientFiles({ root, space }: ClientFiles): Promise<void> {
  space.close();
  await root.close();
}

/** Which boot of the machine and which epoch of the history a record is of. */
export interface RecordLabel {
  readonly boot: string;
  readonly epoch: string;
  readonly generation: number;
}

/** Part of a transaction. Positions stored before it count no more, because they carry another generation. */
export function label({ clients, meta }: ClientFiles, { boot, epoch, generation }: RecordLabel): void {
  if (meta.get("boot") !== boot) clients.clearSync();
  meta.putSync("boot", boot);
  meta.putSync("epoch", epoch);
  meta.putSync("generation", generation);
}

/**
 * The clients of a server. `through`: what its settled ones have seen at least; those of another generation have seen nothing. Throws
 * what LMDB throws, and what is thrown for a value that is no JSON.
 */
export function* storedClients(
  { clients }: ClientFiles,
  server: string,
  { through, generation: current }: { readonly through: number; readonly generation: number },
): Iterable<StoredClient> {
  const range = { start: [server, 0] as ClientKey, end: [server, Number.MAX_SAFE_INTEGER] as ClientKey };
  for (const { key, value } of clients.getRange(range)) {
    const { generation = 0, ...client } = value;
    const seen = client.coveredByServerFence ? Math.max(client.acknowledgedOffset, through) : client.acknowledgedOffset;
    yield {
      ...client,
      id: key[1],
      ...(generation === current
        ? { acknowledgedOffset: seen }
        : { acknowledgedOffset: BEFORE_ALL, coveredByServerFence: false }),
    };
  }
}

/** How many pages a transaction may need. A record may stand in any page that is there, and pages may be half full. */
export function pagesOf(
  changed: ReadonlyMap<string, ReadonlyMap<number, ClientRow | undefined>>,
  lastPage: number,
): number {
  let [records, bytes] = [0, 0];
  for (const clients of changed.values()) {
    records += clients.size;
    for (const client of clients.values()) bytes += client ? client.selectors.join().length : 0;
  }
  return BASE_PAGES + Math.min(records, lastPage) + Math.ceil((4 * bytes + RECORD_BYTES * records) / PAGE_BYTES);
}
