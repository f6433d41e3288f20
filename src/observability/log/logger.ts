/** The log: JSON lines on stdout, one event a line; pretty on a terminal. */
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";
import pretty from "pino-pretty";
import { abbreviate, abbreviateAll } from "../../util/abbreviate.js";
import { escapeAll, escapeJson, escapeUnprintable } from "../../util/escape.js";
import { memoizeLast } from "../../util/memoize-last.js";

export type { Logger } from "pino";

/** Levels of the log, from the quietest to the most talkative. */
export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** What may wait for whoever reads the log, bytes: the lines of 50,000 clients that are lost at once, and some more. */
const MOST_WAITING = 16_000_000;

/** Lines of one turn of the event loop that are written one by one; with as many again it is a storm. */
const AT_ONCE = 4;

/**
 * A last bound on what strangers can write, where whoever wrote the line forgot to abbreviate: in a line of more than LINE_CHARACTERS
 * each text has at most FIELD_CHARACTERS and each list LIST_MEMBERS. Of an error's stack more is wanted.
 */
const LINE_CHARACTERS = 4000;
const FIELD_CHARACTERS = 1000;
const LIST_MEMBERS = 20;
const STACK_CHARACTERS = 3000;

/**
 * Makes the log. `destination` takes JSON lines instead of stdout, each whole in one call. Whatever strangers sent, no line has a
 * character in it that a terminal obeys or a reader does not see: see util/escape.ts.
 */
export function openLog(level: string, destination?: DestinationStream): Logger {
  const timestamp = isoTime();
  const options = { level, base: null, timestamp, formatters: { level: name, log: bounded }, serializers: { err } };
  const logTo = (to: DestinationStream) => pino({ ...options, hooks: { logMethod: lines(to, timestamp) } }, to);
  if (destination) return logTo({ write: (line) => destination.write(escapeJson(line)) });
  if (process.stdout.isTTY) return pino(options, readable());
  const output = new Output(process.stdout);
  const log = logTo(output);
  const text = "lines of the log were left out: whoever reads it did not keep up";
  output.omitted = (lines) => log.warn({ event: "omitted", lines }, text);
  return log;
}

/**
 * The log must not hold up what it tells of. A line is written at once (then it is there after a crash), but where a turn of
 * the event loop has many, as in a storm of connects, the further ones are written together when it is over, and so are all
 * of the next turn: a write for each was a third of what a connect costs, and for four of thirty still a tenth. Where a pipe
 * is full lines wait, and beyond what may wait they are left out and counted. A reader that has gone away ends the log, not the
 * daemon.
 */
class Output implements DestinationStream {
  /** Hears how many lines were left out, when there is room again. */
  omitted: (lines: number) => void = () => {};
  readonly #stdout: NodeJS.WriteStream;
  /** How many lines of this turn may still be written one by one, and those that are to be written when it is over. */
  #atOnce = AT_ONCE;
  #further = "";
  #scheduled = false;
  #omitted = 0;

  constructor(stdout: NodeJS.WriteStream) {
    this.#stdout = stdout;
    // A command that prints ends when nobody reads it (cli/main.ts); from now on this process does more than print.
    stdout.removeAllListeners("error").on("error", () => {});
    process.once("exit", () => this.#flush());
  }

  write(line: string): void {
    if (this.#stdout.destroyed) return;
    if (this.#stdout.writableLength + this.#further.length > MOST_WAITING) {
      this.#omitted++;
      return;
    }
    const omitted = this.#omitted;
    this.#omitted = 0;
    if (omitted > 0) this.omitted(omitted);
    if (!this.#scheduled) setImmediate(() => this.#flush());
    this.#scheduled = true;
    if (this.#atOnce-- > 0) this.#stdout.write(escapeJson(line));
    else this.#further += line;
  }

  #flush(): void {
    const isStorm = this.#atOnce <= -AT_ONCE;
    this.#atOnce = isStorm ? 0 : AT_ONCE;
    this.#scheduled = false;
    if (this.#further !== "") this.#stdout.write(escapeJson(this.#further));
    this.#further = "";
  }
}

type LogMethod = NonNullable<NonNullable<LoggerOptions["hooks"]>["logMethod"]>;

/**
 * Writes members and a text as pino would, all members in one go of JSON.stringify(): pino's own line looks at each of them, and in
 * a storm of connects that was a fifth of the daemon's processor time (Node 26; Node 20 a twentieth). What is not members and a
 * text, and what holds an error, is pino's.
 */
function lines(output: DestinationStream, time: () => string): LogMethod {
  return function write(args, method, level) {
    const [members, text] = args as unknown[];
    if (args.length !== 2 || !isPlain(members)) {
      method.apply(this, args);
      return;
    }
    const all = JSON.stringify(members);
    const isLong = all.length > LINE_CHARACTERS;
    const some = isLong ? JSON.stringify(abbreviateAll(members, FIELD_CHARACTERS, LIST_MEMBERS)) : all;
    const said = some.slice(1, -1);
    const head = `{"level":"${pino.levels.labels[level]}"${time()}`;
    output.write(`${head}${said && ","}${said},"msg":${JSON.stringify(abbreviate(String(text), LINE_CHARACTERS))}}\n`);
  };
}

/** The members of a line that pino itself writes: its texts, and lists of texts. */
function bounded(members: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(members).map(([name, value]) => {
    const isText = typeof value === "string" || Array.isArray(value);
    return [name, isText ? abbreviateAll(value, FIELD_CHARACTERS, LIST_MEMBERS) : value] as const;
  });
  return Object.fromEntries(entries);
}

/** An error as pino writes it, with bounded texts: a message may quote what a stranger sent. */
function err(error: Error): unknown {
  return abbreviateAll(pino.stdSerializers.err(error), STACK_CHARACTERS, LIST_MEMBERS);
}

function isPlain(members: unknown): members is object {
  return typeof members === "object" && members !== null && !(members instanceof Error) && !("err" in members);
}

/** Lines for people, written by this process itself: a worker thread could lose the last ones. */
function readable(): DestinationStream {
  const output = pretty({ sync: true, translateTime: "SYS:HH:MM:ss.l", ignore: "event", singleLine: true });
  return { write: (line) => void output.write(printable(line)) };
}

/** A line of JSON whose texts can be printed as they are; the lines of a stack stay lines. */
export function printable(line: string): string {
  const { err, ...members } = JSON.parse(line);
  const stack = typeof err?.stack === "string" ? { stack: escapeUnprintable(err.stack) } : {};
  const error = err === undefined ? {} : { err: { ...(escapeAll(err) as object), ...stack } };
  return `${JSON.stringify({ ...(escapeAll(members) as object), ...error })}\n`;
}

/** ISO 8601. Lines of one millisecond share it: in a storm, making it was a fifth of what a line costs. */
function isoTime(): () => string {
  const textOf = memoizeLast((now: number) => `,"time":"${new Date(now).toISOString()}"`);
  return () => textOf(Date.now());
}

/** The level by its name rather than by pino's number: what people grep for. */
function name(label: string): { level: string } {
  return { level: label };
}
