/**
 * Codec of typed netstrings (tnetstrings.org): `<length>:<bytes><type>`, with the length in bytes. Mongrel2 uses them for request
 * headers if configured, for all messages of its control port, and for the body of extended replies.
 *
 *   ","  bytes     "#"  whole number     "^"  other number     "!"  true, false     "~"  null     "]"  list     "}"  dictionary
 *
 * The decoder is stricter than that of Mongrel2, which trusts its input: a length has no sign and no leading zero, and a value
 * must not extend beyond its container.
 */
import { ProtocolError } from "../errors.js";

/** The decoder returns bytes as a Buffer that shares the memory of the input. The encoder writes a string as UTF-8 bytes. */
export type TnetValue =
  | Buffer
  | string
  | number
  | boolean
  | null
  | readonly TnetValue[]
  | ReadonlyMap<string, TnetValue>;

export interface TnetLimits {
  /** Maximum nesting of lists and dictionaries; absent = 16. A value that is neither has depth 0. */
  readonly maxDepth?: number;
  /** Maximum size of a value, in bytes; absent = 16 MiB. */
  readonly maxBytes?: number;
  /** Maximum number of all values, without keys; absent = 1,000,000. */
  readonly maxItems?: number;
}

/** One `<length>:<bytes><type>` in a buffer: the bytes extend from `start` to `end`, `next` is the position after the type. */
export interface Netstring {
  readonly start: number;
  readonly end: number;
  /** The type's byte, such as 0x2c for ",". */
  readonly type: number;
  readonly next: number;
}

const MAX_VALUE_BYTES = 16 * 1024 * 1024;
/** Maximum number of digits of a length, by tnetstrings.org. */
const MAX_LENGTH_DIGITS = 9;
/** The longest text of a number; "-1.7976931348623157e+308" has 24 characters. */
const MAX_NUMBER_BYTES = 40;

/** Bytes of the syntax: the colon, then the types. */
const COLON = 0x3a;
export const COMMA = 0x2c;
const HASH = 0x23;
const CARET = 0x5e;
const BANG = 0x21;
const TILDE = 0x7e;
const LIST = 0x5d;
export const DICTIONARY = 0x7d;

/**
 * Reads the frame of one netstring and checks neither its bytes nor its type. `limit` is the end of its container. Throws "invalid",
 * and "too_large" if it is longer than `maxBytes`.
 */
