/** Reads an archive as it comes, a line at a time: what is held in memory is one line. What is wrong is told with its line. */
import { isUtf8 } from "node:buffer";
import { M2pushError } from "../errors.js";
import { decodeEntry, decodeHeader, type HistoryExport } from "./archive.js";
import { LIMITS } from "./limits.js";
import type { Publication } from "./publication.js";

/** An event whose data is nothing but control characters, each six bytes of JSON, and whose topics are as long as may be. */
const MOST_LINE = LIMITS.messageBytes;
const LF = 10;

interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Rejects, then and later, with "storage_unusable" or "too_large": `line 7: ...`. */
export async function readArchive(chunks: AsyncIterable<Uint8Array>): Promise<HistoryExport> {
  const lines = linesOf(chunks);
  const { value: first, done } = await lines.next();
  if (done) throw new M2pushError("storage_unusable", "there is nothing to import: the input is empty");
  const lifetime = at(first.number, () => decodeHeader(first.text));
  return { lifetime, publications: entries(lines, lifetime) };
}

async function* entries(
  lines: AsyncIterable<Line>,
  { floor, last }: HistoryExport["lifetime"],
): AsyncGenerator<Publication> {
  let before = floor;
  let read = 1;
  for await (const { number, text } of lines) {
    const publication = at(number, () => decodeEntry(text));
    if (!publication) return;
    const { offset } = publication;
    if (offset <= before) throw wrong(number, `offset ${offset} is not above ${before}, which came before`);
    if (offset > last) throw wrong(number, `offset ${offset} is above ${last}, the last one by the first line`);
    yield publication;
    before = offset;
    read = number;
  }
  throw new M2pushError("storage_unusable", `the input ends after line ${read}, and it is not whole: export it again`);
}

/** Without empty ones. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line, undefined> {
  let rest: Buffer[] = [];
  let size = 0;
  let number = 0;
  const whole = (): Line[] => {
    const line = Buffer.concat(rest);
    [rest, size] = [[], 0];
    number++;
    if (!isUtf8(line)) throw wrong(number, "it is not valid UTF-8");
    const text = line.toString().trim();
    return text === "" ? [] : [{ number, text }];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      rest.push(Buffer.from(chunk.subarray(start, end)));
      yield* whole();
      start = end + 1;
    }
    rest.push(Buffer.from(chunk.subarray(start)));
    size += chunk.length - start;
    if (size > MOST_LINE) throw wrong(number + 1, `it has more than ${MOST_LINE} bytes`);
  }
  if (size > 0) yield* whole();
  return undefined;
}

function at<T>(line: number, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof M2pushError)) throw cause;
    throw new M2pushError(cause.code, `line ${line}: ${cause.message}`, { cause });
  }
}

function wrong(line: number, what: string): M2pushError {
  return new M2pushError("storage_unusable", `line ${line}: ${what}`);
}
