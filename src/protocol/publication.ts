/**
 * What publishers send, through whatever door: the forms of a ZeroMQ message, and the rules that every publication keeps.
 * Who may publish what is not decided here.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { quote as quoteText } from "../util/escape.js";
import { LIMITS } from "./limits.js";
import { decodeEvents, eventSize } from "./sse.js";

/** An event as its publisher gave it, not yet in any order with others. What checkDraft() asks for holds. */
export interface Draft {
  /** The canonical topic, then alternates: the event goes to whoever follows any of them. */
  readonly topics: readonly [string, ...string[]];
  /** Text of any kind; "" is an event without content. CR and CRLF arrive as LF. */
  readonly data: string;
  /** The publisher's own id; absent = the daemon makes one. */
  readonly id?: string;
  /** The name of the DOM event; absent = "message". */
  readonly type?: string;
  /** Tells browsers to wait this long before they reconnect, milliseconds. */
  readonly retry?: number;
  /** Only for subscribers who were granted one of the topics. */
  readonly private: boolean;
}

/** An event in its place. */
export interface Publication {
  /** Its place among all publications of its epoch: rises, but need not be dense. */
  readonly offset: number;
  /** As printed in the stream: the publisher's own, or one made from the position. */
  readonly id: string;
  readonly topics: readonly string[];
  readonly private: boolean;
  /** When it was published: milliseconds since 1970. */
  readonly time: number;
  /** The SSE event, ready for the wire. */
  readonly bytes: Buffer;
}

/** Where an event goes that came as a ready EventSource block. */
const DEFAULT_TOPIC = "message";

/** Types that only the hub itself sends: Mercure's presence events, and notices in the stream such as m2push-gap. */
const RESERVED_TYPE = /^(mercure$|m2push-)/;

/** C0, DEL, C1; format characters, which a reader does not see; halves of surrogate pairs. */
const BAD_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}]/u;
/** The same but for ZWNJ and ZWJ, which Persian, Hindi and emoji need. */
const BAD_IN_TOPIC = /[\p{Cc}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u;
const HALF_A_PAIR = /\p{Cs}/u;

/** The keys of JSON, and what each must be. */
const OPTIONS = ["id", "type", "retry", "private"];
const WHOLE = ["topic", "topics", "data", ...OPTIONS];

/**
 * Reads one ZeroMQ message:
 * - `topic`, `data`
 * - `topic`, `data`, JSON `{"id","type","retry","private"}`, each optional
 * - JSON `{"topic" or "topics","data","id"?,"type"?,"retry"?,"private"?}`
 * - a ready EventSource block, such as "id: 1\r\ndata: Hello\r\n\r\n" (the last blank line may be missing)
 *
 * An id or type that is "" counts as absent. Throws "invalid", saying what was wrong, or "too_large".
 */
export function parsePublication(parts: readonly Buffer[]): Draft {
  checkSize(parts);
  const [first, data, json] = parts;
  if (first === undefined || parts.length > 3) throw wrong(`a publication has 1 to 3 parts, not ${parts.length}`);
  const draft = data === undefined ? parseSingle(text(first, "message")) : parseParts(first, data, json);
  checkDraft(draft);
  return draft;
}

/** Before anything is decoded: an event is never smaller than its data. */
function checkSize(parts: readonly Buffer[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  atMost(bytes, LIMITS.messageBytes, "the message");
  if (parts.length > 1) atMost(parts[1]?.length ?? 0, LIMITS.eventBytes, "data alone");
}

function parseParts(topic: Buffer, data: Buffer, json: Buffer | undefined): Draft {
  const draft: Draft = { topics: [text(topic, "topic")], data: text(data, "data"), private: false };
  return json === undefined ? draft : { ...draft, ...readOptions(readObject(text(json, "third part"), OPTIONS)) };
}

function parseSingle(message: string): Draft {
  return /^[ \t\r\n]*\{/.test(message) ? parseJson(message) : parseBlock(message);
}

function parseJson(message: string): Draft {
  const object = readObject(message, WHOLE);
  const topics = readTopics(object);
  if (typeof object.data !== "string")
    throw wrong(`"data" must be a string${object.data === undefined ? ": it is missing" : ""}`);
  return { topics, data: object.data, private: false, ...readOptions(object) };
}

function parseBlock(block: string): Draft {
  const events = decodeEvents(`${block}\n\n`);
  const [event] = events;
  if (event === undefined) throw wrong("the message is neither a JSON object nor an EventSource block");
  if (events.length > 1) throw wrong(`${events.length} EventSource blocks in one message: send one at a time`);
  if (event.data === undefined) throw wrong("the EventSource block has no data");
  return { topics: [DEFAULT_TOPIC], data: event.data, private: false, ...readOptions({ ...event }) };
}

type Json = Readonly<Record<string, unknown>>;

function readObject(json: string, known: readonly string[]): Json {
  const value = parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("JSON must be an object");
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw wrong(`unknown key ${quote(unknown)}: known are ${known.join(", ")}`);
  return value as Json;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new ProtocolError("invalid", "not a publication: broken JSON", { cause });
  }
}

function readTopics({ topic, topics }: Json): readonly [string, ...string[]] {
  if (topic !== undefined && topics !== undefined) throw wrong('either "topic" or "topics", not both');
  const all: unknown = topics ?? (topic === undefined ? undefined : [topic]);
  if (all === undefined) throw wrong('"topic" is missing');
  if (!Array.isArray(all) || !all.every((it) => typeof it === "string")) {
    throw wrong('"topic" must be a string, "topics" a list of strings');
  }
  const [first, ...rest] = all;
  if (first === undefined) throw wrong('"topics" is empty');
  return [first, ...rest];
}

function readOptions({ id, type, retry, private: isPrivate }: Json): Partial<Draft> {
  if (id !== undefined && typeof id !== "string") throw wrong('"id" must be a string');
  if (type !== undefined && typeof type !== "string") throw wrong('"type" must be a string');
  if (retry !== undefined && typeof retry !== "number") throw wrong('"retry" must be a number');
  if (isPrivate !== undefined && typeof isPrivate !== "boolean") throw wrong('"private" must be true or false');
  return {
    ...(id && { id }),
    ...(type && { type }),
    ...(retry !== undefined && { retry }),
    ...(isPrivate !== undefined && { private: isPrivate }),
  };
}

function text(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes)) throw wrong(`${what} is not valid UTF-8`);
  return bytes.toString();
}

