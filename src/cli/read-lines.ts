/**
 * Lines of standard input, split as bytes. node:readline replaces invalid UTF-8 and treats U+2028 as a line end: both would silently
 * change what is published.
 */
import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";

const [LF, CR] = [0x0a, 0x0d];
const BYTE_ORDER_MARK = "\u{feff}";

/**
 * Each line without its end, which is LF, CRLF or CR; the last may have none. Throws "invalid" for a line that is not
 * UTF-8, "too_large" for one that no event can hold. The input is destroyed at the end, because its writer may keep the pipe open.
 */
export async function* linesOf(input: Readable): AsyncGenerator<string> {
  const lines = new LineSplitter();
  try {
    for await (const chunk of input) yield* lines.push(Buffer.from(chunk));
    yield* lines.end();
  } finally {
    input.destroy();
  }
}

class LineSplitter {
  #number = 0;
  #rest: Buffer = Buffer.alloc(0);
  /** The last byte was a CR: an LF that follows belongs to it. */
  #afterReturn = false;

  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      const isSecond = byte === LF && this.#afterReturn;
      this.#afterReturn = byte === CR;
      if (isSecond) start = at + 1;
      else if (byte === LF || byte === CR) {
        yield this.#line(chunk.subarray(start, at));
        start = at + 1;
      }
    }
    this.#keep(chunk.subarray(start));
  }

  *end(): Generator<string> {
    if (this.#rest.length > 0) yield this.#line(Buffer.alloc(0));
  }

  #keep(rest: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, rest]);
    if (this.#rest.length <= LIMITS.messageBytes) return;
    const what = `line ${this.#number + 1} of standard input is longer than ${LIMITS.messageBytes} bytes`;
    throw new ProtocolError("too_large", `${what}; fix: one event a line, each within the limits of an event`);
  }

  #line(end: Buffer): string {
    const bytes = Buffer.concat([this.#rest, end]);
    this.#rest = Buffer.alloc(0);
    this.#number++;
    if (!isUtf8(bytes)) {
      const what = `line ${this.#number} of standard input is not UTF-8`;
      throw new ProtocolError("invalid", `${what}; fix: convert it first, as with iconv -f LATIN1 -t UTF-8`);
    }
    const text = bytes.toString();
    return this.#number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  }
}
