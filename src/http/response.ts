/**
 * HTTP responses as bytes. Mongrel2 adds, removes and closes nothing by itself: status line, headers, the empty body of a HEAD response and
 * the end of the connection are the handler's task (RFC 9110, RFC 9112).
 */
import type { ReplyCode } from "../errors.js";
import type { EventFault } from "../protocol/event-fault.js";

export interface Response {
  readonly status: number;
  /** Of an error. */
  readonly code?: ReplyCode;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text, or bytes where it is large; absent = the reason phrase. */
  readonly body?: string | Buffer;
  /** Every fault of the events of a request. */
  readonly faults?: readonly EventFault[];
  /** The connection may be used for another request. */
  readonly persists?: true;
  /** Why a request was rejected, for the log only. */
  readonly reason?: string;
}

export const REASON_PHRASES: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

const TEXT_HEADERS = { "Content-Type": "text/plain; charset=utf-8" };

/** The head of a response: status line, headers, empty line. A value that contains CR, LF or NUL is a TypeError. */
export function encodeResponseHead(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => {
    if (/[\r\n\0]/.test(value)) throw new TypeError(`header ${name} would be more than one line`);
    return `${name}: ${value}\r\n`;
  });
  return `HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? "Unknown"}\r\n${lines.join("")}\r\n`;
}

/** A whole response; to a HEAD request, without the body. The connection is closed after it unless it persists. */
export function encodeResponse(
  response: Response,
  { persists, isHead }: { persists: boolean; isHead: boolean },
): Buffer {
  const { status, body = `${REASON_PHRASES[status] ?? status}\n` } = response;
  const isEmpty = status === 204 || status === 304;
  const headers: Record<string, string> = { ...(!isEmpty && TEXT_HEADERS), ...response.headers };
  // A HEAD of a stream has no length, as the GET has none.
  const hasLength = !isEmpty && (!isHead || response.body !== undefined);
  if (hasLength) headers["Content-Length"] = `${Buffer.byteLength(body)}`;
  if (!persists) headers.Connection = "close";
  const head = encodeResponseHead(status, headers);
  if (isHead || isEmpty) return Buffer.from(head);
  return typeof body === "string" ? Buffer.from(head + body) : Buffer.concat([Buffer.from(head), body]);
}
