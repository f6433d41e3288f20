/**
 * Opens the client record in the data folder. It never prevents a start: an unreadable record is moved aside, and without a writable
 * folder the daemon serves without a record. Both are reported with their consequences.
 */

import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ClientStore } from "../../delivery/client-store.js";
import { messageOf } from "../../errors.js";
import type { Clock } from "../../util/clock.js";
import { conditionTexts } from "../../util/condition-texts.js";
import type { Conditions } from "../../util/conditions.js";
import type { LmdbClientStore } from "./lmdb-client-store.js";
import { nullClientStore } from "./null-client-store.js";

export interface ClientStoreOptions {
  /** Must exist and belong to this process alone. */
  readonly folder: string;
  /** The epoch of the history. */
  readonly epoch: string;
  readonly clock: Clock;
  readonly conditions: Conditions;
  /** Receives a warning about a record that was moved aside. */
  readonly warn: (warning: string) => void;
}

/** The consequence of an unreadable record for its clients. */
const UNREADABLE_CONSEQUENCE =
  "streams of the last run are closed once it is certain that they are ours ([[mongrel2]] database), or after orphan_timeout";

export async function openClientStore(options: ClientStoreOptions): Promise<ClientStore> {
  const { folder, clock, conditions, warn } = options;
  const { LmdbClientStore } = await import("./lmdb-client-store.js");
  const { UnreadableClientRecord } = await import("./client-files.js");
  const open = () => openStore(LmdbClientStore, options);
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof UnreadableClientRecord)) return withoutRecord(folder, cause, clock, conditions);
    try {
      const aside = moveAside(folder);
      warn(`the record of clients cannot be read (${cause.message}): moved to ${aside}; ${UNREADABLE_CONSEQUENCE}`);
      return open();
    } catch (error) {
      return withoutRecord(folder, error, clock, conditions);
    }
  }
}

/** For a data folder that cannot be used, and that nothing else needs. */
export function withoutRecord(folder: string, error: unknown, clock: Clock, conditions: Conditions): ClientStore {
  beginCondition(conditions, folder, error);
  return nullClientStore(clock);
}

function openStore(
  Store: typeof LmdbClientStore,
  { folder, epoch, clock, conditions, warn }: ClientStoreOptions,
): ClientStore {
  const failed = new Set<string>();
  const wrote = (file: string, error: unknown) => {
    if (error !== undefined) {
      failed.add(file);
      beginCondition(conditions, file, error);
    } else if (failed.delete(file)) conditions.end("client_record_failing", file);
  };
  const unreadable = (error: unknown) =>
    warn(`the record of clients cannot be read: ${messageOf(error)}; ${UNREADABLE_CONSEQUENCE}`);
  return new Store({ folder, epoch, boot: bootId(), clock, onWrite: wrote, onUnreadable: unreadable });
}

function beginCondition(conditions: Conditions, file: string, error: unknown): void {
  conditions.begin({
    code: "client_record_failing",
    subject: file,
    ...conditionTexts.clientRecordFailing(messageOf(error)),
  });
}

/** Moves the files of the record aside; returns the new path of the main one. Throws file-system errors. */
function moveAside(folder: string): string {
  const path = join(folder, "clients.mdb");
  const aside = `${path}.unreadable`;
  renameSync(path, aside);
  for (const name of ["clients.mdb-lock", "clients.marks"]) rmSync(join(folder, name), { force: true });
  return aside;
}

/** Identifies this boot of the machine (Linux); "" = unknown. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return ""; // not Linux: every boot looks the same, and a record of before a reboot is not recognised
  }
}
