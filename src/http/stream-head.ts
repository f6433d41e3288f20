/** The head of the response that is a stream. */
import { type HttpRequest, header } from "../protocol/request.js";
import { encodeComment, encodeRetry } from "../protocol/sse.js";
import { memoizeLast } from "../util/memoize-last.js";
import { encodeResponseHead } from "./response.js";

/**
 * No cache may store the stream, and no proxy may buffer it: X-Accel-Buffering is for nginx; a proxy that compresses (express `compression`,
 * used by development servers) collects events until its block is full, unless it reads no-transform.
 */
export const STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate, no-transform",
  Expires: "Thu, 01 Jan 1970 00:00:00 GMT",
  Pragma: "no-cache",
  "X-Accel-Buffering": "no",
};

/** RFC 6750 section 2.3: the response to a token in the address is private. */
export const PRIVATE_HEADERS = { "Cache-Control": `private, ${STREAM_HEADERS["Cache-Control"]}` };

const FIRST_COMMENT = encodeComment(" time stream");

/** The first bytes of a stream; the hub appends the event with the client's first position. */
export function encodeHead(retryMs: number, headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat([Buffer.from(encodeResponseHead(200, headers)), FIRST_COMMENT, encodeRetry(retryMs)]);
}

/** Makes the head with the common headers and some more, once for each second and reconnection time. */
export function commonHead(
  more: () => Readonly<Record<string, string>>,
): (date: string) => (retryMs: number) => Buffer {
  return memoizeLast((date: string) =>
    memoizeLast((retryMs: number) => encodeHead(retryMs, { Date: date, ...STREAM_HEADERS, ...more() })),
  );
}

/**
 * Browsers and client libraries accept text/event-stream, and have a User-Agent (fetch) or forbid cached responses (EventSource). Other
 * clients, such as curl or a program that reads the bytes itself, get no event of the hub: they may take every block with data for a
 * published event.
 */
export function asksForEvents(request: HttpRequest): boolean {
  const accept = header(request, "accept") ?? "";
  if (!accept.toLowerCase().includes("text/event-stream")) return false;
  return Boolean(header(request, "user-agent") || header(request, "cache-control"));
}
