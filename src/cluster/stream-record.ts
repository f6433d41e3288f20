/**
 * A publication as the stream holds it: JSON, so that NATS' own tools can show it, with the number of its format. The position
 * is not in it: it is the message's sequence. Nor are the wire bytes: their id may be that position. Every daemon makes the same
 * bytes of the same record.
 */
import { createHash } from "node:crypto";
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";
import { positionDraft } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { StreamMessage } from "./stream-session.js";

const VERSION = 1;

/** The key of events whose publisher gave no id. */
export const NO_ID = "0";

/** A word of a subject that stands for an id, whatever characters that has: 128 bits of its SHA-256. */
export function keyOf(id: string | undefined): string {
  return id === undefined ? NO_ID : createHash("sha256").update(id).digest("base64url").slice(0, 22);
}

/** `time`: when it was published, milliseconds since 1970; absent = when the stream takes it. */
export function encodeStreamRecord(draft: Draft, time?: number): Buffer {
  const { private: hidden, ...rest } = draft;
  return Buffer.from(
    JSON.stringify({ v: VERSION, ...rest, ...(hidden && { private: true }), ...(time !== undefined && { time }) }),
  );
}

/** A message that is no publication: it only shows whether the stream stores messages. */
export const encodeProbe = (): Buffer => Buffer.from(JSON.stringify({ v: VERSION, probe: true }));

/** The publication that a message is, in an epoch; undefined for a note (epoch-map.ts) or a probe; a text that says why it is neither. */
export function decodeStreamRecord(
  { sequence, stamp, data }: StreamMessage,
  epoch: string,
): Publication | string | undefined {
  try {
    const { v, time, earlier, probe, private: hidden = false, ...rest } = JSON.parse(decodeText(data));
    if (v !== VERSION) return `its format is ${v}, and this m2push knows ${VERSION}`;
    if (earlier !== undefined || probe !== undefined) return undefined;
    const draft: Draft = { ...rest, private: hidden };
    checkShape(draft, time);
    const publication = positionDraft(draft, epoch, sequence, time ?? Math.floor(Number(stamp) / 1e6));
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

const decodeText = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString();

/** It was checked when it was published; but others may write to the stream too, and what they write must not hurt us. */
function checkShape(draft: Draft, time: unknown): void {
  const { topics, data, id = "", type = "", retry, private: hidden } = draft;
  const isText = (value: unknown) => typeof value === "string";
  const isNumber = (value: unknown) => value === undefined || typeof value === "number";
  const isValid =
    [data, id, type].every(isText) &&
    Array.isArray(topics) &&
    topics.length > 0 &&
    topics.every(isText) &&
    [retry, time].every(isNumber) &&
    typeof hidden === "boolean";
  if (!isValid) throw new TypeError("a member is missing, or of another type than it should be");
}
