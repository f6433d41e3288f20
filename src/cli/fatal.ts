/**
 * Ends the process after an internal error: an uncaught exception or an unhandled rejection. The state of the daemon may be
 * inconsistent; Mongrel2 keeps the streams, and the next process adopts them. The error is logged as JSON like every other message.
 */
import { inspect } from "node:util";
import type { Logger } from "../observability/log/logger.js";
import { escapeUnprintable } from "../util/escape.js";

/** EX_SOFTWARE of sysexits.h. */
const EXIT_INTERNAL_ERROR = 70;
/** Time for a slow log reader to receive the last lines. */
const FLUSH_TIMEOUT_MS = 1000;

/** Logs such an error as `fatal` with its stack and exits with 70; logs warnings of Node.js as `warn`. */
export function endOnInternalError(log: Logger): void {
  process.on("uncaughtException", (error, origin) => {
    logFatal(log, error, origin);
    exitWhenWritten();
  });
  // Only a SIGABRT that another process sends, such as a watchdog, can be handled: abort() in native code ends the process. SIGBUS and
  // SIGSEGV cannot be handled: the failing instruction would be repeated forever.
  process.on("SIGABRT", () => {
    logFatal(log, new Error("SIGABRT was sent to the daemon"), "SIGABRT");
    exitWhenWritten();
  });
  process.removeAllListeners("warning").on("warning", (warning) => {
    log.warn({ event: "warning", err: warning }, "Node.js warning");
  });
}

function logFatal(log: Logger, error: unknown, origin: string): void {
  try {
    if (!log.isLevelEnabled("fatal")) throw new Error("the log is silent");
    const err = error instanceof Error ? error : new Error(inspect(error));
    const fix = "start the daemon again (streams stay open meanwhile), and report this line as a bug";
    log.fatal({ event: "fatal", origin, err, fix }, "internal error: the daemon exits");
  } catch (cause) {
    process.stderr.write(escapeUnprintable(`${inspect(error)}\n${inspect(cause)}\n`));
  }
}

function exitWhenWritten(): void {
  const exit = () => process.exit(EXIT_INTERNAL_ERROR);
  // A second error ends the process at once.
  process.removeAllListeners("uncaughtException").on("uncaughtException", exit);
  if (process.stdout.writableLength === 0) exit();
  setTimeout(exit, FLUSH_TIMEOUT_MS);
  process.stdout.once("drain", exit);
}
