/**
 * Publications of every ingress: the formats of a ZeroMQ message, and the rules that apply to all publications. Authorization is
 * decided elsewhere.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { quote as quoteText } from "../util/escape.js";
import { LIMITS } from "./limits.js";
import { decodeEvents, eventSize } from "./sse.js";
import type { StoredKey } from "./stored-key.js";

/** An event as its publisher sent it, without a position. checkDraft() has accepted it. */
export interface Draft {
  /** The canonical topic, then alternates: subscribers of any of them receive the event. */
  readonly topics: readonly [string, ...string[]];
  /** Any text; "" is an event without content. Clients receive CR and CRLF as LF. */
  readonly data: string;
  /** The publisher's own id; absent = the daemon generates one. */
  readonly id?: string;
  /** The name of the DOM event; absent = "message". */
  readonly type?: string;
  /** Delay in milliseconds before browsers reconnect; 0 to LIMITS.retryMs. */
  readonly retry?: number;
  /** Whether only subscribers with a grant for one of the topics receive the event. */
  readonly private: boolean;
  /** Idempotency key of the event: a repeat of the publication with the same key publishes nothing. Never sent to clients. */
  readonly key?: string;
  /** The key to store with the event; publishing/ sets it. */
  readonly storedKey?: StoredKey;
}

/** An event with its position. */
export interface Publication {
  /** Offset within the epoch: increases with each publication, not necessarily by one. */
  readonly offset: number;
  /** The id in the stream: the publisher's own, or one generated from the position. */
  readonly id: string;
  readonly topics: readonly string[];
  readonly private: boolean;
  /** Time of publication, milliseconds since 1970. */
  readonly time: number;
  /** The encoded SSE event. */
  readonly bytes: Buffer;
  /** Stored with the event, in its transaction; a publication that is read from the history has none. */
  readonly storedKey?: StoredKey;
}

/** Topic of an event that was sent as an EventSource block. */
const DEFAULT_TOPIC = "message";

/** Event types reserved for the hub: Mercure's presence events, and notices in the stream such as m2push-gap. */
const RESERVED_TYPE = /^(mercure$|m2push-)/;

/** C0, DEL, C1; format characters, which are invisible; lone surrogates. */
const FORBIDDEN_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}]/u;
/** The same without ZWNJ and ZWJ, which Persian, Hindi and emoji need. */
const FORBIDDEN_IN_TOPIC = /[\p{Cc}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u;
const LONE_SURROGATE = /\p{Cs}/u;

/** Keys of the JSON options, and of a JSON message. */
const OPTION_KEYS = ["id", "type", "retry", "private"];
const MESSAGE_KEYS = ["topic", "topics", "data", ...OPTION_KEYS];

/**
 * Reads one ZeroMQ message:
 * - `topic`, `data`
 * - `topic`, `data`, JSON `{"id","type","retry","private"}`, each optional
 * - JSON `{"topic" or "topics","data","id"?,"type"?,"retry"?,"private"?}`
 * - an EventSource block, such as "id: 1\r\ndata: Hello\r\n\r\n" (the last blank line may be missing)
 *
 * An id or type that is "" counts as absent. Throws "invalid" or "too_large".
 */
export function parsePublication(parts: readonly Buffer[]): Draft {
  checkSize(parts);
  const [first, data, json] = parts;
  if (first === undefined || parts.length > 3) throw invalid(`a publication has 1 to 3 parts, not ${parts.length}`);
  const draft = data === undefined ? parseSingle(text(first, "message")) : parseParts(first, data, json);
  checkDraft(draft);
  return draft;
}

/** Runs before anything is decoded: an encoded event is never smaller than its data. */
function checkSize(parts: readonly Buffer[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  atMost(bytes, LIMITS.messageBytes, "the message");
  if (parts.length > 1) atMost(parts[1]?.length ?? 0, LIMITS.eventBytes, "data alone");
}

function parseParts(topic: Buffer, data: Buffer, json: Buffer | undefined): Draft {
  const draft: Draft = { topics: [text(topic, "topic")], data: text(data, "data"), private: false };
  return json === undefined ? draft : { ...draft, ...readOptions(readObject(text(json, "third part"), OPTION_KEYS)) };
}

function parseSingle(message: string): Draft {
  return /^[ \t\r\n]*\{/.test(message) ? parseJson(message) : parseBlock(message);
}

function parseJson(message: string): Draft {
  const object = readObject(message, MESSAGE_KEYS);
  const topics = readTopics(object);
  if (typeof object.data !== "string")
    throw invalid(`"data" must be a string${object.data === undefined ? ": it is missing" : ""}`);
  return { topics, data: object.data, private: false, ...readOptions(object) };
}

function parseBlock(block: string): Draft {
  const events = decodeEvents(`${block}\n\n`);
  const [event] = events;
  if (event === undefined) throw invalid("the message is neither a JSON object nor an EventSource block");
  if (events.length > 1) throw invalid(`${events.length} EventSource blocks in one message: send one at a time`);
  if (event.data === undefined) throw invalid("the EventSource block has no data");
  return { topics: [DEFAULT_TOPIC], data: event.data, private: false, ...readOptions({ ...event }) };
}

type Json = Readonly<Record<string, unknown>>;

function readObject(json: string, known: readonly string[]): Json {
  const value = parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("JSON must be an object");
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`unknown key ${quote(unknown)}: known are ${known.join(", ")}`);
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
  if (topic !== undefined && topics !== undefined) throw invalid('either "topic" or "topics", not both');
  const all: unknown = topics ?? (topic === undefined ? undefined : [topic]);
  if (all === undefined) throw invalid('"topic" is missing');
  if (!Array.isArray(all) || !all.every((it) => typeof it === "string")) {
    throw invalid('"topic" must be a string, "topics" a list of strings');
  }
  const [first, ...rest] = all;
  if (first === undefined) throw invalid('"topics" is empty');
  return [first, ...rest];
}

function readOptions({ id, type, retry, private: isPrivate }: Json): Partial<Draft> {
  if (id !== undefined && typeof id !== "string") throw invalid('"id" must be a string');
  if (type !== undefined && typeof type !== "string") throw invalid('"type" must be a string');
  if (retry !== undefined && typeof retry !== "number") throw invalid('"retry" must be a number');
  if (isPrivate !== undefined && typeof isPrivate !== "boolean") throw invalid('"private" must be true or false');
  return {
    ...(id && { id }),
    ...(type && { type }),
    ...(retry !== undefined && { retry }),
    ...(isPrivate !== undefined && { private: isPrivate }),
  };
}

function text(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes)) throw invalid(`${what} is not valid UTF-8`);
  return bytes.toString();
}

