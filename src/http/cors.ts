/**
 * Who may read from another origin (Fetch Standard, CORS protocol): an allow-list, never a reflection of whatever came. "*"
 * lets everybody read what is public; credentials (cookies) are for origins that are named.
 */
import { type HttpRequest, header } from "../protocol/request.js";

export type CorsHeaders = Readonly<Record<string, string>>;

/** What fetch() clients may see besides the body: links, and where a replay began. */
const EXPOSED = "Link, Last-Event-ID, Mercure-Last-Event-ID";
/** What fetch() clients may send. */
const ALLOWED = "Authorization, Cache-Control, Content-Type, Last-Event-ID, X-Requested-With";
/** How long a browser remembers a preflight, seconds. */
const MAX_AGE = "7200";

/** Where no other origin may read anything. */
export const NO_CORS: CorsHeaders = {};

/** The headers that let the request's origin read the answer; none for an origin that is not allowed. */
export function corsHeaders(request: HttpRequest, allowed: readonly string[]): CorsHeaders {
  if (allowed.length === 0) return NO_CORS;
  const origin = header(request, "origin");
  const vary = { Vary: "Origin" };
  if (origin !== undefined && origin !== "null" && allowed.includes(origin)) {
    const named = { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true" };
    return { ...vary, ...named, "Access-Control-Expose-Headers": EXPOSED };
  }
  if (origin !== undefined && allowed.includes("*")) {
    return { ...vary, "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED };
  }
  return vary;
}

/** The answer to a preflight, beyond that. */
export function preflightHeaders(request: HttpRequest, allowed: readonly string[], methods: string): CorsHeaders {
  const headers = corsHeaders(request, allowed);
  if (headers["Access-Control-Allow-Origin"] === undefined) return headers;
  const also = { "Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": ALLOWED };
  return { ...headers, ...also, "Access-Control-Max-Age": MAX_AGE };
}
