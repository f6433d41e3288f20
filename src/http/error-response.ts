/** The one place that maps errors to HTTP responses: docs/decisions/0004-error-codes.md. */
import { DEFAULT_RETRY_AFTER_MS, M2pushError, messageOf, ProtocolError, type ReplyCode } from "../errors.js";
import { describeFault, InvalidEvents } from "../protocol/event-fault.js";
import { publishError } from "../protocol/publish-error.js";
import { ConditionFailed } from "../publishing/publish-condition.js";
import { entityTag } from "./condition-headers.js";
import type { Response } from "./response.js";

const STATUS_CODES: Readonly<Record<ReplyCode, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 412,
  too_large: 413,
  unsupported_type: 415,
  key_reused: 422,
  rate_limited: 429,
  internal: 500,
  unsupported: 501,
  unavailable: 503,
  storage_failed: 503,
};

/** Every code that a response can have. */
export const REPLY_CODES = Object.keys(STATUS_CODES) as readonly ReplyCode[];

const MS_PER_SECOND = 1000;

/** A response that rejects a request. `status`: where a standard asks for another one than that of the code. */
export function rejection(
  code: ReplyCode,
  { status = STATUS_CODES[code], ...rest }: Partial<Omit<Response, "code">> = {},
): Response {
  return { status, code, ...rest };
}

/** The header that tells a client when to try again; rounded up to seconds. */
export function retryAfter(milliseconds: number): { readonly "Retry-After": string } {
  return { "Retry-After": `${Math.ceil(milliseconds / MS_PER_SECOND)}` };
}

/** The fault of a request is told to its client. Of other errors the client learns only whether to try again. */
export function errorResponse(error: unknown): Response {
  const reason = messageOf(error);
  if (error instanceof InvalidEvents) return rejection(error.code, { ...faultsBody(error), reason });
  if (error instanceof ConditionFailed) return conflictResponse(error);
  if (error instanceof ProtocolError) {
    const headers = error.retryAfterMs === undefined ? {} : { headers: retryAfter(error.retryAfterMs) };
    return rejection(error.code, { body: `${reason}\n`, reason, ...headers });
  }
  if (!(error instanceof M2pushError) || !isTemporary(error.code)) return rejection("internal", { reason });
  const headers = retryAfter(error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS);
  return rejection(error.code, { headers, reason });
}

/** The response to a request that publishes: what is not the publisher's fault has the text that replies over ZeroMQ have. */
export function publishErrorResponse(error: unknown): Response {
  const response = errorResponse(error);
  return response.body === undefined ? { ...response, body: `${publishError(error).message}\n` } : response;
}

/** One line for each fault. */
function faultsBody({ faults }: InvalidEvents): Pick<Response, "body" | "faults"> {
  return { body: faults.map((fault) => `${describeFault(fault)}\n`).join(""), faults };
}

function conflictResponse({ code, message, currentId }: ConditionFailed): Response {
  const headers = currentId === undefined ? {} : { ETag: entityTag(currentId) };
  return rejection(code, { body: `${message}\n`, headers, reason: message });
}

function isTemporary(code: string): code is "unavailable" | "storage_failed" {
  return code === "unavailable" || code === "storage_failed";
}