export function netstringAt(
  buffer: Buffer,
  start: number,
  maxBytes = MAX_VALUE_BYTES,
  limit = buffer.length,
): Netstring {
  let length = 0;
  let at = start;
  for (; at < limit && at - start <= MAX_LENGTH_DIGITS; at++) {
    const digit = (buffer[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  const digits = at - start;
  if (at >= limit && digits <= MAX_LENGTH_DIGITS) throw invalid(`it ends in the length at byte ${start}`);
  if (digits === 0 || digits > MAX_LENGTH_DIGITS || buffer[at] !== COLON)
    throw invalid(`no length and colon at byte ${start}`);
  if (digits > 1 && buffer[start] === 0x30) throw invalid(`a length with a leading zero at byte ${start}`);
  if (length > maxBytes) throw tooLarge(`${length} bytes at byte ${start}, at most ${maxBytes} are taken`);
  const end = at + 1 + length;
  if (end >= limit)
    throw invalid(`${length} bytes announced at byte ${start}, ${Math.max(0, limit - at - 2)} are there`);
  return { start: at + 1, end, type: buffer[end] ?? 0, next: end + 1 };
}

/** Decodes a buffer that contains exactly one value. Throws "invalid" or "too_large". */
export function decode(buffer: Buffer, limits: TnetLimits = {}): TnetValue {
  const { value, end } = decodeAt(buffer, 0, limits);
  if (end !== buffer.length) throw invalid(`${buffer.length - end} bytes after the end of the value`);
  return value;
}

/** Decodes the value that begins at `start` and returns its end. Throws "invalid" or "too_large". */
export function decodeAt(buffer: Buffer, start: number, limits: TnetLimits = {}): { value: TnetValue; end: number } {
  const { maxDepth = 16, maxBytes = MAX_VALUE_BYTES, maxItems = 1_000_000 } = limits;
  const reader = new Reader(buffer, maxDepth, maxBytes, maxItems);
  const value = reader.read(start, buffer.length, 0);
  return { value, end: reader.at };
}

class Reader {
  /** Position after the last value read. */
  at = 0;
  readonly #buffer: Buffer;
  readonly #maxDepth: number;
  readonly #maxBytes: number;
  #itemsLeft: number;

  constructor(buffer: Buffer, maxDepth: number, maxBytes: number, maxItems: number) {
    this.#buffer = buffer;
    this.#maxDepth = maxDepth;
    this.#maxBytes = maxBytes;
    this.#itemsLeft = maxItems;
  }

  read(start: number, limit: number, depth: number): TnetValue {
    if (--this.#itemsLeft < 0) throw tooLarge("more values than are taken");
    const it = netstringAt(this.#buffer, start, this.#maxBytes, limit);
    const value = this.#value(it, depth);
    this.at = it.next;
    return value;
  }

  #value(it: Netstring, depth: number): TnetValue {
    switch (it.type) {
      case COMMA:
        return this.#buffer.subarray(it.start, it.end);
      case HASH:
        return parseInteger(this.#text(it));
      case CARET:
        return parseDecimal(this.#text(it));
      case BANG:
        return parseBoolean(this.#text(it));
      case TILDE:
        if (it.end > it.start) throw invalid(`a null with bytes in it at byte ${it.start}`);
        return null;
      case LIST:
        return this.#list(it, this.#deeper(depth));
      case DICTIONARY:
        return this.#dictionary(it, this.#deeper(depth));
      default:
        throw invalid(`unknown type 0x${it.type.toString(16).padStart(2, "0")} at byte ${it.end}`);
    }
  }

  #list(it: Netstring, depth: number): TnetValue[] {
    const values: TnetValue[] = [];
    for (this.at = it.start; this.at < it.end; ) values.push(this.read(this.at, it.end, depth));
    return values;
  }

  #dictionary(it: Netstring, depth: number): Map<string, TnetValue> {
    const entries = new Map<string, TnetValue>();
    for (this.at = it.start; this.at < it.end; ) {
      const key = netstringAt(this.#buffer, this.at, this.#maxBytes, it.end);
      if (key.type !== COMMA) throw invalid(`a key that is no string at byte ${key.start}`);
      entries.set(this.#buffer.toString("utf8", key.start, key.end), this.read(key.next, it.end, depth));
    }
    return entries;
  }

  #deeper(depth: number): number {
    if (depth >= this.#maxDepth) throw tooLarge(`values deeper than ${this.#maxDepth} in each other`);
    return depth + 1;
  }

  /** Returns the text of a number or boolean. */
  #text({ start, end }: Netstring): string {
    if (end - start > MAX_NUMBER_BYTES)
      throw invalid(`a number or truth value of ${end - start} bytes at byte ${start}`);
    return this.#buffer.toString("latin1", start, end);
  }
}

function parseInteger(text: string): number {
  const value = /^-?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalid(`${JSON.stringify(text)} is no whole number within 53 bits`);
  // "-0" is a whole number, and plain zero.
  return value + 0;
}

function parseDecimal(text: string): number {
  const value = /^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw invalid(`${JSON.stringify(text)} is no number`);
  return value;
}

function parseBoolean(text: string): boolean {
  if (text !== "true" && text !== "false") throw invalid(`${JSON.stringify(text)} is neither true nor false`);
  return text === "true";
}

/** Throws TypeError for undefined, a function, NaN and an infinite number. A lone surrogate becomes U+FFFD. */
export function encode(value: TnetValue): Buffer {
  if (Buffer.isBuffer(value)) return typed(value, ",");
  if (typeof value === "string") return typed(Buffer.from(value), ",");
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "boolean") return typed(Buffer.from(String(value)), "!");
  if (value === null) return typed(Buffer.alloc(0), "~");
  if (Array.isArray(value)) return typed(Buffer.concat(value.map(encode)), "]");
  if (!(value instanceof Map)) throw new TypeError(`no tnetstring can hold a value of type ${typeof value}`);
  return typed(Buffer.concat([...value].flatMap(([key, it]) => [encode(String(key)), encode(it)])), "}");
}

function encodeNumber(value: number): Buffer {
  if (!Number.isFinite(value)) throw new TypeError(`no tnetstring can hold the number ${value}`);
  if (Object.is(value, -0)) return typed(Buffer.from("-0"), "^");
  return typed(Buffer.from(String(value)), Number.isSafeInteger(value) ? "#" : "^");
}

function typed(bytes: Buffer, type: string): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(type)]);
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("invalid", `not a tnetstring: ${what}`);
}

function tooLarge(what: string): ProtocolError {
  return new ProtocolError("too_large", `tnetstring over its limits: ${what}`);
}
