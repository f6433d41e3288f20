/**
 * Envelopes of ZeroMQ requests (rfc.zeromq.org/spec/28): the leading parts that a reply carries back. A REQ socket puts an empty part
 * before its message, or a request id and an empty part (ZMQ_REQ_CORRELATE); a ROUTER of a proxy puts the identity of its client before that.
 * A DEALER sends what its program gives it, so its first part decides: [topic, ""] is an event without data, not an envelope.
 */
import { ProtocolError } from "../errors.js";

/** Limit for all parts of an envelope: a proxy adds an identity of at most 255 bytes. */
const MAX_ENVELOPE_BYTES = 1024;

export interface Request {
  /** Ends with an empty part; [] = none. */
  readonly envelope: readonly Buffer[];
  readonly parts: Buffer[];
}

/**
 * Splits a message. A REQ socket's envelope ends at the first empty part; a DEALER's message has one only if its first part is empty, or
 * begins with NUL: such is an identity that a ROUTER has made, and no topic. Throws "too_large" at an envelope above the limit.
 */
export function splitEnvelope(message: Buffer[], hasAlways: boolean): Request {
  const [first] = message;
  const isPossible = hasAlways || first?.length === 0 || first?.[0] === 0;
  const end = isPossible ? message.findIndex(({ length }) => length === 0) + 1 : 0;
  // Copies: an envelope is kept until its reply, and must not retain the memory of the read that brought it.
  const envelope = message.slice(0, end).map((part) => Buffer.from(part));
  const bytes = envelope.reduce((sum, { length }) => sum + length, 0);
  if (bytes > MAX_ENVELOPE_BYTES) {
    throw new ProtocolError(
      "too_large",
      `the envelope of a request has ${bytes} bytes, the limit is ${MAX_ENVELOPE_BYTES}`,
    );
  }
  return { envelope, parts: message.slice(end) };
}
