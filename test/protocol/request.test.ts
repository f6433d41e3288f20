import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  type HttpRequest,
  header,
  type Inbound,
  lastHeader,
  parseRequest,
  RequestError,
} from "../../src/protocol/request.js";
import { anyText, bytes, connectionId, sender } from "../support/arbitraries.js";
import { creditsNotice, disconnectNotice, requestMessage } from "../support/mongrel2-messages.js";

const PROTOCOLS = ["json", "tnetstring"] as const;
const JSON_HEADERS = '{"METHOD":"GET","VERSION":"HTTP/1.1"}';

function refusal(message: string | Buffer): RequestError {
  try {
    parseRequest(Buffer.from(message));
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  assert.fail(`understood: ${message}`);
}

function http(inbound: Inbound): HttpRequest {
  assert.equal(inbound.kind, "http");
  return inbound as HttpRequest;
}

const netstring = (text: string, type = ",") => `${Buffer.byteLength(text)}:${text}${type}`;
const message = (headers: string, body = "", path = "/x") => `s 7 ${path} ${netstring(headers)}${netstring(body)}`;

describe("Request", () => {
  test("parses any headers, query and body in both header forms", () => {
    const headers = fc.dictionary(
      fc.stringMatching(/^[a-z_][a-z0-9_-]{0,10}$/),
      fc.oneof(anyText, fc.array(anyText, { minLength: 2 })),
    );
    fc.assert(
      fc.property(sender, connectionId, headers, anyText, bytes, (ident, id, sent, query, body) => {
        for (const protocol of PROTOCOLS) {
          const request = http(
            parseRequest(requestMessage(protocol, ident, id, { headers: sent, query, body, method: "POST" })),
          );
          const all = { "x-forwarded-for": "127.0.0.1", host: "localhost", ...sent };
          const expected = Object.entries(all).map(
            ([name, value]) => [name, typeof value === "string" ? [value] : value] as const,
          );
          assert.deepEqual(request.headers, new Map(expected));
          assert.deepEqual([request.sender, request.id, request.query], [ident, id, query]);
          assert.deepEqual(request.body, body);
        }
      }),
    );
  });

  test("notices are understood in both header forms, for every id", () => {
    fc.assert(
      fc.property(sender, connectionId, fc.nat(), (ident, id, count) => {
        for (const protocol of PROTOCOLS) {
          const gone = { kind: "disconnect", sender: ident, id };
          assert.deepEqual(parseRequest(disconnectNotice(protocol, ident, id)), gone);
          const credits = { kind: "credits", sender: ident, id, bytes: count };
          assert.deepEqual(parseRequest(creditsNotice(protocol, ident, id, count)), credits);
        }
      }),
    );
  });

  test("bytes of any kind give a value or a RequestError", () => {
    fc.assert(
      fc.property(bytes, (input) => {
        const messages = [
          input,
          Buffer.concat([Buffer.from("s 7 /x "), input]),
          Buffer.concat([Buffer.from("s 7 @* "), input]),
        ];
        for (const it of messages) assert.throws(() => parseRequest(it), RequestError);
      }),
    );
  });

  test("recognizes a disconnect notice with unusual white space and members", () => {
    const odd = `s 7 @* ${netstring('{ "METHOD" : "JSON" }')}${netstring('{"type":"disconnect"}')}`;
    assert.deepEqual(parseRequest(Buffer.from(odd)), { kind: "disconnect", sender: "s", id: 7 });
  });

  test("a notice with a PATH header is what a client wrote to a JSON socket, where a route lets it through", () => {
    const headers = '{"PATH":"@*","METHOD":"JSON","PATTERN":"@","REMOTE_ADDR":"1.2.3.4"}';
    const inbound = parseRequest(Buffer.from(message(headers, '{"type":"disconnect"}', "@*")));
    assert.equal(inbound.kind, "json-socket");
  });

  test("a disconnect notice on any other path than @* is none", () => {
    for (const path of ["@", "@**", "@*x", "/@*", "*", "@chat"]) {
      const inbound = Buffer.from(message('{"METHOD":"JSON"}', '{"type":"disconnect"}', path));
      if (path.startsWith("@")) assert.equal(parseRequest(inbound).kind, "json-socket", path);
      else assert.throws(() => parseRequest(inbound), RequestError, path);
    }
  });

  test("a notice of an unknown type, or with another method, is refused", () => {
    const bodies = ['{"type":"other"}', "", '{"type":"disconnect" }', "disconnect"];
    for (const body of bodies) assert.equal(refusal(message('{"METHOD":"JSON"}', body, "@*")).id, 7, body);
    refusal(message('{"METHOD":"XML"}', '{"type":"disconnect"}', "@*"));
    refusal(message("{}", '{"type":"disconnect"}', "@*"));
  });

  test("methods that are named as Mongrel2's own kinds are requests like any other", () => {
    for (const protocol of PROTOCOLS) {
      for (const method of ["JSON", "XML", "WEBSOCKET"]) {
        const request = http(parseRequest(requestMessage(protocol, "s", 7, { method, body: '{"type":"disconnect"}' })));
        assert.equal(request.method, method);
      }
    }
  });

  test("never takes headers of the client for Mongrel2's own", () => {
    const headers = {
      method: "JSON",
      flags: "0x81",
      upload_stream: "0",
      download_credits: "9",
      path: "@*",
      version: "2",
    };
    for (const protocol of PROTOCOLS) {
      const request = http(parseRequest(requestMessage(protocol, "s", 7, { headers })));
      assert.deepEqual([request.method, request.version, request.credits], ["GET", "HTTP/1.1", undefined]);
      assert.deepEqual(request.headers.get("method"), ["JSON"]);
    }
  });

  test("header() returns the first of several values", () => {
    const request = http(
      parseRequest(requestMessage("json", "s", 7, { headers: { "x-r": ["one", "two"], "x-e": "" } })),
    );
    assert.equal(header(request, "x-r"), "one");
    assert.equal(header(request, "x-e"), "");
    assert.equal(header(request, "X-R"), undefined);
    assert.equal(header(request, "constructor"), undefined);
  });

  test("white space around a header is no part of it, and lastHeader() gives the last value that is not empty", () => {
    const headers = { "x-r": ["", "  ", "\ttwo words \t", "", " "], "x-e": [" ", ""], "x-n": "\u00a0nbsp\u00a0" };
    const request = http(parseRequest(requestMessage("json", "s", 7, { headers })));
    assert.deepEqual([header(request, "x-r"), lastHeader(request, "x-r")], ["", "two words"]);
    assert.deepEqual(
      [header(request, "x-e"), lastHeader(request, "x-e"), lastHeader(request, "x-no")],
      ["", "", undefined],
    );
    assert.equal(header(request, "x-n"), "\u00a0nbsp\u00a0");
    const long = http(
      parseRequest(requestMessage("json", "s", 7, { headers: { "x-b": ` a${" ".repeat(40_000)}b ` } })),
    );
    assert.equal(header(long, "x-b")?.length, 40_002);
  });

  // fetch() and node:http send an id as Latin-1: it became U+FFFD, and everything after it was taken for lost.
  test("a header that is not UTF-8 is read as Latin-1, whatever stands beside it", () => {
    for (const protocol of PROTOCOLS) {
      const headers = { "last-event-id": "cafXY", cookie: ["a=日本", "b=\u{fffd}"] };
      const sent = requestMessage(protocol, "s", 7, { headers });
      sent.set([0xe9, 0xe8], sent.indexOf("XY"));
      const request = http(parseRequest(sent));
      assert.equal(header(request, "last-event-id"), "caféè");
      assert.deepEqual(request.headers.get("cookie"), ["a=日本", "b=\u{fffd}"]);
      assert.equal(request.method, "GET");
    }
  });

  test("leaves missing members empty", () => {
    const request = http(parseRequest(Buffer.from(message(JSON_HEADERS))));
    const { uri, query, scheme, remote, credits, upload } = request;
    assert.deepEqual([uri, query, scheme, remote, credits, upload], ["/x", "", "http", "", undefined, undefined]);
  });

  test("an error tells the connection as far as it was understood", () => {
    const cases: [string, string | undefined, number | undefined][] = [
      ["", undefined, undefined],
      ["s", undefined, undefined],
      [" 7 /x ", undefined, undefined],
      ["s_1 7 /x ", undefined, undefined],
      ["s", undefined, undefined],
      [`${"s".repeat(300)} 7 /x `, undefined, undefined],
      ["s 7", "s", undefined],
      ["s  /x ", "s", undefined],
      ["s x /x ", "s", undefined],
      ["s -7 @* ", "s", undefined],
      ["s 2147483648 /x ", "s", undefined],
      ["s 18446744071562067969 /x ", "s", undefined],
      ["s 7 ", "s", 7],
      ["s 7  0:,0:,", "s", 7],
      ["s 2147483647 /x", "s", 2_147_483_647],
      ["s 0 /x 0:", "s", 0],
    ];
    for (const [text, ident, id] of cases) {
      const error = refusal(text);
      assert.deepEqual([error.sender, error.id, error.code], [ident, id, "invalid"], text);
      assert.ok(error instanceof ProtocolError);
    }
  });

  test("rejects malformed header blocks, with the connection in the error", () => {
    const blocks = [
      "",
      "null",
      "[]",
      '"METHOD"',
      "{",
      '{"METHOD":"GET",}',
      '{"METHOD":7,"VERSION":"HTTP/1.1"}',
      '{"METHOD":["GET","POST"],"VERSION":"HTTP/1.1"}',
      '{"METHOD":"GET","VERSION":"HTTP/1.1","x":{"y":"z"}}',
      '{"METHOD":"GET","VERSION":"HTTP/1.1","x":["y",1]}',
      "\u{feff}{}",
      "{}",
      '{"METHOD":"GET"}',
      '{"VERSION":"HTTP/1.1"}',
      '{"METHOD":"JSON"}',
      '{"METHOD":"XML"}',
      "[".repeat(100_000),
    ];
    for (const block of blocks) assert.equal(refusal(message(block)).id, 7, block.slice(0, 60));
    for (const block of [
      "1:1#",
      "6:METHOD,",
      "6:METHOD#3:GET,",
      "6:METHOD,3:GET#",
      "3:x-r,8:1:a,1:1#]",
      "3:x-r,4:1:ab]",
    ]) {
      assert.equal(refusal(`s 7 /x ${netstring(block, "}")}0:,`).id, 7, block);
    }
    for (const type of ["#", "]", "x", " "]) refusal(`s 7 /x ${netstring(JSON_HEADERS, type)}0:,`);
  });

  test("rejects malformed numbers", () => {
    for (const number of ["", "x", "-1", "1.5", " 1", "1234567890123456"]) {
      refusal(message(`{"METHOD":"JSON","DOWNLOAD_CREDITS":"${number}"}`, '{"type":"credits"}', "@*"));
      refusal(message(`{"UPLOAD_STREAM":"${number}"}`));
      refusal(message(`{"METHOD":"WEBSOCKET","VERSION":"HTTP/1.1","FLAGS":"${number}"}`));
      refusal(message(`{"METHOD":"GET","VERSION":"HTTP/1.1","DOWNLOAD_CREDITS":"${number}"}`));
    }
    refusal(message('{"METHOD":"JSON"}', '{"type":"credits"}', "@*"));
  });

  test("bodies that are no netstring, or not the end, are refused", () => {
    const start = `s 7 /x ${netstring(JSON_HEADERS)}`;
    for (const body of ["", "0:", "0:}", "1:,", "0:,x", "0:,0:,", "2:a,"]) refusal(start + body);
  });

  test("a header block larger than its limit is refused", () => {
    const huge = message(`{"METHOD":"GET","VERSION":"HTTP/1.1","x":"${"y".repeat(1_048_576)}"}`);
    assert.match(refusal(huge).message, /1048576/);
  });

  test("control characters are escaped only where JSON does not parse without", () => {
    // One in a string (from a client), one between tokens (never from Mongrel2): escaping makes the second a fault.
    assert.equal(http(parseRequest(Buffer.from(message(`{\t"METHOD":"GET","VERSION":"HTTP/1.1"}`)))).method, "GET");
    refusal(message(`{\t"METHOD":"GET","VERSION":"HTTP/1.1","x":"\t"}`));
  });

  test("every control character and quote in a header value arrives as it was sent", () => {
    const value = Array.from({ length: 0x30 }, (_, code) => String.fromCharCode(code)).join("");
    for (const protocol of PROTOCOLS) {
      const request = http(parseRequest(requestMessage(protocol, "s", 7, { headers: { "x-all": value } })));
      assert.equal(header(request, "x-all"), value);
    }
  });
});
