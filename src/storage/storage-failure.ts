/** A write to the history that failed: what is said of it, and what to do. */
import { getSystemErrorName } from "node:util";
import { M2pushError } from "../errors.js";
import type { Conditions } from "../util/conditions.js";

/** A write that fails again and again is one standing problem. `areAccepted`: whether publications are accepted nevertheless. */
export function storageConditions(conditions: Conditions, areAccepted: boolean): StorageObserver {
  return {
    storageFailed({ message, fix }) {
      const details = { publications: areAccepted ? "accepted" : "rejected" };
      conditions.begin({ code: "storage_failing", subject: "", message, fix, details });
    },
    storageRecovered: () => conditions.end("storage_failing", ""),
  };
}

/** Hears whether publications can be stored. */
export interface StorageObserver {
  /** Again with each try that fails. */
  storageFailed(failure: StorageFailure): void;
  storageRecovered(): void;
}

export class StorageFailure extends M2pushError {
  /** What to do about it. */
  readonly fix: string;

  /** `cause`: what the system or LMDB has thrown. */
  constructor(cause: unknown, folder: string) {
    // lmdb-js adds to the message what only its authors understand.
    const why = (cause instanceof Error ? cause.message : String(cause)).replace(/: Attempting to .*$/s, "");
    super("storage_failed", `publications cannot be stored: ${why}`, { cause });
    this.fix = FIXES[errorNameOf(cause)]?.(folder) ?? `look for errors of the disk of ${folder} (dmesg)`;
  }
}

const FIXES: Readonly<Record<string, (folder: string) => string>> = {
  ENOSPC: (folder) => `free space on the file system of ${folder}`,
  // LMDB's word for a write that was cut short.
  EIO: (folder) => `free space on the file system of ${folder}, or look for errors of its disk (dmesg)`,
  EDQUOT: (folder) => `raise the disk quota of the daemon's user on the file system of ${folder}`,
  EFBIG: () => "raise the file-size limit of the daemon (LimitFSIZE of the unit, ulimit -f)",
  ETRUNCATED: (folder) => `start the daemon again: it checks the files in ${folder}, and says which to put back`,
  EROFS: (folder) => `mount the file system of ${folder} writable`,
};

/** lmdb-js gives the number of a system error. */
function errorNameOf(cause: unknown): string {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  if (typeof code === "string") return code;
  return typeof code === "number" && code > 0 ? getSystemErrorName(-code) : "";
}
