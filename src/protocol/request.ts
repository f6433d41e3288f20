/**
 * Codec of messages from Mongrel2 (from its PUSH socket to the daemon's PULL socket), each in one ZeroMQ part:
 *
 *   SENDER SP ID SP PATH SP <length>:<headers>, <length>:<body>,        all lengths count bytes
 *
 * Only the path and Mongrel2's own headers determine the kind of a message. A client chooses its method, its body and the
 * lower-case headers: "JSON /x HTTP/1.1" with the body of a disconnect notice is an ordinary request.
 */
import { ProtocolError } from "../errors.js";
import { decodeHeaders, type HeaderBlock, type Headers, type OwnHeaders } from "./headers.js";
import { LIMITS } from "./limits.js";
import { isSender } from "./reply.js";
import { COMMA, netstringAt } from "./tnetstring.js";

export type { Headers } from "./headers.js";

/** The connection of a message. */
interface Connection {
  /** The Handler's send_ident. */
  readonly sender: string;
  /** Counted from 1 since Mongrel2 started; 0..2147483647. */
  readonly id: number;
}

export interface HttpRequest extends Connection {
  readonly kind: "http";
  /** As the client sent it, not decoded, without the query: Mongrel2 neither resolves dots nor merges slashes. */
  readonly path: string;
  /** 1 to 20 characters of [A-Z0-9], chosen by the client. */
  readonly method: string;
  /** "HTTP/1.0" or "HTTP/1.1". */
  readonly version: string;
  /** Path and query. */
  readonly uri: string;
  /** "" when absent. */
  readonly query: string;
  /** "https" if Mongrel2 itself terminated TLS, else "http". */
  readonly scheme: string;
  /** Address of the peer as Mongrel2 sees it; "" = not sent. */
  readonly remote: string;
  readonly headers: Headers;
  /** Shares the memory of the message. */
  readonly body: Buffer;
  /** With download.flow_control: maximum number of bytes in flight to this connection. Only its first request has it. */
  readonly credits: number | undefined;
  /** Value of the x-mongrel2-upload headers. A client can forge them, so the files that they name must not be accessed. */
  readonly upload: "start" | "done" | undefined;
}

/** "@name {...}" or "<name ...>" on a raw TCP connection. The body is unchecked text of the client. */
interface SocketMessage extends Connection {
  readonly path: string;
  readonly body: Buffer;
}

interface WebSocketHandshake extends SocketMessage {
  readonly kind: "websocket-handshake";
  readonly headers: Headers;
}

export type Inbound =
  | HttpRequest
  /** The connection is closed or has never existed: Mongrel2 also sends it in response to a reply with an unknown id. */
  | ({ readonly kind: "disconnect" } & Connection)
  /** With download.flow_control: Mongrel2 has written `bytes` bytes to the client. */
  | ({ readonly kind: "credits"; readonly bytes: number } & Connection)
  | ({ readonly kind: "json-socket" } & SocketMessage)
  | ({ readonly kind: "xml-socket" } & SocketMessage)
  /** The body is the value of Sec-WebSocket-Accept. */
  | WebSocketHandshake
  /** `flags` is the frame's first byte: FIN, RSV and opcode. */
  | ({ readonly kind: "websocket-frame"; readonly flags: number } & SocketMessage)
  /** With upload.stream: a part of a request's body. Parts after the first have no method. */
  | ({
      readonly kind: "upload-piece";
      readonly offset: number;
      readonly done: boolean;
      readonly body: Buffer;
    } & Connection);

/**
 * A message is malformed. If the id is known, the daemon must send an error response: otherwise the client waits forever.
 */
export class RequestError extends ProtocolError {
  readonly sender: string | undefined;
  readonly id: number | undefined;

  constructor(what: string, where: Partial<Connection>, options?: { cause?: unknown }) {
    super("invalid", `not a request: ${what}`, options);
    this.name = "RequestError";
    this.sender = where.sender;
    this.id = where.id;
  }
}

