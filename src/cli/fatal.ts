/**
 * The end of a daemon that met a mistake of its own: an exception that nobody caught, or a promise that nobody waited for. What
 * it holds may be inconsistent, so it ends; Mongrel2 keeps the streams, and the next process goes on with them. The log says why
 * in its own form, instead of Node in a form that no reader of JSON lines understands.
 */
import { inspect } from "node:util";
import type { Logger } from "../observability/log/logger.js";
import { escapeUnprintable } from "../util/escape.js";

/** EX_SOFTWARE of sysexits.h. */
export const EXIT_INTERNAL_ERROR = 70;
/** How long the last lines wait for a slow reader of the log. */
const FLUSH_TIMEOUT_MS = 1000;

/** From now on such an error is logged as `fatal`, with its stack, and ends the process; Node's warnings are lines of the log. */
export function endOnInternalError(log: Logger): void {
  process.on("uncaughtException", (error, origin) => {
    tell(log, error, origin);
    exitWhenWritten();
  });
  // One that is sent, as by a watchdog; where native code aborts, the kernel ends the process whatever is done here. SIGBUS and SIGSEGV
  // cannot be handled: the instruction that failed would be repeated without end.
  process.on("SIGABRT", () => {
    tell(log, new Error("SIGABRT was sent to the daemon"), "SIGABRT");
    exitWhenWritten();
  });
  process.removeAllListeners("warning").on("warning", (warning) => {
    log.warn({ event: "warning", err: warning }, "warning of Node.js");
  });
}

function tell(log: Logger, error: unknown, origin: string): void {
  try {
    if (!log.isLevelEnabled("fatal")) throw new Error("the log is silent");
    const err = error instanceof Error ? error : new Error(inspect(error));
    const fix = "the streams stay open for the next process: start the daemon again, and report this line";
    log.fatal({ event: "fatal", origin, err, fix }, "internal error: the daemon ends");
  } catch (cause) {
    process.stderr.write(escapeUnprintable(`${inspect(error)}\n${inspect(cause)}\n`));
  }
}

function exitWhenWritten(): void {
  const exit = () => process.exit(EXIT_INTERNAL_ERROR);
  // A second error ends it at once.
  process.removeAllListeners("uncaughtException").on("uncaughtException", exit);
  if (process.stdout.writableLength === 0) exit();
  setTimeout(exit, FLUSH_TIMEOUT_MS);
  process.stdout.once("drain", exit);
}
