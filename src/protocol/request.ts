/**
 * Messages from Mongrel2 (its PUSH to our PULL), each in one ZeroMQ part:
 *
 *   SENDER SP ID SP PATH SP <length>:<headers>, <length>:<body>,        all lengths count bytes
 *
 * What kind of message it is stands in the path and in Mongrel2's own headers, nowhere else. A client can choose its method,
 * its body and the lower-case headers: "JSON /x HTTP/1.1" with a disconnect notice for a body is a request like any other.
 */
import { ProtocolError } from "../errors.js";
import { decodeHeaders, type HeaderBlock, type Headers, type OwnHeaders } from "./headers.js";
import { LIMITS } from "./limits.js";
import { isSender } from "./reply.js";
import { COMMA, netstringAt } from "./tnetstring.js";

export type { Headers } from "./headers.js";

/** Which connection a message is about. */
interface Connection {
  /** The Handler's send_ident. */
  readonly sender: string;
  /** Counted from 1 since Mongrel2 started; 0..2147483647. */
  readonly id: number;
}

export interface HttpRequest extends Connection {
  readonly kind: "http";
  /** As the client sent it, undecoded, without the query: Mongrel2 neither resolves dots nor joins slashes. */
  readonly path: string;
  /** 1 to 20 of [A-Z0-9], chosen by the client. */
  readonly method: string;
  /** "HTTP/1.0" or "HTTP/1.1". */
  readonly version: string;
  /** Path and query. */
  readonly uri: string;
  /** "" when absent. */
  readonly query: string;
  /** "http" or "https": whether Mongrel2 itself spoke TLS. */
  readonly scheme: string;
  /** The peer's address as Mongrel2 sees it; "" when it did not say. */
  readonly remote: string;
  readonly headers: Headers;
  /** Shares the memory of the message. */
  readonly body: Buffer;
  /** With download.flow_control: how many bytes may be on their way to this connection. Only in its first request. */
  readonly credits: number | undefined;
  /** What the x-mongrel2-upload headers claim. The client can send them itself, so the files they name are not to be touched. */
  readonly upload: "start" | "done" | undefined;
}

/** "@name {...}" or "<name ...>" on a raw TCP connection. The body is whatever the client sent. */
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
  /** The connection is gone, or never was: also the answer to whatever is sent to an id that does not exist. */
  | ({ readonly kind: "disconnect" } & Connection)
  /** With download.flow_control: so many bytes were written to the client. */
  | ({ readonly kind: "credits"; readonly bytes: number } & Connection)
  | ({ readonly kind: "json-socket" } & SocketMessage)
  | ({ readonly kind: "xml-socket" } & SocketMessage)
  /** The body is the ready Sec-WebSocket-Accept value. */
  | WebSocketHandshake
  /** `flags` is the frame's first byte: FIN, RSV and opcode. */
  | ({ readonly kind: "websocket-frame"; readonly flags: number } & SocketMessage)
  /** With upload.stream: a part of a request's body. Those after the first have no method. */
  | ({
      readonly kind: "upload-piece";
      readonly offset: number;
      readonly done: boolean;
      readonly body: Buffer;
    } & Connection);

/**
 * A message that cannot be understood. Where the id is known the client can still be answered, and must be: else it hangs.
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
const MAX_ID = 2_147_483_647;
/** Of a notice, instead of a path: no client can ask for it. */
const NOTICE = "@*";

/** Disconnect notices as they are from the path on, with JSON and with tnetstring headers. */
const DISCONNECTS = [
  Buffer.from('@* 17:{"METHOD":"JSON"},21:{"type":"disconnect"},'),
  Buffer.from('@* 16:6:METHOD,4:JSON,}21:{"type":"disconnect"},'),
];
const DISCONNECT_BODY = Buffer.from('{"type":"disconnect"}');
const CREDITS_BODY = Buffer.from('{"type":"credits"}');

/** Throws RequestError, for whatever bytes. */
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

/** The first value of a client's header; `name` in lower case. Undefined when it is absent, "" when it is empty. */
export function header({ headers }: { readonly headers: Headers }, name: string): string | undefined {
  const value = headers.get(name)?.[0];
  return value === undefined ? undefined : trimmed(value);
}

/** The last value that is not empty; else as header(). */
export function lastHeader({ headers }: { readonly headers: Headers }, name: string): string | undefined {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  for (let at = values.length - 1; at >= 0; at--) {
    const value = trimmed(values[at] ?? "");
    if (value !== "") return value;
  }
  return "";
}

/** Without the white space around it, which is no part of a value (RFC 9110 section 5.5): spaces and TABs, nothing else. */
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
  if (id === undefined) throw new RequestError(`no connection id of 0 to ${MAX_ID}`, { sender });
  return { connection: { sender, id }, rest: second + 1 };
}

/** Decimal digits from `start` to `end`, or undefined. A negative id (Mongrel2 counts in 32 bits) can never be answered. */
function readId(message: Buffer, start: number, end: number): number | undefined {
  if (end <= start || end - start > 10) return undefined;
  let id = 0;
  for (let at = start; at < end; at++) {
    const digit = (message[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    id = id * 10 + digit;
  }
  return id <= MAX_ID ? id : undefined;
}

/** By its bytes: they come in storms, one for each dead id in each frame, and nothing in them varies. */
function isDisconnect(message: Buffer, rest: number): boolean {
  const length = message.length - rest;
  return DISCONNECTS.some((it) => it.length === length && it.compare(message, rest) === 0);
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
 * The kinds, most telling first. A real notice has no PATH header: one that has it is the message of a JSON socket, which a
 * route for "@" would let through.
 */
function distinguish(connection: Connection, path: string, { own, client }: HeaderBlock, body: Buffer): Inbound {
  const method = own.METHOD;
  const isHttp = own.VERSION !== undefined;
  if (path === NOTICE && own.PATH === undefined) return readNotice(connection, own, body);
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

/** A number of bytes; everything that Mongrel2 says is a string. */
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
