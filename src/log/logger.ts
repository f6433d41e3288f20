/** The log: JSON lines on stdout, one event a line; pretty on a terminal. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export type { Logger } from "pino";

/** Levels of the log, from the quietest to the most talkative. */
export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** What may wait for whoever reads the log, bytes: the lines of 50,000 clients that are lost at once, and some more. */
const MOST_WAITING = 16_000_000;

/** Makes the log. `destination` takes JSON lines instead of stdout, each whole in one call. */
export function openLog(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: name } };
  if (destination) return pino(options, destination);
  if (process.stdout.isTTY) return pino(options, readable());
  const output = new Output(process.stdout);
  const log = pino(options, output);
  const text = "lines of the log were left out: whoever reads it did not keep up";
  output.omitted = (lines) => log.warn({ event: "omitted", lines }, text);
  return log;
}

/**
 * The log must not hold up what it tells of. A line is written at once where that can be (then it is there after a crash);
 * where a pipe is full it waits, and beyond what may wait it is left out and counted. A reader that has gone away ends the
 * log, not the daemon.
 */
class Output implements DestinationStream {
  /** Hears how many lines were left out, when there is room again. */
  omitted: (lines: number) => void = () => {};
  readonly #stdout: NodeJS.WriteStream;
  #omitted = 0;

  constructor(stdout: NodeJS.WriteStream) {
    this.#stdout = stdout;
    // A command that prints ends when nobody reads it (cli/main.ts); from now on this process does more than print.
    stdout.removeAllListeners("error").on("error", () => {});
  }

  write(line: string): void {
    if (this.#stdout.destroyed) return;
    if (this.#stdout.writableLength > MOST_WAITING) {
      this.#omitted++;
      return;
    }
    const omitted = this.#omitted;
    this.#omitted = 0;
    if (omitted > 0) this.omitted(omitted);
    this.#stdout.write(line);
  }
}

/** Lines for people, written by this process itself: a worker thread could lose the last ones. */
function readable(): DestinationStream {
  return pretty({ sync: true, translateTime: "SYS:HH:MM:ss.l", ignore: "event", singleLine: true });
}

/** The level by its name rather than by pino's number: what people grep for. */
function name(label: string): { level: string } {
  return { level: label };
}
