/**
 * What is done to a line that pino has made before it is written. Whatever clients and publishers sent, no line has a character in it that
 * a terminal obeys or a reader does not see (util/escape.ts), and none is longer than it needs to be.
 */
import { prettyFactory } from "pino-pretty";
import { abbreviateAll } from "../../util/abbreviate.js";
import { escapeAll, escapeJson, escapeUnprintable } from "../../util/escape.js";

/**
 * A last bound on text of clients and publishers, for a caller that did not abbreviate it: in a line of more than MAX_LINE_CHARACTERS each
 * text has at most MAX_FIELD_CHARACTERS and each list MAX_LIST_MEMBER_COUNT. The texts of an error, with its stack, may be longer.
 */
const MAX_LINE_CHARACTERS = 4000;
const MAX_FIELD_CHARACTERS = 1000;
const MAX_ERROR_CHARACTERS = 3000;
const MAX_LIST_MEMBER_COUNT = 20;

/** A line of JSON, with its end of line, as it is written to anything but a terminal. */
export function jsonLine(line: string): string {
  return escapeJson(line.length > MAX_LINE_CHARACTERS ? bounded(line) : line);
}

function bounded(line: string): string {
  const { err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const error = err === undefined ? {} : { err: abbreviateAll(err, MAX_ERROR_CHARACTERS, MAX_LIST_MEMBER_COUNT) };
  const some = abbreviateAll(fields, MAX_FIELD_CHARACTERS, MAX_LIST_MEMBER_COUNT) as object;
  return `${JSON.stringify({ ...some, ...error })}\n`;
}

/** Priorities of systemd's journal by level (sd-daemon(3)). */
const JOURNALD_PRIORITIES: Readonly<Record<string, number>> = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
  trace: 7,
};
/** Every line begins with its level: see openLog(). */
const LEVEL = /^\{"level":"(\w+)"/;

/** A line of JSON after its priority for systemd's journal, such as "<4>": `journalctl -p warning` then finds it. */
export function journaldLine(line: string): string {
  const priority = JOURNALD_PRIORITIES[LEVEL.exec(line)?.[1] ?? "info"];
  return `<${priority}>${jsonLine(line)}`;
}

/** Makes a line of JSON a line for a terminal. */
export function terminalFormat(): (line: string) => string {
  const pretty = prettyFactory({ translateTime: "SYS:HH:MM:ss.l", ignore: "event", singleLine: true });
  return (line) => pretty(printable(jsonLine(line))) ?? "";
}

/** A line of JSON whose texts can be printed as they are; the lines of a stack stay lines. */
export function printable(line: string): string {
  const { err, ...fields } = JSON.parse(line);
  const stack = typeof err?.stack === "string" ? { stack: escapeUnprintable(err.stack) } : {};
  const error = err === undefined ? {} : { err: { ...(escapeAll(err) as object), ...stack } };
  return `${JSON.stringify({ ...(escapeAll(fields) as object), ...error })}\n`;
}
