/** The LMDB file of the client record. */

import { existsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { BEFORE_ALL } from "../../delivery/client.js";
import type { StoredClient } from "../../delivery/client-store.js";
import { messageOf } from "../../errors.js";
import { privately } from "../../util/private-files.js";
import { findFileDamage } from "../lmdb/lmdb-file.js";
import { LmdbSpace, lastPageOf } from "../lmdb/lmdb-space.js";

type ClientKey = [server: string, id: number];

/** A client, and the generation of its acknowledged offset; absent = 0. */
export type ClientRow = StoredClient & { readonly generation?: number };

/** The members of a client that development versions until November 2026 stored under other names. */
interface FormerNames {
  readonly seen?: number;
  readonly settled?: boolean;
  readonly allowance?: number;
}

/** The client record is damaged, or no LMDB file. */
export class UnreadableClientRecord extends Error {}

/** LMDB's own error codes (MDB_CORRUPTED and so on) are below this; system errors are positive. */
const MAX_LMDB_CODE = -30_000;

export interface ClientFiles {
  readonly root: RootDatabase;
  readonly clients: Database<ClientRow, ClientKey>;
  readonly meta: Database<string | number, string>;
  /** Claimed before each transaction. */
  readonly space: LmdbSpace;
}

/** Pages that any transaction may write: paths through three trees, and the list of free pages. */
const BASE_PAGES = 24;
const PAGE_BYTES = 4096;
/** Bytes of a record without its selectors, doubled. */
const MAX_RECORD_BYTES = 1000;

/** Throws UnreadableClientRecord, or file-system errors. */
export function openClientFiles(path: string): ClientFiles {
  const damage = findFileDamage(path);
  if (damage !== undefined) throw new UnreadableClientRecord(damage);
  try {
    const isNew = !existsSync(path);
    const settings = { path, noSync: true, noMemInit: true, maxDbs: 2, overlappingSync: false };
    const root = privately(() => open(settings));
    const space = new LmdbSpace({ file: path, lastPage: () => lastPageOf(root) });
    if (isNew) space.claim(BASE_PAGES);
    const clients: Database<ClientRow, ClientKey> = root.openDB({ name: "clients", encoding: "json" });
    const meta: Database<string | number, string> = root.openDB({ name: "meta", encoding: "json" });
    return { root, clients, meta, space };
  } catch (cause) {
    const isOfLmdb = Number((cause as { code?: unknown }).code) < MAX_LMDB_CODE;
    if (!isOfLmdb) throw cause;
    throw new UnreadableClientRecord(messageOf(cause), { cause });
  }
}

/** Copies the record into a new file after somebody has removed the old one. Throws as openClientFiles() does. */
export function recreateClientFiles(path: string, old: ClientFiles): ClientFiles {
  const pages = old.space.lastPage();
  const files = openClientFiles(path);
  files.space.claim(pages);
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

/** The boot of the machine, the epoch of the history and the generation that a record belongs to. */
export interface RecordLabel {
  readonly boot: string;
  readonly epoch: string;
  readonly generation: number;
}

/** Part of a transaction. Offsets stored before it are invalid: they carry another generation. */
export function writeLabel({ clients, meta }: ClientFiles, { boot, epoch, generation }: RecordLabel): void {
  if (meta.get("boot") !== boot) clients.clearSync();
  meta.putSync("boot", boot);
  meta.putSync("epoch", epoch);
  meta.putSync("generation", generation);
}

/**
 * The clients of a server. `through`: the offset that its fences have acknowledged; clients of another generation count as having
 * received nothing. Throws errors of LMDB, SyntaxError for a value that is no JSON, and UnreadableClientRecord for a client without an
 * offset: its stream would stay open and silent.
 */
export function* storedClients(
  { clients }: ClientFiles,
  server: string,
  { through, generation: current }: { readonly through: number; readonly generation: number },
): Iterable<StoredClient> {
  const range = { start: [server, 0] as ClientKey, end: [server, Number.MAX_SAFE_INTEGER] as ClientKey };
  for (const { key, value } of clients.getRange(range)) {
    const { generation = 0, ...client } = withPresentNames(value);
    if (!Number.isInteger(client.acknowledgedOffset))
      throw new UnreadableClientRecord("its clients are those of another version of m2push");
    const acknowledged = client.coveredByServerFence
      ? Math.max(client.acknowledgedOffset, through)
      : client.acknowledgedOffset;
    yield {
      ...client,
      id: key[1],
      ...(generation === current
        ? { acknowledgedOffset: acknowledged }
        : { acknowledgedOffset: BEFORE_ALL, coveredByServerFence: false }),
    };
  }
}

function withPresentNames({ seen, settled, allowance, ...row }: ClientRow & FormerNames): ClientRow {
  if (seen === undefined) return row;
  return {
    ...row,
    acknowledgedOffset: seen,
    coveredByServerFence: settled === true,
    ...(allowance !== undefined && { creditLimit: allowance }),
  };
}

/** The most pages that a transaction may write: each record may be in another page, and pages may be half full. */
export function commitPages(
  changed: ReadonlyMap<string, ReadonlyMap<number, ClientRow | undefined>>,
  lastPage: number,
): number {
  let [records, bytes] = [0, 0];
  for (const clients of changed.values()) {
    records += clients.size;
    for (const client of clients.values()) bytes += client ? sizeOf(client) : 0;
  }
  return BASE_PAGES + Math.min(records, lastPage) + Math.ceil((4 * bytes + MAX_RECORD_BYTES * records) / PAGE_BYTES);
}

/** Characters of the members that clients, or issuers of their tokens, determine. */
const sizeOf = ({ selectors, subject = "", control }: ClientRow): number =>
  selectors.join().length + subject.length + (control ? JSON.stringify(control).length : 0);
