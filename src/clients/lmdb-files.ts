/** The LMDB file of the client record. */
import { type Database, open, type RootDatabase } from "lmdb";
import { BEFORE_ALL } from "../hub/catchup.js";
import type { StoredClient } from "../hub/ports.js";
import { flawOf } from "../util/lmdb-file.js";

export type Key = [server: string, id: number];

/** A client, and the generation of positions that its own is of; absent = 0. */
export type Kept = StoredClient & { readonly generation?: number };

/** A file that is damaged, or is none of LMDB's. */
export class UnreadableRecord extends Error {}

/** LMDB's own error codes (MDB_CORRUPTED and so on) are all below this; those of the system are positive. */
const LAST_LMDB_CODE = -30_000;

export interface Files {
  readonly root: RootDatabase;
  readonly clients: Database<Kept, Key>;
  readonly meta: Database<string | number, string>;
}

/** Throws UnreadableRecord, or what the file system throws. */
export function openFiles(path: string): Files {
  const flaw = flawOf(path);
  if (flaw !== undefined) throw new UnreadableRecord(flaw);
  try {
    const root = open({ path, noSync: true, noMemInit: true, maxDbs: 2, overlappingSync: false });
    const clients: Database<Kept, Key> = root.openDB({ name: "clients", encoding: "json" });
    const meta: Database<string | number, string> = root.openDB({ name: "meta", encoding: "json" });
    return { root, clients, meta };
  } catch (cause) {
    const isOfLmdb = Number((cause as { code?: unknown }).code) < LAST_LMDB_CODE;
    if (!isOfLmdb) throw cause;
    throw new UnreadableRecord(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Which boot of the machine and which epoch of the history a record is of. */
export interface Label {
  readonly boot: string;
  readonly epoch: string;
  readonly generation: number;
}

/** Part of a transaction. Positions stored before it count no more, because they carry another generation. */
export function label({ clients, meta }: Files, { boot, epoch, generation }: Label): void {
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
  { clients }: Files,
  server: string,
  { through, generation: current }: { readonly through: number; readonly generation: number },
): Iterable<StoredClient> {
  const range = { start: [server, 0] as Key, end: [server, Number.MAX_SAFE_INTEGER] as Key };
  for (const { key, value } of clients.getRange(range)) {
    const { generation = 0, ...client } = value;
    const seen = client.settled ? Math.max(client.seen, through) : client.seen;
    yield { ...client, id: key[1], ...(generation === current ? { seen } : { seen: BEFORE_ALL, settled: false }) };
  }
}
