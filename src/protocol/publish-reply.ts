/**
 * Codec of the reply to a publisher that uses a REQ or DEALER socket: JSON in one part (docs/publish.md, "Over ZeroMQ").
 * `{"id"}`, `{"ids"}` for a batch, or `{"error": {"code", "message", "retry_after"?}}`; `retry_after` in seconds.
 */
import { M2pushError, messageOf, ProtocolError, type ReplyCode } from "../errors.js";

const MS_PER_SECOND = 1000;
/** Where an error that is temporary does not state when to try again. */
const DEFAULT_RETRY_AFTER_MS = 1000;

/** Codes of errors after which the same message may be accepted later. */
const TEMPORARY_CODES: ReadonlySet<string> = new Set<ReplyCode>(["unavailable", "storage_failed", "rate_limited"]);
/** Codes that never leave the daemon. */
const INTERNAL_CODES: ReadonlySet<string> = new Set(["config_invalid", "link_failed", "storage_unusable"]);

export function encodeIds(ids: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(ids.length === 1 ? { id: ids[0] } : { ids }));
}

/** A defect is not described to publishers; the log has it. */
export function encodeError(error: unknown): Buffer {
  if (!(error instanceof M2pushError) || error.code === "internal" || INTERNAL_CODES.has(error.code)) {
    return encode({ code: "internal", message: "an internal error; fix: check the log of the daemon" });
  }
  const retryAfterMs = error.retryAfterMs ?? (TEMPORARY_CODES.has(error.code) ? DEFAULT_RETRY_AFTER_MS : undefined);
  const retryAfter = retryAfterMs === undefined ? {} : { retry_after: Math.ceil(retryAfterMs) / MS_PER_SECOND };
  return encode({ code: error.code, message: messageOf(error), ...retryAfter });
}

const encode = (error: Readonly<Record<string, unknown>>): Buffer => Buffer.from(JSON.stringify({ error }));

/** Reads a reply. Returns the ids; throws an error with the code of the reply if the message was rejected, "invalid" if it is no reply. */
export function decodeReply(bytes: Buffer): readonly string[] {
  const { id, ids = [id], error } = parseObject(bytes);
  if (isObject(error)) throw rejectionOf(error);
  if (Array.isArray(ids) && ids.every((it) => typeof it === "string")) return ids;
  throw new ProtocolError("invalid", NO_REPLY);
}

function rejectionOf({ code, message, retry_after: retryAfter }: Json): M2pushError {
  const retryAfterMs = typeof retryAfter === "number" ? { retryAfterMs: retryAfter * MS_PER_SECOND } : {};
  return new ProtocolError(code as ReplyCode, String(message), retryAfterMs);
}

function parseObject(bytes: Buffer): Json {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (isObject(value)) return value;
  } catch (cause) {
    throw new ProtocolError("invalid", NO_REPLY, { cause });
  }
  throw new ProtocolError("invalid", NO_REPLY);
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;
const NO_REPLY =
  "the reply is neither the id of an event nor an error; fix: connect the address that m2push serves for publishers";
