/**
 * Which origins may read responses (Fetch Standard, CORS protocol): an allow-list; the Origin of a request is never reflected unless it is
 * on it. "*" permits everyone to read public events; credentials (cookies) are for named origins only.
 */
import { type HttpRequest, header } from "../protocol/request.js";

export type CorsHeaders = Readonly<Record<string, string>>;

/** Response headers that fetch() clients may read. */
const EXPOSED =
  "Link, Last-Event-ID, Mercure-Last-Event-ID, M2push-Stream, ETag, Retry-After, Accept-Post, Accept-Patch";
/** Request headers that fetch() clients may send. */
const ALLOWED = [
  ...["Authorization", "Cache-Control", "Content-Type", "Last-Event-ID", "X-Requested-With"],
  ...["Idempotency-Key", "If-Match", "If-None-Match", "traceparent"],
];
/** An attribute of a CloudEvent in binary mode. Extensions have names of their own, so those that are requested are allowed. */
const CLOUD_EVENT_HEADER = /^ce-[a-z0-9]{1,20}$/;
/** Such names in one preflight response. */
const MAX_CLOUD_EVENT_HEADER_COUNT = 50;
/** How long a browser caches a preflight. */
const PREFLIGHT_MAX_AGE_SECONDS = 7200;

/** For responses that no other origin may read. */
export const NO_CORS: CorsHeaders = {};

/** The headers that let the origin of the request read the response; none for an origin that is not allowed. */
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

/** The headers of a preflight response. Without them a fetch() client of another origin cannot send Last-Event-ID. */
export function preflightHeaders(request: HttpRequest, allowed: readonly string[], methods: string): CorsHeaders {
  const headers = corsHeaders(request, allowed);
  if (headers["Access-Control-Allow-Origin"] === undefined) return headers;
  const permitted = {
    "Access-Control-Allow-Methods": methods,
    "Access-Control-Allow-Headers": allowedHeaders(request),
  };
  return { ...headers, ...permitted, "Access-Control-Max-Age": `${PREFLIGHT_MAX_AGE_SECONDS}` };
}

function allowedHeaders(request: HttpRequest): string {
  const requested = (header(request, "access-control-request-headers") ?? "").toLowerCase().split(/[ \t]*,[ \t]*/);
  const attributes = requested.filter((name) => CLOUD_EVENT_HEADER.test(name)).slice(0, MAX_CLOUD_EVENT_HEADER_COUNT);
  return [...ALLOWED, ...new Set(attributes)].join(", ");
}
