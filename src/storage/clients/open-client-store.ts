/**
 * Opens the record of clients in the data folder. Whatever state it is in is no reason not to start: a record that cannot be read
 * is set aside, and where nothing can be written the daemon serves without one. Both are reported with what follows from them.
 */
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ClientStore } from "../../delivery/client-store.js";
import type { Clock } from "../../util/clock.js";
import type { Conditions } from "../../util/conditions.js";
import type { LmdbClientStore } from "./lmdb-client-store.js";
import { nullClientStore } from "./null-client-store.js";

export interface ClientStoreOptions {
  /** Must exist and belong to this process alone. */
  readonly folder: string;
  /** Of the history. */
  readonly epoch: string;
  readonly clock: Clock;
  readonly conditions: Conditions;
  /** Told once of a record that is set aside. */
  readonly warn: (warning: string) => void;
}

/** What an unreadable record means for the clients in it. */
const CONSEQUENCE =
  "streams of the last run are closed once it is certain that they are ours ([[mongrel2]] database), or after orphan_timeout";

export async function openClientStore(options: ClientStoreOptions): Promise<ClientStore> {
  const { folder, clock, conditions, warn } = options;
  const { LmdbClientStore } = await import("./lmdb-client-store.js");
  const { UnreadableRecord } = await import("./client-files.js");
  const open = () => openIn(LmdbClientStore, options);
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof UnreadableRecord)) return withoutRecord(folder, cause, clock, conditions);
    try {
      const aside = setAside(folder);
      warn(`the record of clients cannot be read (${cause.message}): moved to ${aside}; ${CONSEQUENCE}`);
      return open();
    } catch (error) {
      return withoutRecord(folder, error, clock, conditions);
    }
  }
}

/** For where the data folder itself cannot be used, and nothing else needs it. */
export function withoutRecord(folder: string, error: unknown, clock: Clock, conditions: Conditions): ClientStore {
  failing(conditions, folder, error);
  return nullClientStore(clock);
}

function openIn(
  Store: typeof LmdbClientStore,
  { folder, epoch, clock, conditions, warn }: ClientStoreOptions,
): ClientStore {
  const failed = new Set<string>();
  const wrote = (file: string, error: unknown) => {
    if (error !== undefined) {
      failed.add(file);
      failing(conditions, file, error);
    } else if (failed.delete(file)) conditions.end("client_record_failing", file);
  };
  const unreadable = (error: unknown) =>
    warn(`the record of clients cannot be read: ${messageOf(error)}; ${CONSEQUENCE}`);
  return new Store({ folder, epoch, boot: bootId(), clock, wrote, unreadable });
}

function failing(conditions: Conditions, file: string, error: unknown): void {
  conditions.begin({
    code: "client_record_failing",
    subject: file,
    message: `the record of clients cannot be written: ${messageOf(error)}`,
    fix: "make room on the disk of [history] path, and the folder writable; until then a restart of m2push closes streams",
  });
}

/** Moves the files of the record out of the way; returns where the main one is. Throws what the file system throws. */
function setAside(folder: string): string {
  const path = join(folder, "clients.mdb");
  const aside = `${path}.unreadable`;
  renameSync(path, aside);
  for (const name of ["clients.mdb-lock", "clients.marks"]) rmSync(join(folder, name), { force: true });
  return aside;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Names this boot of the machine (Linux); "" where it cannot be told. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return ""; // not Linux: then every boot looks the same, and proofs by time fail after a reboot
  }
}
