/** Opens the event store in the data folder. A file that cannot be read is moved aside: its events are lost, which is reported. */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { EventStore } from "../../client-events/event-store.js";
import { M2pushError, messageOf } from "../../errors.js";
import type { Clock } from "../../util/clock.js";
import { conditionTexts } from "../../util/condition-texts.js";
import type { Conditions } from "../../util/conditions.js";
import { findFileDamage } from "../lmdb/lmdb-file.js";

export interface OpenEventStoreOptions {
  /** Must exist and belong to this process alone. */
  readonly folder: string;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly clock: Clock;
  readonly conditions: Conditions;
  readonly warn: (warning: string) => void;
}

/** Rejects with "storage_unusable" where the folder cannot be written. */
export async function openEventStore(options: OpenEventStoreOptions): Promise<EventStore> {
  const { LmdbEventStore } = await import("./lmdb-event-store.js");
  const { folder, maxAge, clock, conditions, warn } = options;
  const file = join(folder, "client-events.mdb");
  const onWrite = (error: unknown) => {
    if (error === undefined) conditions.end("webhook_store_failing", file);
    else beginCondition(conditions, file, error);
  };
  const open = () => {
    const damage = findFileDamage(file);
    if (damage !== undefined) throw new Error(damage);
    return new LmdbEventStore({ file, maxAge, clock, onWrite });
  };
  try {
    return open();
  } catch (error) {
    warn(`the events for webhooks cannot be read (${messageOf(error)}): moved to ${moveAside(file)}; they are lost`);
  }
  try {
    return open();
  } catch (cause) {
    const fix = `make ${folder} writable for this user, or remove the [[webhook]] tables`;
    const what = `${file} cannot be used: ${messageOf(cause)}; fix: ${fix}`;
    throw new M2pushError("storage_unusable", what, { cause });
  }
}

function beginCondition(conditions: Conditions, subject: string, error: unknown): void {
  conditions.begin({ code: "webhook_store_failing", subject, ...conditionTexts.webhookStoreFailing(messageOf(error)) });
}

/** Returns the new path; the old one where it cannot be moved. */
function moveAside(file: string): string {
  const aside = `${file}.unreadable`;
  try {
    renameSync(file, aside);
    rmSync(`${file}-lock`, { force: true });
    return aside;
  } catch {
    return file; // the second attempt to open it reports why
  }
}