const SPACE = 0x20;
const MAX_CONNECTION_ID = 2_147_483_647;
/** A notice has it in place of a path; no client can request it. */
const NOTICE_PATH = "@*";

/** Disconnect notices from the path to the end, with JSON and with tnetstring headers. */
const DISCONNECT_NOTICES = [
  Buffer.from('@* 17:{"METHOD":"JSON"},21:{"type":"disconnect"},'),
  Buffer.from('@* 16:6:METHOD,4:JSON,}21:{"type":"disconnect"},'),
];
const DISCONNECT_BODY = Buffer.from('{"type":"disconnect"}');
const CREDITS_BODY = Buffer.from('{"type":"credits"}');

/** Throws RequestError, and no other error, for any malformed message. */
export function parseRequest(message: Buffer): Inbound {
  const { connection, rest } = readConnection(message);
  if (isDisconnect(message, rest)) return { kind: "disconnect", ...connection };
  try {
    return readMessage(message, rest, connection);
  } catch (error) {
    if (error instanceof RequestError || !(error instanceof ProtocolError)) throw error;
    throw new RequestError(error.message, connection, { cause: error });
  }
}

/** Returns the first value of a client header; `name` in lower case. Undefined if it is absent, "" if it is empty. */
export function header({ headers }: { readonly headers: Headers }, name: string): string | undefined {
  const value = headers.get(name)?.[0];
  return value === undefined ? undefined : trimmed(value);
}

/** Returns the last value that is not empty; undefined if the header is absent, "" if all values are empty. */
export function lastHeader({ headers }: { readonly headers: Headers }, name: string): string | undefined {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  for (let at = values.length - 1; at >= 0; at--) {
    const value = trimmed(values[at] ?? "");
    if (value !== "") return value;
  }
  return "";
}

/** Strips surrounding spaces and TABs, which are not part of a value (RFC 9110 section 5.5). */
function trimmed(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && isBlank(value, start)) start++;
  while (end > start && isBlank(value, end - 1)) end--;
  return end - start === value.length ? value : value.slice(start, end);
}

function isBlank(value: string, at: number): boolean {
  const code = value.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}

function readConnection(message: Buffer): { connection: Connection; rest: number } {
  const first = message.indexOf(SPACE);
  const sender = first < 0 || first > LIMITS.senderBytes ? "" : message.toString("latin1", 0, first);
  if (!isSender(sender)) throw new RequestError("no sender of letters, digits and '-' before the first space", {});
  const second = message.indexOf(SPACE, first + 1);
  const id = readId(message, first + 1, second);
  if (id === undefined) throw new RequestError(`no connection id of 0 to ${MAX_CONNECTION_ID}`, { sender });
  return { connection: { sender, id }, rest: second + 1 };
}

