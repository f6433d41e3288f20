/**
 * A history as text, to be carried from one store to another (`m2push history export`). One JSON object a line (NDJSON):
 *
 *   {"format":"m2push history","version":1,"epoch":"1q9x0k","floor":0,"last":2}
 *   {"offset":1,"id":"1q9x0k.1","time":1760000000000,"topics":["news"],"data":"hello"}
 *   {"offset":2,"id":"urn:2","time":1760000000001,"topics":["a","b"],"private":true,"type":"x","retry":5000,"data":""}
 *   {"end":true}
 *
 * Events come by rising offset, above `floor`, none above `last`; whoever was at the floor has missed nothing of what follows.
 * The last line tells a whole archive from one that was cut off.
 *
 * An archive may hold what the hub itself has sent, which need not keep the rules for publishers (checkDraft). Only what a store
 * or a browser could not take is refused here.
 */
import { M2pushError } from "../errors.js";
import { LIMITS } from "./limits.js";
import type { Draft, Publication } from "./publication.js";
import { decodeEvents, type EventFields, encodeEvent } from "./sse.js";

/** One lifetime of the offsets, as far as it is in an archive. */
export interface ArchiveHeader {
  readonly epoch: string;
  /** Everything after this offset is there. */
  readonly floor: number;
  /** The highest offset that was given out. */
  readonly last: number;
}

/** What a store gives away or takes in. */
export interface HistoryExport {
  readonly lifetime: ArchiveHeader;
  /** By rising offset. May reject on the way: then it is not whole. */
  readonly publications: AsyncIterable<Publication>;
}

const FORMAT = "m2push history";
const VERSION = 1;
/** Stores keep the length of a topic in 16 bits. */
const MOST_TOPIC = 65_535;
const HALF_A_PAIR = /\p{Cs}/u;
const KEYS = ["offset", "id", "time", "topics", "private", "type", "retry", "data"];

export const ARCHIVE_END = '{"end":true}\n';

export function encodeHeader({ epoch, floor, last }: ArchiveHeader): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, epoch, floor, last })}\n`;
}

export function encodeEntry(publication: Publication): string {
  const { offset, time } = publication;
  const { id, topics, data, type, retry, private: hidden } = draftOf(publication);
  const options = {
    ...(hidden && { private: true }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
  };
  return `${JSON.stringify({ offset, id, time, topics, ...options, data })}\n`;
}

/** What a publication was before it was given its place, but for its id, which is kept. Throws "storage_unusable". */
export function draftOf({ offset, id, topics, private: hidden, bytes }: Publication): Draft & { readonly id: string } {
  const [event, more] = decodeEvents(bytes.toString());
  const [first, ...rest] = topics;
  if (event?.data === undefined || more || first === undefined) throw bad(`what is stored at ${offset} is no event`);
  const { data, type, retry } = event;
  return {
    topics: [first, ...rest],
    data,
    id,
    private: hidden,
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
  };
}

/** Throws "storage_unusable", saying what was wrong. */
export function decodeHeader(line: string): ArchiveHeader {
  const { format, version, epoch, floor, last } = objectIn(line);
  if (format !== FORMAT || !isCount(version))
    throw bad(`expected {"format":"${FORMAT}", ...}: it is no exported history`);
  if (version > VERSION) {
    throw bad(`it was written by a newer m2push (format ${version}, this one reads ${VERSION}): use that one`);
  }
  if (typeof epoch !== "string" || !/^[A-Za-z0-9]{1,32}$/.test(epoch)) throw bad('"epoch" must be letters and digits');
  if (!isCount(floor) || !isCount(last) || floor > last) throw bad('"floor" and "last" must be offsets, in this order');
  return { epoch, floor, last };
}

/** Undefined for the line that ends an archive. Throws "storage_unusable" or "too_large", saying what was wrong. */
export function decodeEntry(line: string): Publication | undefined {
  const entry = objectIn(line);
  if (entry.end === true) return undefined;
  const unknown = Object.keys(entry).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw bad(`unknown key ${JSON.stringify(unknown)}: known are ${KEYS.join(", ")}`);
  const { offset, id, time, private: hidden = false } = entry;
  if (!isCount(offset) || offset === 0) throw bad('"offset" must be a whole number above 0');
  if (!isText(id) || id === "") throw bad('"id" must be a text that is not empty');
  if (Buffer.byteLength(id) > LIMITS.idBytes) throw tooMuch(`"id" has more than ${LIMITS.idBytes} bytes`);
  if (!Number.isFinite(time)) throw bad('"time" must be milliseconds since 1970');
  if (typeof hidden !== "boolean") throw bad('"private" must be true or false');
  return { offset, id, topics: topicsOf(entry), private: hidden, time: Number(time), bytes: bytesOf(id, entry) };
}

type Json = Readonly<Record<string, unknown>>;

function objectIn(line: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw bad("broken JSON", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("expected a JSON object");
  return value as Json;
}

function topicsOf({ topics }: Json): string[] {
  if (!Array.isArray(topics) || topics.length === 0) throw bad('"topics" must be a list with at least one topic');
  if (!topics.every(isText)) throw bad('"topics" must be a list of texts');
  if (topics.length > LIMITS.topics) throw tooMuch(`${topics.length} topics, at most ${LIMITS.topics} are taken`);
  const sizes = topics.map((topic) => Buffer.byteLength(topic));
  if (sizes.some((size) => size > MOST_TOPIC)) throw tooMuch(`a topic has more than ${MOST_TOPIC} bytes`);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (all > LIMITS.topicsBytes) throw tooMuch(`its topics have ${all} bytes, at most ${LIMITS.topicsBytes} are taken`);
  return topics;
}

function bytesOf(id: string, { data, type, retry }: Json): Buffer {
  if (!isText(data)) throw bad('"data" must be a text');
  if (type !== undefined && !isText(type)) throw bad('"type" must be a text');
  if (retry !== undefined && !isCount(retry)) throw bad('"retry" must be a whole number of milliseconds');
  const bytes = encoded({ id, data, ...(type !== undefined && { type }), ...(retry !== undefined && { retry }) });
  if (bytes.length <= LIMITS.eventBytes) return bytes;
  throw tooMuch(`the event as it is sent has ${bytes.length} bytes, at most ${LIMITS.eventBytes} are taken`);
}

function encoded(event: EventFields): Buffer {
  try {
    return encodeEvent(event);
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** What UTF-8 can hold: with half a surrogate pair in it, it would come out as another text. */
const isText = (value: unknown): value is string => typeof value === "string" && !HALF_A_PAIR.test(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function bad(what: string, cause?: unknown): M2pushError {
  return new M2pushError("storage_unusable", what, { cause });
}

function tooMuch(what: string): M2pushError {
  return new M2pushError("too_large", what);
}
