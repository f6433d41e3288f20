/**
 * Text format that moves a history from one store to another (`m2push history export`): one JSON object per line (NDJSON).
 *
 *   {"format":"m2push history","version":1,"epoch":"1q9x0k","floor":0,"last":3}
 *   {"offset":1,"id":"1q9x0k.1","time":1760000000000,"topics":["news"],"data":"hello"}
 *   {"offset":2,"id":"urn:2","time":1760000000001,"topics":["a","b"],"private":true,"type":"x","retry":5000,"data":""}
 *   {"offset":3,"id":"#1q9x0k.3","time":1760000000002,"expires":1760000600002,"topics":["c"],"final":true,"data":"bye"}
 *   {"end":true}
 *
 * The events are sorted by offset, not above `last`. The archive contains every stored event above `floor`, so a client that has
 * received everything up to `floor` misses nothing; events up to `floor` were kept for their topics (`keep = "last"`). The last line distinguishes a complete archive from a
 * truncated one.
 *
 * An archive may contain events of the hub itself, to which the rules for publishers (checkDraft) do not apply. The decoder
 * rejects only events that a store or a browser cannot accept.
 */
import { M2pushError, messageOf } from "../errors.js";
import { LIMITS } from "./limits.js";
import type { Draft, Publication } from "./publication.js";
import { decodeEvents, type EventFields, encodeEvent } from "./sse.js";

/** The epoch of an archive and the range of its offsets. */
export interface ArchiveHeader {
  readonly epoch: string;
  /** The archive is complete above this offset. */
  readonly floor: number;
  /** The highest offset that the store has assigned. */
  readonly last: number;
}

/** A history that a store exports or imports. */
export interface HistoryExport {
  readonly header: ArchiveHeader;
  /** Sorted by offset. The iteration may reject: then the export is incomplete. */
  readonly publications: AsyncIterable<Publication>;
}

const FORMAT = "m2push history";
const VERSION = 1;
/** Stores encode the length of a topic in 16 bits. */
const MAX_TOPIC_BYTES = 65_535;
const LONE_SURROGATE = /\p{Cs}/u;
const ENTRY_KEYS = ["offset", "id", "time", "expires", "topics", "private", "final", "type", "retry", "data"];

export const ARCHIVE_END = '{"end":true}\n';

