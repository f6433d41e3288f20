/**
 * Where a request has its token: the Authorization header, or else (0.x) the query parameter `authorization`, or else a
 * cookie. What comes first decides alone: a cookie does not repair a broken header. A browser sends a cookie of a name for each
 * path and domain that it was set for: all of them are shown, and each may be the good one.
 */
import type { Headers } from "../../protocol/request.js";
import { type Refusal, refusal } from "./refusal.js";

export type TokenSource = "header" | "query" | "cookie";

export type PresentedToken =
  /** Nobody in particular asks. */
  | { readonly kind: "none" }
  | { readonly kind: "tokens"; readonly tokens: readonly [string, ...string[]]; readonly carrier: TokenSource }
  /** There is something that should be a token, but does not come as one must. */
  | { readonly kind: "malformed"; readonly refusal: Refusal };

export const COOKIE = "__Secure-mercure_access_token";
const COOKIE_V0 = "mercureAuthorization";
const PARAMETER_V0 = "authorization";

/** Cookies of one request that are tried: each costs a check of its signature, whoever sent it. */
const MAX_COOKIES = 4;

const NONE: PresentedToken = { kind: "none" };
const malformed = (why: string): PresentedToken => ({ kind: "malformed", refusal: refusal("invalid_request", why) });

/**
 * Finds the token, unverified. `legacy`: look in the places of Mercure 0.x too. `query` is the request's, without "?"; only the
 * address counts, never a body. A token in a cookie is sent by the browser, whoever asked it to: see refuseCrossSite().
 */
export function findToken(request: { headers: Headers; query: string }, options: { legacy: boolean }): PresentedToken {
  const authorization = request.headers.get("authorization");
  const shown = authorization === undefined ? NONE : fromHeader(authorization);
  if (shown.kind !== "none") return shown;
  const hasQuery = options.legacy && request.query !== "";
  const parameters = hasQuery ? new URLSearchParams(request.query).getAll(PARAMETER_V0) : [];
  if (parameters.length > 0) return fromQuery(parameters);
  const cookies = request.headers.get("cookie");
  return cookies ? fromCookies(cookies, options.legacy ? [COOKIE, COOKIE_V0] : [COOKIE]) : NONE;
}

/**
 * `Bearer <token68>` (RFC 6750 section 2.1), the scheme in any case (RFC 9110 section 11.1), for both dialects. Another scheme
 * is no attempt to show a token (RFC 6750 section 3.1): Basic or Negotiate may be a proxy's own business with the browser, which
 * then shows its token elsewhere.
 */
function fromHeader(values: readonly string[]): PresentedToken {
  const [value = "", ...others] = values;
  if (others.length > 0) return malformed("more than one Authorization header");
  const [, scheme, rest = ""] = /^([\w!#$%&'*+.^`|~-]+)(?: +(.*))?$/.exec(value.trim()) ?? [];
  if (scheme === undefined) return malformed("an Authorization header without a scheme");
  if (scheme.toLowerCase() !== "bearer") return NONE;
  if (!/^[\w.~+/-]+=*$/.test(rest)) return malformed("no token, or more than a token, after Bearer");
  return { kind: "tokens", tokens: [rest], carrier: "header" };
}

function fromQuery(values: readonly string[]): PresentedToken {
  const [token = "", ...others] = values;
  if (token === "" || others.length > 0) return malformed("not one token in the query");
  return { kind: "tokens", tokens: [token], carrier: "query" };
}

/** The cookies of the first name, then those of the next, each in the order in which they came. An empty one is what a log-out leaves. */
function fromCookies(headers: readonly string[], names: readonly string[]): PresentedToken {
  const cookies = headers.flatMap((header) => header.split(";")).map(readCookie);
  const values = names.flatMap((wanted) => cookies.flatMap(({ name, value }) => (name === wanted ? [value] : [])));
  const [first, ...others] = new Set(values.filter((value) => value !== ""));
  if (first === undefined) return NONE;
  return { kind: "tokens", tokens: [first, ...others.slice(0, MAX_COOKIES - 1)], carrier: "cookie" };
}

/** Whether the address has a token, as Mercure 0.x allows. */
export function hasTokenInQuery(query: string): boolean {
  return query !== "" && new URLSearchParams(query).has(PARAMETER_V0);
}

/** RFC 6265 section 5.4; the value may stand in quotes (section 4.1.1). */
function readCookie(pair: string): { name: string; value: string } {
  const equals = pair.indexOf("=");
  const value = pair.slice(equals + 1).trim();
  return { name: equals < 0 ? "" : pair.slice(0, equals).trim(), value: value.replace(/^"(.*)"$/, "$1") };
}
