/** Opens the history that the configuration asks for. */
import type { History } from "../hub/ports.js";
import type { Clock } from "../util/clock.js";
import { damage } from "./check.js";
import type { LmdbOptions } from "./lmdb.js";
import { MemoryHistory } from "./memory.js";

export interface HistoryOptions extends LmdbOptions {
  readonly store: "lmdb" | "memory";
  /** Told of what is lost. */
  readonly warn: (warning: string) => void;
}

const SUDDEN_END =
  "the last process did not close the history: it was killed (kill -9, out of memory), it crashed (its last log line is " +
  "fatal, or systemd names a signal such as SIGBUS or SIGABRT), or the machine stopped";

/** Rejects with "history.unusable" when the data cannot be used, and says why and what to do. */
export async function openHistory(options: HistoryOptions, clock: Clock): Promise<History> {
  if (options.store === "memory") return new MemoryHistory(options, clock);
  const { openLmdb } = await import("./lmdb.js");
  const history = await openLmdb(options, clock);
  if (history.lockWarning !== undefined) options.warn(history.lockWarning);
  if (history.endedSuddenly) options.warn(SUDDEN_END);
  if (history.damaged > 0)
    options.warn(`${damage(history.damaged)}: browsers that come back from before them hear m2push-gap`);
  return history;
}
