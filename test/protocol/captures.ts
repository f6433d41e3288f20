/**
 * What every captured message says: the expectation for each file of test/fixtures/captures, by its name. Read with another
 * parser than ours from the bytes, and compared with what its README says that the client sent. A request is a GET of the
 * route by HTTP/1.1 from 127.0.0.1, with a Host and nothing else, but for what is told here.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HttpRequest, Inbound } from "../../src/protocol/request.js";

/** From build/test/protocol. */
export const CAPTURES = join(dirname(fileURLToPath(import.meta.url)), "../../../test/fixtures/captures");

export function capture(name: string): Buffer {
  return readFileSync(join(CAPTURES, `${name}.bin`));
}

/** Makes what a message should parse to from its Handler's ident and route. */
type Expectation = (sender: string, route: string) => Inbound;

/** A header set to undefined is one that the request did not have, of the two usual ones. */
type Told = Partial<Omit<HttpRequest, "headers" | "body">> & {
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: string | Buffer;
};

export function expectation(name: string): Inbound {
  const make = EXPECTED[name];
  if (!make) throw new Error(`no expectation for ${name}`);
  return name.startsWith("tnet-")
    ? make("tnet-sender", "/tnet")
    : make("2f62bd5-9e59-49cd-993c-3b6013c28f05", "/esupdates");
}

function http(id: number, { headers = {}, body = "", ...told }: Told = {}): Expectation {
  return (sender, route) => {
    const { path = route, query } = told;
    return {
      kind: "http",
      sender,
      id,
      path,
      method: "GET",
      version: "HTTP/1.1",
      uri: query === undefined ? path : `${path}?${query}`,
      query: "",
      scheme: "http",
      remote: "127.0.0.1",
      headers: clientHeaders(headers),
      body: Buffer.from(body),
      credits: undefined,
      upload: undefined,
      ...told,
    };
  };
}

function clientHeaders(told: NonNullable<Told["headers"]>): Map<string, readonly string[]> {
  const all = { host: "localhost", "x-forwarded-for": "127.0.0.1", ...told };
  return new Map(
    Object.entries(all).flatMap(([name, value]): [string, readonly string[]][] => {
      if (value === undefined) return [];
      return [[name, typeof value === "string" ? [value] : value]];
    }),
  );
}

function handshake(id: number, { headers = {}, body = "" }: Told): Expectation {
  return (sender, path) => {
    return { kind: "websocket-handshake", sender, id, path, headers: clientHeaders(headers), body: Buffer.from(body) };
  };
}

function wsFrame(id: number, flags: number, body: string | Buffer): Expectation {
  return (sender, path) => ({ kind: "websocket-frame", sender, id, path, flags, body: Buffer.from(body) });
}

function jsonSocket(id: number, path: string, body: string): Expectation {
  return (sender) => ({ kind: "json-socket", sender, id, path, body: Buffer.from(body) });
}

function xmlSocket(id: number, path: string, body: string): Expectation {
  return (sender) => ({ kind: "xml-socket", sender, id, path, body: Buffer.from(body) });
}

function piece(id: number, offset: number, done: boolean, length: number): Expectation {
  return (sender) => ({ kind: "upload-piece", sender, id, offset, done, body: Buffer.alloc(length, "u") });
}

function credits(id: number, bytes: number): Expectation {
  return (sender) => ({ kind: "credits", sender, id, bytes });
}

function disconnect(id: number): Expectation {
  return (sender) => ({ kind: "disconnect", sender, id });
}

/** Computed, because a literal __proto__ key sets the prototype. */
const PROTO = "__proto__";
const bytes = (list: readonly number[]) => Buffer.from(list);
const ALL_BYTES = bytes(Array.from({ length: 256 }, (_, byte) => byte));