/**
 * Checks the rules for publications of every ingress (characters and reserved names: Mercure, "Publish" and "Topics"; sizes:
 * limits.ts). They do not apply to events of the hub itself. `joiners`: whether topics may contain ZWNJ and ZWJ; draft-08 forbids
 * all of Unicode's category Cf. Throws "invalid" or "too_large".
 */
export function checkDraft(draft: Draft, { joiners = true } = {}): void {
  const { topics, data, id, type, retry } = draft;
  checkTopics(topics, joiners ? FORBIDDEN_IN_TOPIC : FORBIDDEN_CHARACTER);
  if (id !== undefined) checkId(id);
  if (type !== undefined) checkType(type);
  if (retry !== undefined) checkRetry(retry);
  if (LONE_SURROGATE.test(data)) throw invalid("data has half a surrogate pair in it, which no UTF-8 can hold");
  atMost(sizeOf(draft), LIMITS.eventBytes, "the event as it is sent");
}

function checkTopics(topics: readonly string[], bad: RegExp): void {
  if (topics.length === 0) throw invalid("it has no topic");
  if (topics.length > LIMITS.topics) throw tooLarge(`${topics.length} topics, at most ${LIMITS.topics} are taken`);
  let bytes = 0;
  for (const topic of topics) {
    checkText("topic", topic, LIMITS.topicBytes, bad);
    if (topic === "*") throw invalid('topic "*" stands for every topic: nothing can be published there');
    bytes += Buffer.byteLength(topic);
  }
  atMost(bytes, LIMITS.topicsBytes, "all topics together");
}

function checkId(id: string): void {
  checkText("id", id, LIMITS.idBytes);
  if (id.startsWith(" ") || id.endsWith(" ")) {
    throw invalid(`id ${quote(id)} begins or ends with a space, which no header can bring back`);
  }
  if (id.startsWith("#")) throw invalid(`id ${quote(id)} must not begin with "#"`);
  if (id === "earliest") throw invalid('id "earliest" is reserved: it asks for everything stored');
}

function checkType(type: string): void {
  checkText("type", type, LIMITS.typeBytes);
  if (RESERVED_TYPE.test(type)) throw invalid(`type ${quote(type)} is reserved for the hub's own events`);
}

function checkRetry(retry: number): void {
  if (!Number.isInteger(retry) || retry < 0)
    throw invalid(`retry must be a whole number of milliseconds, not ${retry}`);
  if (retry > LIMITS.retryMs) throw tooLarge(`retry of ${retry} ms, at most ${LIMITS.retryMs} are taken`);
}

function checkText(what: string, value: string, maxBytes: number, forbidden = FORBIDDEN_CHARACTER): void {
  if (value === "") throw invalid(`${what} is empty`);
  atMost(Buffer.byteLength(value), maxBytes, what);
  const bad = forbidden.exec(value)?.[0].codePointAt(0);
  if (bad === undefined) return;
  const name = `U+${bad.toString(16).toUpperCase().padStart(4, "0")}`;
  throw invalid(`${what} ${quote(value)} has ${name} in it, a control or invisible character`);
}

function sizeOf(draft: Draft): number {
  return eventSize(draft) + (draft.id === undefined ? "id: \n".length + LIMITS.madeIdBytes : 0);
}

function atMost(bytes: number, limit: number, what: string): void {
  if (bytes > limit) throw tooLarge(`${what} has ${bytes} bytes, at most ${limit} are taken`);
}

/** Quotes at most 60 characters for an error message. */
function quote(value: string): string {
  return quoteText(value.length > 60 ? `${value.slice(0, 60)}...` : value);
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("invalid", `not a publication: ${what}`);
}

function tooLarge(what: string): ProtocolError {
  return new ProtocolError("too_large", `publication over its limits: ${what}`);
}
