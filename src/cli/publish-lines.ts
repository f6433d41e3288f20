/**
 * Publishes each line of an input, several at a time, and prints their ids in the order of the lines. After the first line that is not
 * published no further one is sent; those that were sent are waited for, since they may be published, and the error names all of them.
 */
import { addAbortSignal, type Readable } from "node:stream";
import { M2pushError, messageOf } from "../errors.js";
import type { Draft } from "../protocol/publication.js";
import { linesOf } from "./read-lines.js";

export interface LinePublisher {
  /** Lines that may be under way at a time. */
  readonly maxUnderWay: number;
  /** Throws an M2pushError when the line cannot be published. `number`: 1 for the first line. */
  parse(line: string, number: number): Draft;
  /** Resolves with the id of the event. */
  publish(draft: Draft): Promise<string>;
  print(id: string): void;
}

interface Failure {
  readonly line: number;
  readonly error: M2pushError;
}

export async function publishLines(input: Readable, publisher: LinePublisher): Promise<void> {
  await new LineRun(input, publisher).run();
}

class LineRun {
  readonly #input: Readable;
  readonly #publisher: LinePublisher;
  /** Aborted at the first failure: the input may be open for ever. */
  readonly #stopped = new AbortController();
  readonly #failures: Failure[] = [];
  #lineCount = 0;
  /** Each resolves after those before it. */
  readonly #underWay: Promise<void>[] = [];

  constructor(input: Readable, publisher: LinePublisher) {
    this.#input = addAbortSignal(this.#stopped.signal, input);
    this.#publisher = publisher;
  }

  async run(): Promise<void> {
    try {
      for await (const line of linesOf(this.#input)) {
        const draft = this.#parse(++this.#lineCount, line);
        if (draft) this.#publish(this.#lineCount, draft);
        if (this.#underWay.length >= this.#publisher.maxUnderWay) await this.#underWay[0];
        if (this.#stopped.signal.aborted) break;
      }
    } catch (error) {
      if (!this.#stopped.signal.aborted) throw error;
    } finally {
      await this.#underWay.at(-1);
    }
    if (this.#failures.length > 0) throw this.#error();
  }

  /** Undefined = the line cannot be published. */
  #parse(line: number, text: string): Draft | undefined {
    try {
      return this.#publisher.parse(text, line);
    } catch (error) {
      this.#failed(line, error);
      return undefined;
    }
  }

  #publish(line: number, draft: Draft): void {
    const before = this.#underWay.at(-1) ?? Promise.resolve();
    // Handled at once: it may reject while the lines before it are awaited.
    const print = this.#publisher.publish(draft).then(
      (id) => () => this.#publisher.print(id),
      (error: unknown) => () => this.#failed(line, error),
    );
    const report = async () => {
      await before;
      (await print)();
      void this.#underWay.shift();
    };
    this.#underWay.push(report());
  }

  #failed(line: number, error: unknown): void {
    if (!(error instanceof M2pushError)) throw error;
    this.#failures.push({ line, error });
    this.#stopped.abort();
  }

  #error(): M2pushError {
    const [first, ...others] = this.#failures.sort((one, other) => one.line - other.line) as [Failure, ...Failure[]];
    const what = `line ${first.line} of standard input: ${messageOf(first.error)}`;
    const later = this.#lineCount - first.line;
    if (later === 0) return new M2pushError("link_failed", what, { cause: first.error });
    const unpublished = others.length === 0 ? "all" : `all but ${others.map(({ line }) => line).join(", ")}`;
    const rest = `${later} lines after it were already read: ${unpublished} of them are acknowledged, and no line after ${this.#lineCount} was published`;
    return new M2pushError("link_failed", `${what}; ${rest}`, { cause: first.error });
  }
}