/**
 * The rules for every publication, whichever door it comes through (characters and reserved names: Mercure, "Publish" and
 * "Topics"; sizes: limits.ts). Events that the hub itself sends need not keep them. `joiners`: whether topics may have ZWNJ and
 * ZWJ; draft-08 forbids all of Unicode's category Cf. Throws "invalid" or "too_large".
 */
export function checkDraft(draft: Draft, { joiners = true } = {}): void {
  const { topics, data, id, type, retry } = draft;
  checkTopics(topics, joiners ? BAD_IN_TOPIC : BAD_CHARACTER);
  if (id !== undefined) checkId(id);
  if (type !== undefined) checkType(type);
  if (retry !== undefined) checkRetry(retry);
  if (HALF_A_PAIR.test(data)) throw wrong("data has half a surrogate pair in it, which no UTF-8 can hold");
  atMost(sizeOf(draft), LIMITS.eventBytes, "the event as it is sent");
}

function checkTopics(topics: readonly string[], bad: RegExp): void {
  if (topics.length === 0) throw wrong("it has no topic");
  if (topics.length > LIMITS.topics) throw tooMuch(`${topics.length} topics, at most ${LIMITS.topics} are taken`);
  let bytes = 0;
  for (const topic of topics) {
    checkText("topic", topic, LIMITS.topicBytes, bad);
    if (topic === "*") throw wrong('topic "*" stands for every topic: nothing can be published there');
    bytes += Buffer.byteLength(topic);
  }
  atMost(bytes, LIMITS.topicsBytes, "all topics together");
}

function checkId(id: string): void {
  checkText("id", id, LIMITS.idBytes);
  if (id.startsWith(" ") || id.endsWith(" ")) {
    throw wrong(`id ${quote(id)} begins or ends with a space, which no header can bring back`);
  }
  if (id.startsWith("#")) throw wrong(`id ${quote(id)} must not begin with "#"`);
  if (id === "earliest") throw wrong('id "earliest" is reserved: it asks for everything stored');
}

function checkType(type: string): void {
  checkText("type", type, LIMITS.typeBytes);
  if (RESERVED_TYPE.test(type)) throw wrong(`type ${quote(type)} is reserved for the hub's own events`);
}

function checkRetry(retry: number): void {
  if (!Number.isInteger(retry) || retry < 0) throw wrong(`retry must be a whole number of milliseconds, not ${retry}`);
  if (retry > LIMITS.retryMs) throw tooMuch(`retry of ${retry} ms, at most ${LIMITS.retryMs} are taken`);
}

function checkText(what: string, value: string, maxBytes: number, forbidden = BAD_CHARACTER): void {
  if (value === "") throw wrong(`${what} is empty`);
  atMost(Buffer.byteLength(value), maxBytes, what);
  const bad = forbidden.exec(value)?.[0].codePointAt(0);
  if (bad === undefined) return;
  const name = `U+${bad.toString(16).toUpperCase().padStart(4, "0")}`;
  throw wrong(`${what} ${quote(value)} has ${name} in it, a control or invisible character`);
}

function sizeOf(draft: Draft): number {
  return eventSize(draft) + (draft.id === undefined ? "id: \n".length + LIMITS.madeIdBytes : 0);
}

function atMost(bytes: number, limit: number, what: string): void {
  if (bytes > limit) throw tooMuch(`${what} has ${bytes} bytes, at most ${limit} are taken`);
}

/** For a message to a person: never long. */
function quote(value: string): string {
  return quoteText(value.length > 60 ? `${value.slice(0, 60)}...` : value);
}

function wrong(what: string): ProtocolError {
  return new ProtocolError("invalid", `not a publication: ${what}`);
}

function tooMuch(what: string): ProtocolError {
  return new ProtocolError("too_large", `publication over its limits: ${what}`);
}
