/** A failed write to the history: its error with a fix, and the condition that is reported for it. */
import { getSystemErrorName } from "node:util";
import { M2pushError, messageOf } from "../errors.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";

/** Repeated failures are one condition. `areAccepted`: whether publications are accepted nevertheless (durability "memory"). */
export function storageConditions(conditions: Conditions, areAccepted: boolean): StorageObserver {
  return {
    storageFailed({ message, fix }) {
      const details = { publications: areAccepted ? "accepted" : "rejected" };
      conditions.begin({ code: "storage_failing", subject: "", message, fix, details });
    },
    storageRecovered: () => conditions.end("storage_failing", ""),
  };
}

/** Observes whether publications can be stored. */
export interface StorageObserver {
  /** Called for each failed attempt. */
  storageFailed(failure: StorageFailure): void;
  storageRecovered(): void;
}

export class StorageFailure extends M2pushError {
  /** The fix, for operators. */
  readonly fix: string;

  /** `cause`: the error of the system or of LMDB. */
  constructor(cause: unknown, folder: string) {
    // lmdb-js appends internal details to the message.
    const why = messageOf(cause).replace(/: Attempting to .*$/s, "");
    const fix = FIXES[errorNameOf(cause)]?.(folder) ?? `look for errors of the disk of ${folder} (dmesg)`;
    super("storage_failed", conditionTexts.storageFailing(why, fix).message, { cause });
    this.fix = fix;
  }
}

const FIXES: Readonly<Record<string, (folder: string) => string>> = {
  ENOSPC: (folder) => `free space on the file system of ${folder}`,
  // LMDB's code for a short write.
  EIO: (folder) => `free space on the file system of ${folder}, or look for errors of its disk (dmesg)`,
  EDQUOT: (folder) => `raise the disk quota of the daemon's user on the file system of ${folder}`,
  EFBIG: () => "raise the file-size limit of the daemon (LimitFSIZE of the unit, ulimit -f)",
  ETRUNCATED: (folder) => `start the daemon again: it checks the files in ${folder}, and says which to put back`,
  EROFS: (folder) => `mount the file system of ${folder} writable`,
};

/** lmdb-js reports system errors by number. */
function errorNameOf(cause: unknown): string {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  if (typeof code === "string") return code;
  return typeof code === "number" && code > 0 ? getSystemErrorName(-code) : "";
}
