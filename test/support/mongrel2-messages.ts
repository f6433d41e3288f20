/**
 * The messages that Mongrel2 sends to a handler, built as it builds them (mongrel2.md 1.1 and 1.3; checked against messages
 * captured from a real one). Written apart from src/protocol, so that the two check each other.
 */

export type HeaderProtocol = "json" | "tnetstring";

/** What a browser asks for. */
export interface RequestOptions {
  readonly method?: string;
  /** Absent = "/esupdates". */
  readonly path?: string;
  /** Without "?"; absent = the request had none. */
  readonly query?: string;
  readonly version?: string;
  readonly scheme?: "http" | "https";
  readonly remote?: string;
  /** Of the client; names in lower case. An array is a header that came more than once. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Buffer | string;
  /** More header entries as Mongrel2 makes them, such as UPLOAD_STREAM; one that is undefined takes a usual one away. */
  readonly extra?: Readonly<Record<string, string | undefined>>;
}

type HeaderEntries = readonly (readonly [name: string, value: string | readonly string[]])[];

export function requestMessage(
  protocol: HeaderProtocol,
  sender: string,
  id: number,
  options: RequestOptions = {},
): Buffer {
  const { path = "/esupdates", body = "" } = options;
  return message(protocol, sender, id, path, requestHeaders(path, options), Buffer.from(body));
}

export function disconnectNotice(protocol: HeaderProtocol, sender: string, id: number): Buffer {
  return message(protocol, sender, id, "@*", [["METHOD", "JSON"]], Buffer.from('{"type":"disconnect"}'));
}

/** `bytes`: how many were just written to the client. */
export function creditsNotice(protocol: HeaderProtocol, sender: string, id: number, bytes: number): Buffer {
  const credits = ["DOWNLOAD_CREDITS", String(bytes)] as const;
  const method = ["METHOD", "JSON"] as const;
  const headers = protocol === "json" ? [method, credits] : [credits, method];
  return message(protocol, sender, id, "@*", headers, Buffer.from('{"type":"credits"}'));
}

function requestHeaders(path: string, options: RequestOptions): HeaderEntries {
  const {
    method = "GET",
    query,
    version = "HTTP/1.1",
    scheme = "http",
    remote = "127.0.0.1",
    headers = {},
    extra = {},
  } = options;
  const entries: Record<string, string | readonly string[] | undefined> = {
    PATH: path,
    "x-forwarded-for": remote,
    host: "localhost",
    ...headers,
    METHOD: method,
    VERSION: version,
    URI: query === undefined ? path : `${path}?${query}`,
    QUERY: query,
    PATTERN: path,
    URL_SCHEME: scheme,
    REMOTE_ADDR: remote,
    ...extra,
  };
  return Object.entries(entries).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function message(
  protocol: HeaderProtocol,
  sender: string,
  id: number,
  path: string,
  headers: HeaderEntries,
  body: Buffer,
): Buffer {
  const block = protocol === "json" ? net(jsonHeaders(headers), ",") : net(tnetHeaders(headers), "}");
  // A signed 32-bit number, whatever the handler asked for.
  return Buffer.concat([Buffer.from(`${sender} ${id | 0} ${path} `), block, net(body, ",")]);
}

/** Only the quote and the backslash are escaped: a tab goes out as it came in, as Mongrel2 does it. */
function jsonHeaders(headers: HeaderEntries): Buffer {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const value = (it: string | readonly string[]) =>
    typeof it === "string" ? quoted(it) : `[${it.map(quoted).join(",")}]`;
  return Buffer.from(`{${headers.map(([name, it]) => `"${name}":${value(it)}`).join(",")}}`);
}

function tnetHeaders(headers: HeaderEntries): Buffer {
  const text = (it: string) => net(Buffer.from(it), ",");
  const value = (it: string | readonly string[]) =>
    typeof it === "string" ? text(it) : net(Buffer.concat(it.map(text)), "]");
  return Buffer.concat(headers.flatMap(([name, it]) => [text(name), value(it)]));
}

function net(bytes: Buffer, type: string): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(type)]);
}
