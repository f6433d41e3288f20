/**
 * The header block of a request, in either of the two forms that a Handler can ask for: a JSON object (the default), or a
 * tnetstring dictionary. Values are strings, or lists of strings where a header came more than once.
 *
 * Names that begin with a capital letter are Mongrel2's own. It writes those of the client in lower case, so none can be forged. Those
 * of the client go into a Map, where __proto__ is a name like any other.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { COMMA, DICTIONARY, type Netstring, netstringAt } from "./tnetstring.js";

/** Headers of the client: names in lower case; values in the order they came, at most 5 (Mongrel2 drops the rest). */
export type Headers = ReadonlyMap<string, readonly string[]>;

/** Mongrel2's own headers: never more than one value each. There may be others in it: only these names may be asked for. */
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

const LIST = 0x5d;
/** What the decoder puts where bytes are no UTF-8; a client may have sent it, too. */
const REPLACEMENT = "\u{fffd}";

/** A value that is not UTF-8 is read as Latin-1. Throws "invalid" or "invalid". */
export function decodeHeaders(message: Buffer, block: Netstring): HeaderBlock {
  if (block.type === COMMA) return jsonHeaders(message.subarray(block.start, block.end));
  if (block.type === DICTIONARY) return tnetHeaders(message, block);
  throw broken("the header block is neither JSON nor a tnetstring dictionary");
}

type Value = string | readonly string[];

function isOwn(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= 0x41 && first <= 0x5a;
}

/** Mongrel2's own, most of a block, stay in the object: to sort them into a Map was a twelfth of a connect. */
function jsonHeaders(json: Buffer): HeaderBlock {
  const object = parseJson(json);
  if (typeof object !== "object" || object === null || Array.isArray(object))
    throw broken("the header block is no JSON object");
  const client = new Map<string, readonly string[]>();
  for (const name of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value !== "string" && !isStrings(value))
      throw broken("a header that is neither a string nor a list of strings");
    if (isOwn(name)) checkOwn(name, value);
    else client.set(name, valuesOf(value));
  }
  return { own: object, client };
}

const valuesOf = (value: Value): readonly string[] => (typeof value === "string" ? [value] : value);

function checkOwn(name: string, value: Value): asserts value is string {
  if (typeof value !== "string") throw broken(`more than one value for ${name}`);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((it) => typeof it === "string");
}

/**
 * Mongrel2 escapes the quote and the backslash, and nothing else: a harmless TAB in a header value makes JSON that is none.
 * Control characters can stand only inside of strings there, so where parsing fails they are escaped, and it is tried again.
 */
function parseJson(json: Buffer): unknown {
  const text = json.toString();
  return text.includes(REPLACEMENT) && !isUtf8(json) ? latin1Json(json) : parseText(text);
}

/** Each value is what it is: a UTF-8 cookie stays one beside a Latin-1 Last-Event-ID. */
const latin1Json = (json: Buffer): unknown =>
  parseText(json.toString("latin1"), (_, value) =>
    typeof value === "string" ? textOf(Buffer.from(value, "latin1")) : value,
  );

/** fetch() and node:http send each character as one byte (Latin-1), curl and browsers' EventSource as UTF-8. */
function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? "utf8" : "latin1");
}

type Reviver = (name: string, value: unknown) => unknown;

function parseText(text: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch (cause) {
    const escaped = text.replace(/[\0-\x1f]/g, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`);
    if (escaped === text) throw broken("the header block is no JSON", cause);
    return parseEscaped(escaped, reviver);
  }
}

function parseEscaped(json: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(json, reviver);
  } catch (cause) {
    throw broken("the header block is no JSON", cause);
  }
}

function tnetHeaders(message: Buffer, { start, end }: Netstring): HeaderBlock {
  const own: Record<string, string> = Object.create(null);
  const client = new Map<string, readonly string[]>();
  for (let at = start; at < end; ) {
    const key = netstringAt(message, at, end - at, end);
    const content = netstringAt(message, key.next, end - key.next, end);
    const name = text(message, key);
    const value = content.type === LIST ? texts(message, content) : text(message, content);
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
  if (type !== COMMA) throw broken("a header that is neither a string nor a list of strings");
  const text = message.toString("utf8", start, end);
  return text.includes(REPLACEMENT) ? textOf(message.subarray(start, end)) : text;
}

function broken(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError("invalid", `not a request: ${what}`, { cause });
}
