/**
 * The errors that m2push makes. One base class, one closed union of codes: a caller decides by `code`, a person reads
 * `message`, which always says what was expected. A programmer's mistake is a plain TypeError, never one of these.
 */

export type ErrorCode =
  /** Bytes from a peer that are not what the protocol says. */
  | "protocol.tnetstring"
  | "protocol.request"
  | "protocol.reply"
  | "protocol.control"
  | "protocol.zmtp"
  | "protocol.publication"
  /** A well-formed thing that is larger than its limit. */
  | "limit.exceeded"
  /** The configuration has one or more faults; the message lists all of them. */
  | "config.invalid"
  /** A socket could not be bound, connected or written. */
  | "link.failed"
  /** Stored data cannot be opened: corrupt, of a newer version, locked by another process, or not writable. */
  | "history.unusable"
  /** Stored data could not be written: the publication may be lost. */
  | "history.failed"
  /** A publisher or subscriber may not do this. */
  | "auth.denied"
  /** The daemon is stopping, or a part it needs is away; trying again later is right. */
  | "unavailable";

/** Base of every error that m2push throws on purpose. `cause` keeps what was caught, when something was. */
export class M2pushError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "M2pushError";
    this.code = code;
  }
}

/**
 * A peer (Mongrel2, a browser, a publisher) sent something that is not what the protocol says. Without a stack: none of our lines is
 * to blame, and it is most of what a refusal costs (5 of 6 us), which strangers can cause at will.
 */
export class ProtocolError extends M2pushError {
  constructor(
    code: Extract<ErrorCode, `protocol.${string}` | "limit.exceeded">,
    message: string,
    options?: { cause?: unknown },
  ) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(code, message, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = "ProtocolError";
  }
}

/** Of work that takes as long as there are clients only so much waits at a time: see util/sliced-work.ts. */
export const tooManyRequests = (): M2pushError =>
  new M2pushError("unavailable", "too many such requests at a time; fix: ask again a moment later");
