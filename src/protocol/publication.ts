/** Publications, and the formats of a ZeroMQ message. */
import { checkDraft, type Draft, type DraftRules } from "./draft.js";
import {
  type BatchRules,
  checkBatchSize,
  firstCharacter,
  isJsonArray,
  parseJsonArray,
  parseJsonLines,
} from "./event-batch.js";
import { atMost, invalid, textOf } from "./event-fault.js";
import { parseJson, readJsonEvent, readOptions, readOptionsObject } from "./json-event.js";
import { LIMITS } from "./limits.js";
import type { Removal } from "./removal.js";
import { decodeEvents } from "./sse.js";
import type { StoredKey } from "./stored-key.js";

export { checkDraft, type Draft } from "./draft.js";

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
  /** From this time on, milliseconds since 1970, it is neither delivered nor replayed; absent = never. */
  readonly expiresAt?: number;
  /** Ends its topics until one of them is published to again. */
  readonly isFinal?: true;
  /** Trace context of its own span (traceparent.ts); absent = it is not traced, or was read from the history. */
  readonly traceparent?: string;
  /** What it removes; it is no event then, and is never delivered. See removal.ts. */
  readonly removes?: Removal;
  /** Stored with the event, in its transaction; a publication that is read from the history has none. */
  readonly storedKey?: StoredKey;
}

/** Topic of an event that was sent as an EventSource block. */
const DEFAULT_TOPIC = "message";

/**
 * Reads one ZeroMQ message of one event:
 * - `topic`, `data`
 * - `topic`, `data`, JSON `{"id","type","retry","private","ttl","final","key","traceparent"}`, each optional
 * - JSON `{"topic" or "topics","data","id"?,"type"?,"retry"?,"private"?,"ttl"?,"final"?,"key"?,"traceparent"?}` (json-event.ts)
 * - an EventSource block, such as "id: 1\r\ndata: Hello\r\n\r\n" (the last blank line may be missing)
 *
 * An id or type that is "" counts as absent. Throws "invalid" or "too_large"; InvalidEvents lists every fault of a JSON event.
 */
export function parsePublication(parts: readonly Buffer[], rules: DraftRules = {}): Draft {
  checkSize(parts);
  // By index: the first 5000 events pay for each step of an iterator.
  const first = parts[0];
  const data = parts[1];
  if (first === undefined || parts.length > 3) throw invalid(`a publication has 1 to 3 parts, not ${parts.length}`);
  if (data === undefined) return parseSingle(textOf(first, "message"), rules);
  const draft = parseParts(first, data, parts[2]);
  checkDraft(draft, rules);
  return draft;
}

/**
 * Reads one ZeroMQ message of one or more events: as parsePublication(), and of one part also a JSON array or JSON lines (event-batch.ts).
 * Throws "invalid" or "too_large"; InvalidEvents lists the faults of all events.
 */
export function parsePublications(parts: readonly Buffer[], rules: BatchRules): readonly Draft[] {
  const only = parts[0];
  if (only === undefined || !isBatch(parts)) return [parsePublication(parts, rules)];
  checkBatchSize(only.length, rules.limits);
  const batch = textOf(only, "message");
  return isJsonArray(only) ? parseJsonArray(batch, readJsonEvent, rules) : parseJsonLines(batch, readJsonEvent, rules);
}

/** Whether a message has the form of a batch, which may have one event. */
export function isBatch(parts: readonly Buffer[]): boolean {
  if (parts.length !== 1) return false;
  const only = parts[0];
  return only !== undefined && (isJsonArray(only) || isJsonLines(only));
}

const LF = 0x0a;

/** Whether a first line that ends with "}" is followed by more, and both are not one object. */
function isJsonLines(message: Buffer): boolean {
  if (firstCharacter(message) !== "{") return false;
  const start = message.indexOf("{");
  const end = message.indexOf(LF, start);
  if (end < 0 || !message.toString("latin1", start, end).trimEnd().endsWith("}")) return false;
  if (firstCharacter(message.subarray(end)) === undefined) return false;
  return message.length > LIMITS.messageBytes || !isJson(message);
}

function isJson(message: Buffer): boolean {
  try {
    JSON.parse(message.toString());
    return true;
  } catch {
    return false;
  }
}

/** Runs before anything is decoded: an encoded event is never smaller than its data. */
function checkSize(parts: readonly Buffer[]): void {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  atMost(bytes, LIMITS.messageBytes, "the message");
  atMost(parts[1]?.length ?? 0, LIMITS.eventBytes, "data alone");
}

function parseParts(topic: Buffer, data: Buffer, json: Buffer | undefined): Draft {
  const draft: Draft = { topics: [textOf(topic, "topic")], data: textOf(data, "data"), private: false };
  return json === undefined ? draft : { ...draft, ...readOptionsObject(parseJson(textOf(json, "third part"))) };
}

function parseSingle(message: string, rules: DraftRules): Draft {
  if (/^[ \t\r\n]*\{/.test(message)) return readJsonEvent(parseJson(message), () => message, rules);
  const draft = parseBlock(message);
  checkDraft(draft, rules);
  return draft;
}

function parseBlock(block: string): Draft {
  const events = decodeEvents(`${block}\n\n`);
  const [event] = events;
  if (event === undefined) throw invalid("the message is neither a JSON object nor an EventSource block");
  if (events.length > 1) throw invalid(`${events.length} EventSource blocks in one message: send one at a time`);
  if (event.data === undefined) throw invalid("the EventSource block has no data");
  return { topics: [DEFAULT_TOPIC], data: event.data, ...readOptions({ ...event }) };
}