export function encodeHeader({ epoch, floor, last }: ArchiveHeader): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, epoch, floor, last })}\n`;
}

export function encodeEntry(publication: Publication): string {
  const { offset, time, expiresAt: expires } = publication;
  const { id, topics, data, type, retry, private: hidden, final } = draftOf(publication);
  const options = {
    ...(hidden && { private: true }),
    ...(final && { final }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
  };
  return `${JSON.stringify({ offset, id, time, expires, topics, ...options, data })}\n`;
}

/** Returns the draft of a stored publication, with the id that it was given. Throws "storage_unusable". */
export function draftOf(publication: Publication): Draft & { readonly id: string } {
  const { offset, id, topics, private: hidden, time, expiresAt, isFinal, bytes } = publication;
  const [event, more] = decodeEvents(bytes.toString());
  const [first, ...rest] = topics;
  if (event?.data === undefined || more || first === undefined)
    throw invalid(`what is stored at ${offset} is no event`);
  const { data, type, retry } = event;
  return {
    topics: [first, ...rest],
    data,
    id,
    private: hidden,
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
    ...(expiresAt !== undefined && { ttlMs: expiresAt - time }),
    ...(isFinal && { final: isFinal }),
  };
}

/** Throws "storage_unusable". */
export function decodeHeader(line: string): ArchiveHeader {
  const { format, version, epoch, floor, last } = objectIn(line);
  if (format !== FORMAT || !isCount(version))
    throw invalid(`expected {"format":"${FORMAT}", ...}: it is no exported history`);
  if (version > VERSION) {
    throw invalid(`it was written by a newer m2push (format ${version}, this one reads ${VERSION}): use that one`);
  }
  if (typeof epoch !== "string" || !/^[A-Za-z0-9]{1,32}$/.test(epoch))
    throw invalid('"epoch" must be letters and digits');
  if (!isCount(floor) || !isCount(last) || floor > last)
    throw invalid('"floor" and "last" must be offsets, in this order');
  return { epoch, floor, last };
}

/** Returns undefined for the last line of an archive. Throws "storage_unusable" or "too_large". */
export function decodeEntry(line: string): Publication | undefined {
  const entry = objectIn(line);
  if (entry.end === true) return undefined;
  const unknown = Object.keys(entry).find((key) => !ENTRY_KEYS.includes(key));
  if (unknown !== undefined)
    throw invalid(`unknown key ${JSON.stringify(unknown)}: known are ${ENTRY_KEYS.join(", ")}`);
  const { offset, id, time, expires, private: hidden = false, final = false } = entry;
  if (!isCount(offset) || offset === 0) throw invalid('"offset" must be a whole number above 0');
  if (!isText(id) || id === "") throw invalid('"id" must be a text that is not empty');
  if (Buffer.byteLength(id) > LIMITS.idBytes) throw tooLarge(`"id" has more than ${LIMITS.idBytes} bytes`);
  if (!Number.isFinite(time)) throw invalid('"time" must be milliseconds since 1970');
  if (expires !== undefined && !Number.isFinite(expires)) throw invalid('"expires" must be milliseconds since 1970');
  if (typeof hidden !== "boolean") throw invalid('"private" must be true or false');
  if (typeof final !== "boolean") throw invalid('"final" must be true or false');
  return {
    ...{ offset, id, topics: topicsOf(entry), private: hidden, time: Number(time), bytes: bytesOf(id, entry) },
    ...(expires !== undefined && { expiresAt: Number(expires) }),
    ...(final && { isFinal: final }),
  };
}

type Json = Readonly<Record<string, unknown>>;

function objectIn(line: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw invalid("broken JSON", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("expected a JSON object");
  return value as Json;
}

function topicsOf({ topics }: Json): string[] {
  if (!Array.isArray(topics) || topics.length === 0) throw invalid('"topics" must be a list with at least one topic');
  if (!topics.every(isText)) throw invalid('"topics" must be a list of texts');
  if (topics.length > LIMITS.topics) throw tooLarge(`${topics.length} topics, at most ${LIMITS.topics} are taken`);
  const sizes = topics.map((topic) => Buffer.byteLength(topic));
  if (sizes.some((size) => size > MAX_TOPIC_BYTES)) throw tooLarge(`a topic has more than ${MAX_TOPIC_BYTES} bytes`);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (all > LIMITS.topicsBytes) throw tooLarge(`its topics have ${all} bytes, at most ${LIMITS.topicsBytes} are taken`);
  return topics;
}

function bytesOf(id: string, { data, type, retry }: Json): Buffer {
  if (!isText(data)) throw invalid('"data" must be a text');
  if (type !== undefined && !isText(type)) throw invalid('"type" must be a text');
  if (retry !== undefined && !isCount(retry)) throw invalid('"retry" must be a whole number of milliseconds');
  const bytes = encoded({ id, data, ...(type !== undefined && { type }), ...(retry !== undefined && { retry }) });
  if (bytes.length <= LIMITS.eventBytes) return bytes;
  throw tooLarge(`the event as it is sent has ${bytes.length} bytes, at most ${LIMITS.eventBytes} are taken`);
}

function encoded(event: EventFields): Buffer {
  try {
    return encodeEvent(event);
  } catch (cause) {
    throw invalid(messageOf(cause), cause);
  }
}

/** UTF-8 cannot encode a lone surrogate: the stored text would differ. */
const isText = (value: unknown): value is string => typeof value === "string" && !LONE_SURROGATE.test(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function invalid(what: string, cause?: unknown): M2pushError {
  return new M2pushError("storage_unusable", what, { cause });
}

function tooLarge(what: string): M2pushError {
  return new M2pushError("too_large", what);
}