/** Reads decimal digits from `start` to `end`; else undefined. No reply can address a negative id, which Mongrel2's 32-bit counter may reach. */
function readId(message: Buffer, start: number, end: number): number | undefined {
  if (end <= start || end - start > 10) return undefined;
  let id = 0;
  for (let at = start; at < end; at++) {
    const digit = (message[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    id = id * 10 + digit;
  }
  return id <= MAX_CONNECTION_ID ? id : undefined;
}

/** Compares bytes because notices arrive in bursts, one per unknown id and frame, and their text is constant. */
function isDisconnect(message: Buffer, rest: number): boolean {
  const length = message.length - rest;
  return DISCONNECT_NOTICES.some((it) => it.length === length && it.compare(message, rest) === 0);
}

function readMessage(message: Buffer, start: number, connection: Connection): Inbound {
  const space = message.indexOf(SPACE, start);
  if (space <= start) throw new RequestError("no path", connection);
  const path = message.toString("utf8", start, space);
  const block = netstringAt(message, space + 1, LIMITS.headerBytes);
  const headers = decodeHeaders(message, block);
  const content = netstringAt(message, block.next, Number.POSITIVE_INFINITY);
  if (content.type !== COMMA) throw new RequestError("the body is no netstring", connection);
  if (content.next !== message.length) throw new RequestError("bytes after the body", connection);
  return distinguish(connection, path, headers, message.subarray(content.start, content.end));
}

/**
 * Checks the most specific kinds first. A notice has no PATH header: a message that has one is of a JSON socket, which a route for
 * "@" passes on.
 */
function distinguish(connection: Connection, path: string, { own, client }: HeaderBlock, body: Buffer): Inbound {
  const method = own.METHOD;
  const isHttp = own.VERSION !== undefined;
  if (path === NOTICE_PATH && own.PATH === undefined) return readNotice(connection, own, body);
  if (own.UPLOAD_STREAM !== undefined) return readPiece(connection, own, body);
  if (method === "JSON" && !isHttp && path.startsWith("@")) return { kind: "json-socket", ...connection, path, body };
  if (method === "XML" && !isHttp && path.startsWith("<")) return { kind: "xml-socket", ...connection, path, body };
  if (method === undefined || !isHttp)
    throw new RequestError("neither METHOD and VERSION nor a message of another kind", connection);
  if (method === "WEBSOCKET_HANDSHAKE")
    return { kind: "websocket-handshake", ...connection, path, headers: client, body };
  if (method === "WEBSOCKET" && own.FLAGS !== undefined) {
    return { kind: "websocket-frame", ...connection, path, flags: readFlags(connection, own), body };
  }
  return readHttp(connection, path, { own, client }, body);
}

function readNotice(connection: Connection, own: OwnHeaders, body: Buffer): Inbound {
  if (own.METHOD === "JSON") {
    if (body.equals(DISCONNECT_BODY)) return { kind: "disconnect", ...connection };
    if (body.equals(CREDITS_BODY))
      return { kind: "credits", ...connection, bytes: readCount(connection, own, "DOWNLOAD_CREDITS") };
  }
  throw new RequestError("a notice of no known type", connection);
}

function readPiece(connection: Connection, own: OwnHeaders, body: Buffer): Inbound {
  const offset = readCount(connection, own, "UPLOAD_STREAM");
  return { kind: "upload-piece", ...connection, offset, done: own.UPLOAD_STREAM_DONE !== undefined, body };
}

function readHttp({ sender, id }: Connection, path: string, { own, client }: HeaderBlock, body: Buffer): HttpRequest {
  return {
    kind: "http",
    sender,
    id,
    path,
    method: own.METHOD ?? "",
    version: own.VERSION ?? "",
    uri: own.URI ?? path,
    query: own.QUERY ?? "",
    scheme: own.URL_SCHEME ?? "http",
    remote: own.REMOTE_ADDR ?? "",
    headers: client,
    body,
    credits: own.DOWNLOAD_CREDITS !== undefined ? readCount({ sender, id }, own, "DOWNLOAD_CREDITS") : undefined,
    upload: claimedUpload(client),
  };
}

function claimedUpload(client: Headers): HttpRequest["upload"] {
  if (client.has("x-mongrel2-upload-done")) return "done";
  return client.has("x-mongrel2-upload-start") ? "start" : undefined;
}

/** Parses a number of bytes: Mongrel2 sends all header values as strings. */
function readCount(connection: Connection, own: OwnHeaders, name: keyof OwnHeaders): number {
  const digits = own[name];
  if (digits === undefined || !/^[0-9]{1,15}$/.test(digits)) throw new RequestError(`${name} is no number`, connection);
  return Number(digits);
}

function readFlags(connection: Connection, own: OwnHeaders): number {
  const flags = own.FLAGS ?? "";
  if (!/^0x[0-9a-fA-F]{1,2}$/.test(flags)) throw new RequestError("FLAGS is no byte", connection);
  return Number(flags);
}