const EXPECTED: Readonly<Record<string, Expectation>> = {
  "json-bighdr": http(41, { headers: { cookie: "c".repeat(3500) } }),
  "json-chunked-1": http(47, {
    method: "POST",
    headers: { "transfer-encoding": "chunked", "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads------/up.MzTAic" },
    upload: "start",
  }),
  "json-chunked-2": http(47, {
    method: "POST",
    headers: {
      "x-mongrel2-upload-done": "/var/lib/mongrel2/uploads------/up.MzTAic",
      "transfer-encoding": "chunked",
      "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads------/up.MzTAic",
    },
    upload: "done",
  }),
  "json-cl-neg": http(26, { method: "POST", headers: { "content-length": "-1" } }),
  "json-conn-close": http(16, { headers: { connection: "close" } }),
  "json-credits": credits(2, 86),
  "json-ctl01": http(19, { headers: { "x-d": "a\u0001b" } }),
  "json-ctl08": http(20, { headers: { "x-d": "a\u0008b" } }),
  "json-ctl0c": http(22, { headers: { "x-d": "a\u000cb" } }),
  "json-ctl1b": http(23, { headers: { "x-d": "a\u001bb" } }),
  "json-disconnect": disconnect(2),
  "json-dotdot": http(19, { path: "/esupdates/../x" }),
  "json-emptyquery": http(40, { query: "" }),
  "json-emptyval": http(26, { headers: { "x-e": "", "x-e2": "" } }),
  "json-expect": http(45, { method: "POST", body: "abc", headers: { expect: "100-continue", "content-length": "3" } }),
  "json-get-flowcontrol": http(2, { credits: 102400 }),
  "json-get-http10": http(3, { version: "HTTP/1.0", headers: { host: undefined } }),
  "json-get-tls": http(1, { scheme: "https" }),
  "json-get-with-body": http(23, { body: "abc", headers: { "content-length": "3" } }),
  "json-get": http(2, {
    query: "ch=a%20b&x=1",
    headers: {
      "cache-control": "no-cache",
      accept: "text/event-stream",
      host: "localhost:17000",
      "last-event-id": "42",
    },
  }),
  "json-head": http(4, { method: "HEAD" }),
  "json-hostcase": http(13, { headers: { host: "LOCALHOST" } }),
  "json-hostother": http(14, { headers: { host: "evil.example" } }),
  "json-jsonsock-bad": jsonSocket(106, "@chat", "{not json}"),
  "json-jsonsock-chatstar": jsonSocket(109, "@chat*", '{"type":"disconnect"}'),
  "json-jsonsock-disc": jsonSocket(105, "@chat", '{"type":"disconnect"}'),
  "json-jsonsock": jsonSocket(104, "@chat", '{"type":"msg"}'),
  "json-latin1": http(14, { headers: { "x-l": "caf\u00e9 \u00ff\u00fe\u00c0\u0080" } }),
  "json-lf-only": http(27),
  "json-method-JSON": http(50, { method: "JSON", body: '{"type":"disconnect"}', headers: { "content-length": "21" } }),
  "json-name-lf": http(5, { headers: { "x\ny": "v" } }),
  "json-nohost11": http(15, { headers: { host: undefined } }),
  "json-options": http(5, { method: "OPTIONS", headers: { origin: "http://a.example" } }),
  "json-pathlong": http(35, { path: `/esupdates/${"a".repeat(2000)}` }),
  "json-pipelined-1": http(48, { path: "/esupdates/1" }),
  "json-post-binary": http(8, { method: "POST", body: ALL_BYTES, headers: { "content-length": "256" } }),
  "json-post-utf8": http(7, {
    method: "POST",
    body: bytes([104, 195, 169, 108, 195]),
    headers: { "content-length": "5" },
  }),
  "json-post": http(6, {
    method: "POST",
    body: "hello, wo\u0000d",
    headers: { "content-type": "text/plain", "content-length": "11" },
  }),
  "json-prefix": http(17, { path: "/esupdat" }),
  "json-proto": http(25, {
    headers: { constructor: "c", tostring: "t", method: "JSON", path: "/evil", [PROTO]: "polluted" },
  }),
  "json-querydblq": http(39, { query: "a=1?b=2" }),
  "json-repeated": http(10, { headers: { "x-r": ["one", 't"wo\\', "three"] } }),
  "json-suffix": http(18, { path: "/esupdatesxyz" }),
  "json-tab": http(12, { headers: { "x-t": "a\tb" } }),
  "json-te-caps": http(25, { method: "POST", headers: { "transfer-encoding": "Chunked" } }),
  "json-upload-1": http(2, {
    method: "POST",
    headers: { "content-length": "30000", "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads-------/up.69wDrs" },
    upload: "start",
  }),
  "json-upload-2": http(2, {
    method: "POST",
    headers: {
      "x-mongrel2-upload-done": "/var/lib/mongrel2/uploads-------/up.69wDrs",
      "content-length": "30000",
      "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads-------/up.69wDrs",
    },
    upload: "done",
  }),
  "json-upload-forged-both": http(2, {
    method: "POST",
    body: "hi",
    headers: {
      "x-mongrel2-upload-done": "/etc/passwd",
      "content-length": "2",
      "x-mongrel2-upload-start": "/etc/passwd",
    },
    upload: "done",
  }),
  "json-upload-stream-1": piece(2, 0, false, 4028),
  "json-upload-stream-2": piece(2, 4028, false, 20000),
  "json-upload-stream-4": piece(2, 44028, true, 5972),
  "json-utf8": http(15, { headers: { "x-u": "café € 😀" } }),
  "json-ws-binary": wsFrame(16, 0x82, bytes([0, 1, 255])),
  "json-ws-close": wsFrame(16, 0x88, bytes([3, 232])),
  "json-ws-ping": wsFrame(16, 0x89, "pp"),
  "json-ws-text": wsFrame(16, 0x81, "hello"),
  "json-ws": handshake(44, {
    body: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    headers: {
      connection: "Upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      upgrade: "websocket",
    },
  }),
  "json-xff": http(43),
  "json-xff2": http(27),
  "json-xml": xmlSocket(112, "<test", '<test a="1">x</test>'),
  "tnet-bighdr": http(92, { headers: { cookie: "c".repeat(3500) } }),
  "tnet-chunked-1": http(98, {
    method: "POST",
    headers: { "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads------/up.4G98D7", "transfer-encoding": "chunked" },
    upload: "start",
  }),
  "tnet-chunked-2": http(98, {
    method: "POST",
    headers: {
      "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads------/up.4G98D7",
      "transfer-encoding": "chunked",
      "x-mongrel2-upload-done": "/var/lib/mongrel2/uploads------/up.4G98D7",
    },
    upload: "done",
  }),
  "tnet-cl-neg": http(52, { method: "POST", headers: { "content-length": "-1" } }),
  "tnet-cl-te": http(50, {
    method: "POST",
    body: "0\r\n",
    headers: { "content-length": "3", "transfer-encoding": "chunked" },
  }),
  "tnet-conn-close": http(42, { headers: { connection: "close" } }),
  "tnet-credits": credits(3, 77),
  "tnet-ctl08": http(71, { headers: { "x-d": "a\u0008b" } }),
  "tnet-ctl0b": http(72, { headers: { "x-d": "a\u000bb" } }),
  "tnet-ctl0c": http(73, { headers: { "x-d": "a\u000cb" } }),
  "tnet-ctl1b": http(74, { headers: { "x-d": "a\u001bb" } }),
  "tnet-dotdot": http(45, { path: "/tnet/../x" }),
  "tnet-emptyquery": http(91, { query: "" }),
  "tnet-emptyval": http(77, { headers: { "x-e2": "", "x-e": "" } }),
  "tnet-expect": http(96, { method: "POST", body: "abc", headers: { "content-length": "3", expect: "100-continue" } }),
  "tnet-get-body-fake-netstring": http(60, { method: "POST", body: "0:,1:a,}", headers: { "content-length": "8" } }),
  "tnet-get-flowcontrol": http(3, { credits: 102400 }),
  "tnet-get-http10": http(54, { version: "HTTP/1.0", headers: { host: undefined } }),
  "tnet-get-with-body": http(49, { body: "abc", headers: { "content-length": "3" } }),
  "tnet-get": http(53, {
    query: "ch=a%20b&x=1",
    headers: {
      "last-event-id": "42",
      host: "localhost:17000",
      accept: "text/event-stream",
      "cache-control": "no-cache",
    },
  }),
  "tnet-head": http(55, { method: "HEAD" }),
  "tnet-hostcase": http(39, { headers: { host: "LOCALHOST" } }),
  "tnet-hostother": http(40, { headers: { host: "evil.example" } }),
  "tnet-lf-only": http(78),
  "tnet-manyhdr": http(38, { headers: Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`a${n}`, "1"])) }),
  "tnet-method-JSON": http(101, { method: "JSON", body: '{"type":"disconnect"}', headers: { "content-length": "21" } }),
  "tnet-method-WS": http(103, { method: "WEBSOCKET", body: "hi", headers: { "content-length": "2" } }),
  "tnet-name-ctl": http(30, { headers: { "x\u0001y": "v" } }),
  "tnet-name-lf": http(31, { headers: { "x\ny": "v" } }),
  "tnet-nohost11": http(41, { headers: { host: undefined } }),
  "tnet-options": http(56, { method: "OPTIONS", headers: { origin: "http://a.example" } }),
  "tnet-pathlong": http(86, { path: `/tnet/${"a".repeat(2000)}` }),
  "tnet-pathpct": http(85, { path: "/tnet/%22%5C%00%20%ff" }),
  "tnet-pipelined-1": http(99, { path: "/tnet/1" }),
  "tnet-pipelined-2": http(99, { path: "/tnet/2" }),
  "tnet-post-binary": http(59, { method: "POST", body: ALL_BYTES, headers: { "content-length": "256" } }),
  "tnet-post-utf8": http(58, {
    method: "POST",
    body: bytes([104, 195, 169, 108, 195]),
    headers: { "content-length": "5" },
  }),
  "tnet-post": http(57, {
    method: "POST",
    body: "hello, wo\u0000d",
    headers: { "content-length": "11", "content-type": "text/plain" },
  }),
  "tnet-prefix": http(43, { path: "/tn" }),
  "tnet-proto": http(76, {
    headers: { [PROTO]: "polluted", path: "/evil", method: "JSON", tostring: "t", constructor: "c" },
  }),
  "tnet-querydblq": http(90, { query: "a=1?b=2" }),
  "tnet-repeated7": http(62, { headers: { "x-r": ["0", "1", "2", "3", "4"] } }),
  "tnet-suffix": http(44, { path: "/tnetxyz" }),
  "tnet-surrogate": http(67, { headers: { "x-u": "\u00ed\u00a0\u0080" } }),
  "tnet-tab": http(63, { headers: { "x-t": "a\tb" } }),
  "tnet-te-caps": http(51, { method: "POST", headers: { "transfer-encoding": "Chunked" } }),
  "tnet-trailing-ws": http(79, { headers: { "x-w": "v  \t " } }),
  "tnet-upload-2": http(28, {
    method: "POST",
    headers: {
      "x-mongrel2-upload-start": "/var/lib/mongrel2/uploads-------/up.rUGBAE",
      "content-length": "30000",
      "x-mongrel2-upload-done": "/var/lib/mongrel2/uploads-------/up.rUGBAE",
    },
    upload: "done",
  }),
  "tnet-upload-forged": http(29, {
    method: "POST",
    body: "hi",
    headers: { "content-length": "2", "x-mongrel2-upload-done": "/etc/passwd" },
    upload: "done",
  }),
  "tnet-upload-stream-1": piece(3, 0, false, 4033),
  "tnet-upload-stream-2": piece(3, 4033, false, 20000),
  "tnet-upload-stream-3": piece(3, 24033, false, 20000),
  "tnet-upload-stream-4": piece(3, 44033, true, 5967),
  "tnet-utf8": http(66, { headers: { "x-u": "café € 😀" } }),
  "tnet-ws": handshake(95, {
    body: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    headers: {
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      connection: "Upgrade",
    },
  }),
  "tnet-xff": http(94),
  "tnet-xff2": http(53),
};
