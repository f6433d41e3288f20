/**
 * A publication as the stream holds it: JSON with a format version, so that NATS' own tools can show it. It does not contain the
 * position, which is the message's sequence, nor the wire bytes, whose id may be that position. Every daemon derives the same bytes
 * from the same record.
 */
import { createHash } from "node:crypto";
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";
import { positionDraft, positionRemoval } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import { type Removal, readRemoval } from "../protocol/removal.js";
import type { StoredKey } from "../protocol/stored-key.js";
import type { StreamMessage } from "./stream-session.js";

const VERSION = 1;

/** The key of the records that remove events. No id has a key of this length. */
export const REMOVALS_KEY = "removals";

/** The key of the notes before final events: a node that starts looks for one. */
export const FINALS_KEY = "finals";

/** The key of events whose publisher gave no id. */
export const NO_ID = "0";

/** The word of a subject for an id of any characters: 128 bits of its SHA-256. */
export function keyOf(id: string | undefined): string {
  return id === undefined ? NO_ID : createHash("sha256").update(id).digest("base64url").slice(0, 22);
}

/** `time`: when it was published, milliseconds since 1970; absent = when the stream stores it. */
export function encodeStreamRecord(draft: Draft, time?: number): Buffer {
  const { private: hidden, key: _, storedKey, ttlMs: ttl, ...rest } = draft;
  const members = { ...(hidden && { private: true }), ...(time !== undefined && { time }), ttl };
  const k = storedKey && [storedKey.hash, storedKey.fingerprint];
  return Buffer.from(JSON.stringify({ v: VERSION, ...rest, ...members, ...(k && { k }) }));
}

/** Whether a record may have an idempotency key, without decoding it. */
export const mayHaveKey = (data: Uint8Array): boolean =>
  Buffer.from(data.buffer, data.byteOffset, data.length).includes('"k":["');

/** A message that is no publication: it tests whether the stream stores messages. */
export const encodeProbe = (): Buffer => Buffer.from(JSON.stringify({ v: VERSION, probe: true }));

/** A message that is no publication: a final event follows it. */
export const encodeFinalNote = (): Buffer => Buffer.from(JSON.stringify({ v: VERSION, ends: true }));

/** `epoch`: that of its offsets. The stream may have another one when it stores the record, which removes nothing then. */
export const encodeStreamRemoval = (removes: Removal, epoch: string): Buffer =>
  Buffer.from(JSON.stringify({ v: VERSION, removes, epoch }));

/**
 * The publication of a message; undefined for a note (epoch-map.ts, removal-notes.ts), a probe, or a removal of another epoch; a text says
 * why it is none of these.
 */
export function decodeStreamRecord(
  { sequence, stamp, data }: StreamMessage,
  epoch: string,
): Publication | string | undefined {
  try {
    const record = JSON.parse(decodeText(data));
    const { v, time, k, ttl, private: hidden = false, ...rest } = record;
    if (v !== VERSION) return `its format is ${v}, and this m2push knows ${VERSION}`;
    if (NOTES.some((it) => record[it] !== undefined)) return undefined;
    const storedAt = Math.floor(Number(stamp) / 1e6);
    if (rest.removes !== undefined)
      return rest.epoch === epoch ? positionRemoval(readRemoval(rest.removes), epoch, sequence, storedAt) : undefined;
    const draft: Draft = {
      ...rest,
      private: hidden,
      ...(ttl !== undefined && { ttlMs: ttl }),
      ...(k !== undefined && { storedKey: readKey(k) }),
    };
    checkShape(draft, time);
    const publication = positionDraft(draft, epoch, sequence, time ?? storedAt);
    const { length } = publication.bytes;
    return length > LIMITS.eventBytes
      ? `it has ${length} bytes, at most ${LIMITS.eventBytes} can be sent`
      : publication;
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof SyntaxError || error instanceof TypeError)
      return error.message;
    throw error;
  }
}

/** Members of messages that are no publications. */
const NOTES = ["earlier", "probe", "marked", "was", "ends"] as const;

/** 128 bits in base64url. */
const HASH = /^[A-Za-z0-9_-]{22}$/;

function readKey(value: unknown): StoredKey {
  const [hash, fingerprint, ...rest] = Array.isArray(value) ? value : [];
  const isHash = (it: unknown): it is string => typeof it === "string" && HASH.test(it);
  if (!isHash(hash) || !isHash(fingerprint) || rest.length > 0) throw new TypeError("its key is not a pair of hashes");
  return { hash, fingerprint, count: 1 };
}

const decodeText = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString();

/** m2push checks before it publishes; other programs may write to the stream as well. */
function checkShape(draft: Draft, time: unknown): void {
  const { topics, data, id = "", type = "", retry, ttlMs, final = true, traceparent = "", private: hidden } = draft;
  const isText = (value: unknown) => typeof value === "string";
  const isNumber = (value: unknown) => value === undefined || typeof value === "number";
  const isValid =
    [data, id, type, traceparent].every(isText) &&
    Array.isArray(topics) &&
    topics.length > 0 &&
    topics.every(isText) &&
    [retry, time, ttlMs].every(isNumber) &&
    final === true &&
    typeof hidden === "boolean";
  if (!isValid) throw new TypeError("a member is missing, or of another type than it should be");
}
