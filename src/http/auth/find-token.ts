/**
 * Finds the token of a request: in the Authorization header, else (Mercure 0.x) in the query parameter `authorization`, else in a
 * cookie. The first place that has one decides alone: a cookie does not repair a malformed header. A browser sends one cookie for each
 * path and domain that a name was set for, so that several cookies of one name are candidates.
 */
import type { Headers } from "../../protocol/request.js";
import { refuseToken, type TokenRefusal } from "./token-refusal.js";

export type TokenSource = "header" | "query" | "cookie";

export type PresentedToken =
  | { readonly kind: "none" }
  | { readonly kind: "tokens"; readonly tokens: readonly [string, ...string[]]; readonly source: TokenSource }
  /** There is a token, in a form that no rule allows. */
  | { readonly kind: "malformed"; readonly refusal: TokenRefusal };

export const ACCESS_TOKEN_COOKIE = "__Secure-mercure_access_token";
const COOKIE_V0 = "mercureAuthorization";
const PARAMETER_V0 = "authorization";

/** Cookies of one request that are verified: a client chooses their number, and each costs a signature check. */
const MAX_COOKIE_COUNT = 4;

const NONE: PresentedToken = { kind: "none" };
const malformed = (reason: string): PresentedToken => ({
  kind: "malformed",
  refusal: refuseToken("invalid_request", reason),
});

/**
 * Finds the token and does not verify it. `acceptsV0`: search the places of Mercure 0.x, too. `query` is that of the request, without
 * "?"; a body is never searched. A browser attaches cookies to requests of any page: see refuseCrossSite().
 */
export function findToken(
  request: { headers: Headers; query: string },
  { acceptsV0 }: { acceptsV0: boolean },
): PresentedToken {
  const authorization = request.headers.get("authorization");
  const presented = authorization === undefined ? NONE : fromHeader(authorization);
  if (presented.kind !== "none") return presented;
  const hasQuery = acceptsV0 && request.query !== "";
  const parameters = hasQuery ? new URLSearchParams(request.query).getAll(PARAMETER_V0) : [];
  if (parameters.length > 0) return fromQuery(parameters);
  const cookies = request.headers.get("cookie");
  return cookies ? fromCookies(cookies, acceptsV0 ? [ACCESS_TOKEN_COOKIE, COOKIE_V0] : [ACCESS_TOKEN_COOKIE]) : NONE;
}

/**
 * `Bearer <token68>` (RFC 6750 section 2.1), the scheme in any case (RFC 9110 section 11.1), in both dialects. Another scheme presents
 * no token (RFC 6750 section 3.1): Basic or Negotiate may belong to a proxy, and the client then presents its token elsewhere.
 */
function fromHeader(values: readonly string[]): PresentedToken {
  const [value = "", ...others] = values;
  if (others.length > 0) return malformed("more than one Authorization header");
  const [, scheme, rest = ""] = /^([\w!#$%&'*+.^`|~-]+)(?: +(.*))?$/.exec(value.trim()) ?? [];
  if (scheme === undefined) return malformed("an Authorization header without a scheme");
  if (scheme.toLowerCase() !== "bearer") return NONE;
  if (!/^[\w.~+/-]+=*$/.test(rest)) return malformed("no token, or more than a token, after Bearer");
  return { kind: "tokens", tokens: [rest], source: "header" };
}

function fromQuery(values: readonly string[]): PresentedToken {
  const [token = "", ...others] = values;
  if (token === "" || others.length > 0) return malformed("not exactly one token in the query");
  return { kind: "tokens", tokens: [token], source: "query" };
}

/** The cookies of the first name, then those of the next, each in their order. An empty cookie is the remains of a log-out. */
function fromCookies(headers: readonly string[], names: readonly string[]): PresentedToken {
  const cookies = headers.flatMap((header) => header.split(";")).map(readCookie);
  const values = names.flatMap((wanted) => cookies.flatMap(({ name, value }) => (name === wanted ? [value] : [])));
  const [first, ...others] = new Set(values.filter((value) => value !== ""));
  if (first === undefined) return NONE;
  return { kind: "tokens", tokens: [first, ...others.slice(0, MAX_COOKIE_COUNT - 1)], source: "cookie" };
}

/** Whether the address contains a token, as Mercure 0.x allows. */
export function hasTokenInQuery(query: string): boolean {
  return query !== "" && new URLSearchParams(query).has(PARAMETER_V0);
}

/** RFC 6265 section 5.4; the value may be in quotes (section 4.1.1). */
function readCookie(pair: string): { name: string; value: string } {
  const equals = pair.indexOf("=");
  const value = pair.slice(equals + 1).trim();
  return { name: equals < 0 ? "" : pair.slice(0, equals).trim(), value: value.replace(/^"(.*)"$/, "$1") };
}
