/** The log: JSON lines on stdout, one event a line; pretty on a terminal. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export type { Logger } from "pino";

/** Levels of the log, from the quietest to the most talkative. */
export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/**
 * Makes the log. Written synchronously: what was logged before a crash is there after it. `destination` takes JSON lines
 * instead of stdout, each whole in one call.
 */
export function openLog(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: name } };
  if (destination) return pino(options, destination);
  return process.stdout.isTTY ? pino(options, readable()) : pino(options);
}

/** Lines for people, written by this process itself: a worker thread could lose the last ones. */
function readable(): DestinationStream {
  return pretty({ sync: true, translateTime: "SYS:HH:MM:ss.l", ignore: "event", singleLine: true });
}

/** The level by its name rather than by pino's number: what people grep for. */
function name(label: string): { level: string } {
  return { level: label };
}
