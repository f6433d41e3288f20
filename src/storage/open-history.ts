/** Opens the configured history. */
import type { History } from "../delivery/history.js";
import type { Clock } from "../util/clock.js";
import { describeDamage } from "./lmdb/check-file.js";
import type { LmdbHistoryOptions } from "./lmdb/lmdb-history.js";
import { MemoryHistory } from "./memory/memory-history.js";

export interface HistoryOptions extends LmdbHistoryOptions {
  readonly store: "lmdb" | "memory";
  /** Receives warnings about lost events. */
  readonly warn: (warning: string) => void;
}

const UNCLEAN_SHUTDOWN =
  "the last process did not close the history: it was killed (kill -9, out of memory), it crashed (its last log line is " +
  "fatal, or systemd names a signal such as SIGBUS or SIGABRT), or the machine stopped";

/** Rejects with "storage_unusable", with reason and fix, when the data cannot be used. */
export async function openHistory(options: HistoryOptions, clock: Clock): Promise<History> {
  if (options.store === "memory") return new MemoryHistory(options, clock);
  const { openLmdbHistory } = await import("./lmdb/lmdb-history.js");
  const history = await openLmdbHistory(options, clock);
  if (history.lockWarning !== undefined) options.warn(history.lockWarning);
  if (history.hadUncleanShutdown) options.warn(UNCLEAN_SHUTDOWN);
  if (history.damagedBlocks > 0)
    options.warn(`${describeDamage(history.damagedBlocks)}: browsers that come back from before them hear m2push-gap`);
  return history;
}
