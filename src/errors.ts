/**
 * The errors that m2push makes: one base class and one closed list of codes. A program decides by `code`; `message` says what
 * happened, what was expected and, where the reader can act, `fix: ...`. A programmer's mistake is a TypeError and has no code.
 *
 * The codes are public: replies to publishers, metric labels, the log's field `code` and the documentation use them
 * (docs/decisions/0004-error-codes.md). Codes may be added, never renamed.
 */

/** Codes that a client or publisher may receive. */
export type ReplyCode =
  /** Bytes or values that the protocol or the documentation does not allow. */
  | "invalid"
  /** No token, or none that is valid. */
  | "unauthenticated"
  /** A valid token, but not for this; or something that is reserved for the hub. */
  | "forbidden"
  /** No such resource. */
  | "not_found"
  /** The resource does not have this method. */
  | "method_not_allowed"
  /** The condition of the request does not hold (`If-Match`, `If-None-Match`). */
  | "conflict"
  /** Well-formed, and larger or more than a limit allows. */
  | "too_large"
  /** A content type or content coding that is not supported. */
  | "unsupported_type"
  /** An idempotency key that was used for something else. */
  | "key_reused"
  /** The sender is over its rate or quota. */
  | "rate_limited"
  /** A feature that is not supported, or not in this configuration. */
  | "unsupported"
  /** A defect of m2push. */
  | "internal"
  /** The daemon is stopping, overloaded, or has lost a service that it needs. Whether the event was stored may be unknown. */
  | "unavailable"
  /** The event could not be stored; it was sent to no client. */
  | "storage_failed";

export type ErrorCode =
  | ReplyCode
  /** The configuration has errors; the message lists all of them. */
  | "config_invalid"
  /** A socket could not be bound, connected or written. */
  | "link_failed"
  /** Stored data cannot be opened: corrupt, of a newer version, locked by another process, or not writable. */
  | "storage_unusable";

export interface ErrorOptions {
  /** What was caught. */
  readonly cause?: unknown;
  /** When to try again, milliseconds from now; absent = not stated. */
  readonly retryAfterMs?: number;
}

/** Base of every error that m2push throws on purpose. */
export class M2pushError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, { cause, retryAfterMs }: ErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "M2pushError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A peer (Mongrel2, a browser, a publisher) sent something that is not accepted. It has no stack: no line of m2push is at fault, and
 * the stack is most of what a rejection costs (5 of 6 us), which any client can cause.
 */
export class ProtocolError extends M2pushError {
  declare readonly code: ReplyCode;

  constructor(code: ReplyCode, message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(code, message, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = "ProtocolError";
  }
}

/** When to try again after a temporary error that does not state it. */
export const DEFAULT_RETRY_AFTER_MS = 1000;

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Work that grows with the number of clients has a bounded queue (util/sliced-work.ts); this is its rejection. */
export const tooManyRequests = (): M2pushError =>
  new M2pushError("unavailable", "too many such requests at a time; fix: try again later");
