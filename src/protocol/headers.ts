/**
 * Decodes the header block of a request, in both formats that a Handler can configure: a JSON object (the default) or a
 * tnetstring dictionary. A value is a string, or a list of strings if the client sent the header more than once.
 *
 * Names that begin with a capital letter are Mongrel2's own. Mongrel2 writes client headers in lower case, so a client cannot
 * forge one. Client headers are stored in a Map, in which __proto__ is an ordinary key.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { COMMA, DICTIONARY, type Netstring, netstringAt } from "./tnetstring.js";

/** Client headers: names in lower case; values in the order received, at most 5 (Mongrel2 drops the others). */
export type Headers = ReadonlyMap<string, readonly string[]>;

/** Mongrel2's own headers, one value each. The object may contain other properties; read only these names. */
export type OwnHeaders = Readonly<
  Partial<
    Record<
      | "DOWNLOAD_CREDITS"
      | "FLAGS"
      | "METHOD"
      | "PATH"
      | "QUERY"
      | "REMOTE_ADDR"
      | "UPLOAD_STREAM"
      | "UPLOAD_STREAM_DONE"
      | "URI"
      | "URL_SCHEME"
      | "VERSION",
      string
    >
  >
>;

export interface HeaderBlock {
  readonly own: OwnHeaders;
  readonly client: Headers;
}

/** Type byte of a tnetstring list, "]". */
const LIST_TYPE_BYTE = 0x5d;
/** The UTF-8 decoder inserts it for invalid bytes; a client may also have sent it. */
const REPLACEMENT = "\u{fffd}";

/** Decodes a value that is not UTF-8 as Latin-1. Throws "invalid" or "too_large". */
export function decodeHeaders(message: Buffer, block: Netstring): HeaderBlock {
  if (block.type === COMMA) return jsonHeaders(message.subarray(block.start, block.end));
  if (block.type === DICTIONARY) return tnetHeaders(message, block);
  throw invalid("the header block is neither JSON nor a tnetstring dictionary");
}

type Value = string | readonly string[];

function isOwn(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= 0x41 && first <= 0x5a;
}

/** Mongrel2's own headers, most of a block, stay in the object: copying them to a Map took a twelfth of the time of a connect. */
function jsonHeaders(json: Buffer): HeaderBlock {
  const object = parseJson(json);
  if (typeof object !== "object" || object === null || Array.isArray(object))
    throw invalid("the header block is no JSON object");
  const client = new Map<string, readonly string[]>();
  for (const name of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value !== "string" && !isStrings(value))
      throw invalid("a header that is neither a string nor a list of strings");
    if (isOwn(name)) checkOwn(name, value);
    else client.set(name, valuesOf(value));
  }
  return { own: object, client };
}

const valuesOf = (value: Value): readonly string[] => (typeof value === "string" ? [value] : value);

function checkOwn(name: string, value: Value): asserts value is string {
  if (typeof value !== "string") throw invalid(`more than one value for ${name}`);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((it) => typeof it === "string");
}

/**
 * Mongrel2 escapes only the quote and the backslash, so a TAB in a header value makes the JSON invalid. Control characters occur
 * only inside strings, so when parsing fails, parseText() escapes them and parses the text a second time.
 */
function parseJson(json: Buffer): unknown {
  const text = json.toString();
  return text.includes(REPLACEMENT) && !isUtf8(json) ? latin1Json(json) : parseText(text);
}

/** Chooses the encoding for each value: a request may hold a UTF-8 cookie and a Latin-1 Last-Event-ID. */
const latin1Json = (json: Buffer): unknown =>
  parseText(json.toString("latin1"), (_, value) =>
    typeof value === "string" ? textOf(Buffer.from(value, "latin1")) : value,
  );

/** fetch() and node:http send header values as Latin-1, curl and the EventSource of browsers as UTF-8. */
function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? "utf8" : "latin1");
}

type Reviver = (name: string, value: unknown) => unknown;

function parseText(text: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch (cause) {
    const escaped = text.replace(/[\0-\x1f]/g, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`);
    if (escaped === text) throw invalid("the header block is no JSON", cause);
    return parseEscaped(escaped, reviver);
  }
}

function parseEscaped(json: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(json, reviver);
  } catch (cause) {
    throw invalid("the header block is no JSON", cause);
  }
}

function tnetHeaders(message: Buffer, { start, end }: Netstring): HeaderBlock {
  const own: Record<string, string> = Object.create(null);
  const client = new Map<string, readonly string[]>();
  for (let at = start; at < end; ) {
    const key = netstringAt(message, at, end - at, end);
    const content = netstringAt(message, key.next, end - key.next, end);
    const name = text(message, key);
    const value = content.type === LIST_TYPE_BYTE ? texts(message, content) : text(message, content);
    at = content.next;
    if (isOwn(name)) {
      checkOwn(name, value);
      own[name] = value;
    } else client.set(name, valuesOf(value));
  }
  return { own, client };
}

function texts(message: Buffer, { start, end }: Netstring): string[] {
  const all: string[] = [];
  for (let at = start; at < end; ) {
    const one = netstringAt(message, at, end - at, end);
    all.push(text(message, one));
    at = one.next;
  }
  return all;
}

function text(message: Buffer, { start, end, type }: Netstring): string {
  if (type !== COMMA) throw invalid("a header that is neither a string nor a list of strings");
  const text = message.toString("utf8", start, end);
  return text.includes(REPLACEMENT) ? textOf(message.subarray(start, end)) : text;
}

function invalid(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError("invalid", `not a request: ${what}`, { cause });
}
