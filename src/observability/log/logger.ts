/** The log: pino's JSON lines on standard output, one event a line; readable lines on a terminal. */
import { writeSync } from "node:fs";
import { type DestinationStream, type Logger, pino } from "pino";
import { memoizeLast } from "../../util/memoize-last.js";
import { journaldLine, jsonLine, terminalFormat } from "./line-format.js";
import { LogOutput } from "./log-output.js";
import { MESSAGES } from "./messages.js";

export type { Logger } from "pino";

/** Levels of the log, from the fewest lines to the most. */
export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** Forms of a line on standard output; "auto" = readable on a terminal, JSON elsewhere. */
export type LogFormat = "auto" | "json" | "journald";

export interface LogOptions {
  /** Absent = "auto". */
  readonly format?: LogFormat;
}

/**
 * Makes the log. `destination` takes JSON lines instead of standard output, each whole in one call. Loggers made with child() write to the
 * same place.
 */
export function openLog(level: string, destination: DestinationStream | LogOptions = {}): Logger {
  const options = {
    level,
    base: null,
    timestamp: isoTime(),
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if ("write" in destination) return pino(options, { write: (line) => destination.write(jsonLine(line)) });
  const output = new LogOutput({
    stdout: process.stdout,
    format: lineFormat(destination.format),
    failed: toStandardError,
    recovered: (lines, cause) => log.warn({ event: "log_lines_dropped", lines }, MESSAGES[cause]),
  });
  const log = pino(options, output);
  return log;
}

function lineFormat(format: LogFormat = "auto"): (line: string) => string {
  if (format === "journald") return journaldLine;
  return format === "auto" && process.stdout.isTTY ? terminalFormat() : jsonLine;
}

/** Lines that this log, or the one that it is a child of, could not write; 0 for one that does not write to standard output. */
export function droppedLines(log: Logger): number {
  const { [pino.symbols.streamSym]: stream } = log as Logger & { [pino.symbols.streamSym]?: unknown };
  return stream instanceof LogOutput ? stream.droppedLines : 0;
}

/**
 * Reports an outage of standard output on standard error, past its stream, whose error would end the process where both are the same full
 * disk.
 */
function toStandardError({ message }: Error): void {
  const fix = "fix: free some disk space, or start the program that reads the log";
  try {
    writeSync(
      process.stderr.fd,
      `m2push: cannot write the log to standard output: ${message}; lines are dropped; ${fix}\n`,
    );
  } catch {
    // No output is left to report it on; m2push_log_lines_dropped_total counts the lines.
  }
}

/** ISO 8601. Lines of one millisecond share it: in a storm, making it was a fifth of what a line costs. */
function isoTime(): () => string {
  const textOf = memoizeLast((now: number) => `,"time":"${new Date(now).toISOString()}"`);
  return () => textOf(Date.now());
}
