/**
 * HTTP answers as bytes. Mongrel2 adds nothing, strips nothing and closes nothing by itself: status line, headers, the empty
 * body of a HEAD and the end of the connection are all ours (RFC 9110, RFC 9112).
 */

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Plain text; absent = the status in words. */
  readonly body?: string;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  426: "Upgrade Required",
  503: "Service Unavailable",
};

const TEXT = { "Content-Type": "text/plain; charset=utf-8" };

/** The head of a response: status line, headers, empty line. */
export function head(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${REASONS[status] ?? "Unknown"}\r\n${lines.join("")}\r\n`;
}

/** A whole response after which the connection is closed. `bodiless`: the answer to a HEAD. */
export function response(answer: Answer, bodiless: boolean): Buffer {
  const { status, body = `${REASONS[status] ?? status}\n` } = answer;
  const headers: Record<string, string> = { ...(status !== 204 && TEXT), ...answer.headers, Connection: "close" };
  if (bodiless || status === 204) return Buffer.from(head(status, headers));
  headers["Content-Length"] = `${Buffer.byteLength(body)}`;
  return Buffer.from(head(status, headers) + body);
}
