/**
 * HTTP answers as bytes. Mongrel2 adds nothing, strips nothing and closes nothing by itself: status line, headers, the empty
 * body of a HEAD and the end of the connection are all ours (RFC 9110, RFC 9112).
 */

export interface Response {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text, or its bytes where it is large; absent = the status in words. */
  readonly body?: string | Buffer;
  /** The connection may be used for another request. */
  readonly persists?: true;
  /** What only the log is told. */
  readonly why?: string;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  411: "Length Required",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

const TEXT = { "Content-Type": "text/plain; charset=utf-8" };

/** The head of a response: status line, headers, empty line. No value may hold CR or LF: a TypeError. */
export function encodeResponseHead(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => {
    if (/[\r\n\0]/.test(value)) throw new TypeError(`header ${name} would be more than one line`);
    return `${name}: ${value}\r\n`;
  });
  return `HTTP/1.1 ${status} ${REASONS[status] ?? "Unknown"}\r\n${lines.join("")}\r\n`;
}

/** A whole response; to a HEAD, without the body that a GET would have. Unless it persists, the connection is closed after it. */
export function encodeResponse(answer: Response, { persists, isHead }: { persists: boolean; isHead: boolean }): Buffer {
  const { status, body = `${REASONS[status] ?? status}\n` } = answer;
  const isEmpty = status === 204 || status === 304;
  const headers: Record<string, string> = { ...(!isEmpty && TEXT), ...answer.headers };
  // A HEAD of a stream: what a GET would have has no length.
  const hasLength = !isEmpty && (!isHead || answer.body !== undefined);
  if (hasLength) headers["Content-Length"] = `${Buffer.byteLength(body)}`;
  if (!persists) headers.Connection = "close";
  const first = encodeResponseHead(status, headers);
  if (isHead || isEmpty) return Buffer.from(first);
  return typeof body === "string" ? Buffer.from(first + body) : Buffer.concat([Buffer.from(first), body]);
}
