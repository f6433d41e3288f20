/** Why a token is refused. The client learns the code, the log learns the reason; neither contains the token. */
import { ProtocolError } from "../../errors.js";
import { quote } from "../../util/escape.js";

export interface TokenRefusal {
  readonly ok: false;
  /**
   * The `error` of the WWW-Authenticate challenge (RFC 6750 section 3.1): "invalid_request" for a token that is presented in a wrong
   * way (400), "invalid_token" for every fault of the token itself (401).
   */
  readonly code: "invalid_request" | "invalid_token";
  /** For the log only: a client that learns which check failed learns how to pass it. */
  readonly reason: string;
}

export function refuseToken(code: TokenRefusal["code"], reason: string): TokenRefusal {
  return { ok: false, code, reason };
}

export const TOKEN_REVOKED = refuseToken("invalid_token", "the token was revoked");

/** Thrown by the checks of this folder; Verifier converts it into a TokenRefusal. */
export function tokenError(reason: string, cause?: unknown): ProtocolError {
  return new ProtocolError("unauthenticated", reason, { cause });
}

/** Characters of a foreign value that a reason may contain. */
const MAX_SHOWN_CHARACTERS = 80;

/** A foreign value, safe to log: one line, of bounded length. */
export function displayValue(value: unknown): string {
  const text = typeof value === "string" ? quote(value) : value === null ? "null" : typeof value;
  return text.length <= MAX_SHOWN_CHARACTERS ? text : `${text.slice(0, MAX_SHOWN_CHARACTERS)}...`;
}
