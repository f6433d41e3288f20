/**
 * The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a String of Structured Fields (RFC 9651), in quotation marks.
 * A value without them is accepted as it is, since most clients send it so.
 */
import { ProtocolError } from "../errors.js";
import type { HttpRequest } from "../protocol/request.js";

const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** The key of a request; undefined = it has none. Throws "invalid" for more than one key, and for one that is no String. */
export function idempotencyKey({ headers }: HttpRequest): string | undefined {
  const values = headers.get("idempotency-key");
  if (values === undefined) return undefined;
  const [value = "", ...others] = values.map((it) => it.trim());
  if (others.length > 0) throw new ProtocolError("invalid", "more than one Idempotency-Key");
  if (!value.startsWith('"')) return value;
  const quoted = QUOTED.exec(value)?.[1];
  if (quoted === undefined) throw new ProtocolError("invalid", "Idempotency-Key is not a string in quotation marks");
  return quoted.replace(/\\(["\\])/g, "$1");
}
