/** How a token is turned down: what the client is told, which is little, and what the log is told. Neither holds the token. */
import { M2pushError } from "../../errors.js";
import { quote } from "../../util/escape.js";

/**
 * `code` is the `error` of the WWW-Authenticate challenge (RFC 6750 section 3.1): "invalid_request" when the token did not
 * come as a token must (400), "invalid_token" for everything that is wrong with the token itself (401). `why` is for the log
 * alone: a client that learns which check failed learns how to get past it.
 */
export interface Refusal {
  readonly ok: false;
  readonly code: "invalid_request" | "invalid_token";
  readonly why: string;
}

export function refusal(code: Refusal["code"], why: string): Refusal {
  return { ok: false, code, why };
}

/** What the checks inside this folder throw; the verifier makes a Refusal of it. */
export function tokenError(why: string, cause?: unknown): M2pushError {
  return new M2pushError("unauthenticated", why, { cause });
}

/** The most characters of somebody else's text in a `why`. */
const SHOWN = 80;

/** Somebody else's value, fit to be logged: one line, and not a long one. */
export function displayValue(value: unknown): string {
  const text = typeof value === "string" ? quote(value) : value === null ? "null" : typeof value;
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}...`;
}
