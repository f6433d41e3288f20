/**
 * Codec of the reply to a publisher that uses a REQ or DEALER socket: JSON in one part (docs/publish.md, "Over ZeroMQ").
 * `{"id"}`, or `{"error": {"code", "message", "retry_after"?, "faults"?}}`, where `retry_after` are seconds. For a batch `{"events"}` has
 * the result of each event, as over HTTP; where a cluster has stored a part of it, there is `error` too.
 */
import { DEFAULT_RETRY_AFTER_MS, M2pushError, ProtocolError, type ReplyCode } from "../errors.js";
import { InvalidEvents } from "./event-fault.js";
import { publishError } from "./publish-error.js";

const MS_PER_SECOND = 1000;

/** Codes of errors after which the same message may be accepted later. */
const TEMPORARY_CODES: ReadonlySet<string> = new Set<ReplyCode>(["unavailable", "storage_failed", "rate_limited"]);

/** What became of an event. */
type EventResult = { readonly id: string } | { readonly error: M2pushError };

/** `isBatch`: the message had the form of a batch, which may have one event. */
export function encodeResults(results: readonly EventResult[], isBatch: boolean): Buffer {
  const failure = results.find((it) => "error" in it);
  const events = results.map((it) => ("error" in it ? { error: describe(it.error) } : { id: it.id }));
  if (!isBatch && events[0] !== undefined) return encode(events[0]);
  return encode({ ...(failure && { error: describe(failure.error) }), events });
}

export const encodeError = (error: unknown): Buffer => encode({ error: describe(error) });

function describe(error: unknown): Json {
  const { code, message } = publishError(error);
  const stated = error instanceof M2pushError ? error.retryAfterMs : undefined;
  const retryAfterMs = stated ?? (TEMPORARY_CODES.has(code) ? DEFAULT_RETRY_AFTER_MS : undefined);
  return {
    code,
    message,
    ...(retryAfterMs !== undefined && { retry_after: Math.ceil(retryAfterMs) / MS_PER_SECOND }),
    ...(error instanceof InvalidEvents && { faults: error.faults }),
  };
}

const encode = (reply: Json): Buffer => Buffer.from(JSON.stringify(reply));

/** Reads a reply. Returns the ids; throws an error with the code of the reply if the message was rejected, "invalid" if it is no reply. */
export function decodeReply(bytes: Buffer): readonly string[] {
  const { id, events, error } = parseObject(bytes);
  if (isObject(error)) throw rejectionOf(error);
  const ids = Array.isArray(events) ? events.map((it: unknown) => (isObject(it) ? it.id : undefined)) : [id];
  if (ids.every((it) => typeof it === "string")) return ids;
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
