/**
 * Writes the lines of the log to standard output without holding up the daemon.
 *
 * A line is written when the call returns (then it survives a crash), but where a turn of the event loop has many, as in a storm of
 * connects, the further ones are written together at its end, and so are all lines of the next turn: a write for each was a third of what
 * a connect costs, and for four of thirty still a tenth. While the reader of a pipe is slow, lines queue up to MAX_QUEUED_BYTES; further
 * ones are dropped and counted. So are lines that cannot be written (no reader any more, a full disk).
 */
import type { Writable } from "node:stream";
import type { DestinationStream } from "pino";

/** Lines of 50,000 clients that disconnect at once, and some more. */
const MAX_QUEUED_BYTES = 16_000_000;

/** Lines of one turn of the event loop that are written one by one; as many again make it a storm. */
const IMMEDIATE_LINES = 4;

/** Why lines were dropped: keys of MESSAGES. */
export type DropCause = "outputTooSlow" | "outputFailed";

export interface LogOutputOptions {
  /** Standard output. Its listeners of other modules stay; the output adds one for "error". */
  readonly stdout: Writable;
  /** Makes a line of JSON what is written. */
  readonly format: (line: string) => string;
  /** Called for the first failed write of an outage. */
  readonly failed: (error: Error) => void;
  /** Called when lines can be written again, with the number of those that were dropped and why. */
  readonly recovered: (lines: number, cause: DropCause) => void;
}

export class LogOutput implements DestinationStream {
  readonly #options: LogOutputOptions;
  readonly #stdout: Writable;
  /** How many lines of this turn may still be written one by one, and those that are written at its end. */
  #immediateLines = IMMEDIATE_LINES;
  #coalesced = "";
  #coalescedLines = 0;
  #isScheduled = false;
  /** Lines dropped since the process began, and those of them that `recovered` was not called for. */
  #droppedLines = 0;
  #unreportedLines = 0;
  #cause: DropCause = "outputTooSlow";
  /** The last write failed. */
  #isFailing = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
    this.#stdout = options.stdout;
    // The callback of the failed write counts its lines; without a listener the error would end the process.
    this.#stdout.on("error", (error) => this.#failed(error));
    process.once("exit", () => this.#flush());
  }

  /** Lines dropped since the process began. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Takes one line of JSON, with its end of line. */
  write(json: string): void {
    if (this.#stdout.destroyed || this.#stdout.writableLength + this.#coalesced.length > MAX_QUEUED_BYTES) {
      this.#drop(1, this.#stdout.destroyed ? "outputFailed" : "outputTooSlow");
      return;
    }
    if (this.#unreportedLines > 0 && !this.#isFailing) this.#report();
    const line = this.#options.format(json);
    if (!this.#isScheduled) setImmediate(() => this.#flush());
    this.#isScheduled = true;
    if (this.#immediateLines-- > 0) this.#stdout.write(this.#separated(line), this.#lineWritten);
    else {
      this.#coalesced += line;
      this.#coalescedLines++;
    }
  }

  #flush(): void {
    const isStorm = this.#immediateLines <= -IMMEDIATE_LINES;
    this.#immediateLines = isStorm ? 0 : IMMEDIATE_LINES;
    this.#isScheduled = false;
    const lines = this.#coalescedLines;
    if (lines > 0) this.#stdout.write(this.#separated(this.#coalesced), (error) => this.#written(lines, error));
    this.#coalesced = "";
    this.#coalescedLines = 0;
  }

  /** A disk that became full has the beginning of a line: the next line must not be its end. */
  #separated(text: string): string {
    return this.#isFailing ? `\n${text}` : text;
  }

  /** One function for all single lines: a closure for each would be garbage. */
  readonly #lineWritten = (error?: Error | null): void => this.#written(1, error);

  #written(lines: number, error: Error | null | undefined): void {
    if (!error) {
      this.#isFailing = false;
      return;
    }
    this.#drop(lines, "outputFailed");
    this.#failed(error);
  }

  #drop(lines: number, cause: DropCause): void {
    this.#droppedLines += lines;
    this.#unreportedLines += lines;
    this.#cause = cause;
  }

  /** Reports what was dropped, in the log itself. */
  #report(): void {
    const lines = this.#unreportedLines;
    this.#unreportedLines = 0;
    this.#options.recovered(lines, this.#cause);
  }

  #failed(error: Error): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.failed(error);
  }
}
