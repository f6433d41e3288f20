/** Reads an archive as a stream of lines: memory holds one line at a time, and an error names the number of its line. */
import { isUtf8 } from "node:buffer";
import { M2pushError } from "../errors.js";
import { decodeEntry, decodeHeader, type HistoryExport } from "./archive.js";
import { LIMITS } from "./limits.js";
import type { Publication } from "./publication.js";

/** Fits the largest event: JSON escapes a control character to six bytes, and the topics may have their maximum size. */
const MAX_LINE_BYTES = LIMITS.messageBytes;
const LF = 10;

interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

/** Rejects with "storage_unusable" or "too_large" and the line (`line 7: ...`), and so does the iteration of the publications. */
export async function readArchive(chunks: AsyncIterable<Uint8Array>): Promise<HistoryExport> {
  const lines = linesOf(chunks);
  const { value: first, done } = await lines.next();
  if (done) throw new M2pushError("storage_unusable", "there is nothing to import: the input is empty");
  const header = withLineNumber(first.number, () => decodeHeader(first.text));
  return { header, publications: entries(lines, header) };
}

async function* entries(lines: AsyncIterable<Line>, { last }: HistoryExport["header"]): AsyncGenerator<Publication> {
  let previousOffset = 0;
  let lastLine = 1;
  for await (const { number, text } of lines) {
    const publication = withLineNumber(number, () => decodeEntry(text));
    if (!publication) return;
    const { offset } = publication;
    if (offset <= previousOffset)
      throw invalid(number, `offset ${offset} is not above ${previousOffset}, which came before`);
    if (offset > last) throw invalid(number, `offset ${offset} is above ${last}, the last one by the first line`);
    yield publication;
    previousOffset = offset;
    lastLine = number;
  }
  throw new M2pushError(
    "storage_unusable",
    `the input ends after line ${lastLine}, and it is not whole: export it again`,
  );
}

/** Yields the lines that are not blank. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  let number = 0;
  const endLine = (): Line[] => {
    const line = Buffer.concat(parts);
    [parts, size] = [[], 0];
    number++;
    if (!isUtf8(line)) throw invalid(number, "it is not valid UTF-8");
    const text = line.toString().trim();
    return text === "" ? [] : [{ number, text }];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      parts.push(Buffer.from(chunk.subarray(start, end)));
      yield* endLine();
      start = end + 1;
    }
    parts.push(Buffer.from(chunk.subarray(start)));
    size += chunk.length - start;
    if (size > MAX_LINE_BYTES) throw invalid(number + 1, `it has more than ${MAX_LINE_BYTES} bytes`);
  }
  if (size > 0) yield* endLine();
  return undefined;
}

function withLineNumber<T>(line: number, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof M2pushError)) throw cause;
    throw new M2pushError(cause.code, `line ${line}: ${cause.message}`, { cause });
  }
}

function invalid(line: number, what: string): M2pushError {
  return new M2pushError("storage_unusable", `line ${line}: ${what}`);
}
