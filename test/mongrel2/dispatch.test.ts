/** Every kind of message, from the bytes of Mongrel2 to the frames that answer it: nobody is left hanging. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { requestMessage } from "../support/mongrel2-messages.js";
import { type Outcome, Wire } from "./wire.js";

const status = ({ text }: Outcome) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
const isStream = ({ text, end }: Outcome) =>
  end === "open" && /^HTTP\/1\.1 200 OK\r\n(?:.|\s)*\nid: #\w+\.\d+\n\n$/.test(text);

/** A good browser connects, and hears what is published. */
async function stillServes(wire: Wire, id: number): Promise<void> {
  assert.ok(isStream(await wire.request(id)));
  wire.publish(`for ${id}`);
  assert.match(wire.outcome(id).text, new RegExp(`\\ndata: for ${id}\\n\\n$`));
  await wire.gone(id);
}

describe("Dispatch", () => {
  test("a GET of the stream is a stream, by either protocol version, whatever its headers", async () => {
    const wire = await Wire.open();
    for (const [id, request] of [
      {},
      { version: "HTTP/1.0" },
      { query: "" },
      { query: "topic=a&topic=b" },
      { headers: { connection: "close" } },
      { headers: { "x-t": "a\tb\x01" } },
      { headers: { ["__proto__"]: "x", constructor: "y", method: "JSON", path: "@*", version: "x" } },
      { headers: { "x-mongrel2-upload-start": "/etc/passwd", "x-mongrel2-upload-done": "/etc/passwd" } },
      { headers: { "last-event-id": "" } },
      { body: "a body" },
    ].entries()) {
      assert.ok(isStream(await wire.request(id + 1, request)), JSON.stringify(request));
    }
    assert.equal(wire.hub.clients, 10);
    await stillServes(wire, 100);
  });

  const ANSWERED = [
    ["HEAD", { method: "HEAD" }, 200],
    ["OPTIONS", { method: "OPTIONS" }, 204],
    ["a method that the stream has not", { method: "DELETE" }, 405],
    ["a method named like one of Mongrel2's kinds", { method: "JSON", body: '{"type":"disconnect"}' }, 405],
    ["another", { method: "XML" }, 405],
    ["a third", { method: "WEBSOCKET" }, 405],
    ["a method that every object has", { method: "CONSTRUCTOR" }, 405],
    ["a longer path", { path: "/esupdatesX" }, 404],
    ["a shorter path", { path: "/e" }, 404],
    ["a path that is not resolved", { path: "/esupdates/../x" }, 404],
    ["a path of bytes", { path: "/\xff%00" }, 404],
    ["an upload", { method: "POST", headers: { "x-mongrel2-upload-start": "/tmp/x" } }, 413],
    ["an upload that is done", { method: "POST", headers: { "x-mongrel2-upload-done": "/tmp/x" } }, 413],
    ["a topic that is none", { query: "topic=%00" }, 400],
  ] as const;

  for (const [what, request, expected] of ANSWERED) {
    test(`${what} is answered with ${expected}, and the connection closed`, async () => {
      const wire = await Wire.open();
      const outcome = await wire.request(1, request);
      assert.deepEqual([status(outcome), outcome.end], [expected, "closed"]);
      assert.match(outcome.text, /^Connection: close\r$/m);
      assert.equal(wire.hub.clients, 0);
      await stillServes(wire, 2);
    });
  }

  test("a HEAD has the head of a stream and nothing after it", async () => {
    const wire = await Wire.open();
    const { text } = await wire.request(1, { method: "HEAD" });
    assert.match(text, /^Content-Type: text\/event-stream\r$/m);
    assert.ok(text.endsWith("\r\n\r\n"));
  });

  test("a WebSocket handshake is an HTTP request, and gets an answer", async () => {
    const wire = await Wire.open();
    const outcome = await wire.request(1, { method: "WEBSOCKET_HANDSHAKE", body: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" });
    assert.deepEqual([status(outcome), outcome.end], [400, "closed"]);
    assert.match(outcome.text, /WebSocket is not served here/);
  });

  /** What is not HTTP has no answer. The first is on a new connection, the second on one that streams. */
  const CLOSING: readonly (readonly [what: string, message: (ident: string, id: number) => Buffer])[] = [
    [
      "a WebSocket frame",
      (ident, id) => requestMessage("json", ident, id, { method: "WEBSOCKET", extra: { FLAGS: "0x81" } }),
    ],
    ["a message of a JSON socket", (ident, id) => socket(ident, id, "@chat", "JSON", '{"type":"disconnect"}')],
    ["the same where a route lets @* through", (ident, id) => socket(ident, id, "@*", "JSON", '{"type":"disconnect"}')],
    ["a message of an XML socket", (ident, id) => socket(ident, id, "<test", "XML", "<test/>")],
    ["a piece of an upload", (ident, id) => piece(ident, id, '{"UPLOAD_STREAM":"40"}')],
    ["the last piece", (ident, id) => piece(ident, id, '{"UPLOAD_STREAM":"0","UPLOAD_STREAM_DONE":"1"}')],
  ];

  const piece = (ident: string, id: number, headers: string) =>
    Buffer.from(`${ident} ${id} /x ${headers.length}:${headers},3:abc,`);

  function socket(ident: string, id: number, path: string, method: string, body: string): Buffer {
    return requestMessage("json", ident, id, { path, method, body, extra: { VERSION: undefined } });
  }

  for (const [what, message] of CLOSING) {
    test(`${what} closes its connection without a response, also during a stream`, async () => {
      const wire = await Wire.open();
      await wire.receive(message("wire", 1));
      assert.deepEqual(wire.outcome(1), { text: "", end: "cancelled" });
      const { text } = await wire.request(2);
      await wire.receive(message("wire", 2));
      assert.deepEqual(wire.outcome(2), { text, end: "cancelled" });
      assert.equal(wire.hub.clients, 0);
      await stillServes(wire, 3);
    });
  }

  /** On a stream there is no place for an answer: it would be read as a part of the stream. */
  const SECOND: readonly (readonly [what: string, message: (ident: string, id: number) => Buffer])[] = [
    ["the same request again", (ident, id) => requestMessage("json", ident, id)],
    ["a HEAD", (ident, id) => requestMessage("json", ident, id, { method: "HEAD" })],
    ["a request elsewhere", (ident, id) => requestMessage("tnetstring", ident, id, { path: "/other" })],
    ["an upload", (ident, id) => requestMessage("json", ident, id, { headers: { "x-mongrel2-upload-start": "/x" } })],
    ["a WebSocket handshake", (ident, id) => requestMessage("json", ident, id, { method: "WEBSOCKET_HANDSHAKE" })],
    ["a request that cannot be understood", (ident, id) => Buffer.from(`${ident} ${id} /esupdates 3:{{{,0:,`)],
  ];

  for (const [what, message] of SECOND) {
    test(`${what} on a stream cuts it, without another byte, and the client is forgotten`, async () => {
      const wire = await Wire.open();
      const { text } = await wire.request(1);
      assert.ok(isStream(await wire.request(2)));
      await wire.receive(message("wire", 1));
      assert.deepEqual(wire.outcome(1), { text, end: "cancelled" });
      assert.equal(wire.hub.clients, 1);
      const told = wire.lines.filter(({ event }) => event === "disconnect");
      assert.deepEqual(
        told.map(({ client, reason, clients }) => [client, reason, clients]),
        [[1, "second request", 1]],
      );
      wire.publish("only for 2");
      assert.match(wire.outcome(2).text, /only for 2/);
    });
  }

  test("a request that cannot be understood is answered with 400, if it is known whose it is", async () => {
    const wire = await Wire.open();
    await wire.receive(Buffer.from("wire 1 /esupdates 3:{{{,0:,"));
    assert.deepEqual([status(wire.outcome(1)), wire.outcome(1).end], [400, "closed"]);
    wire.forget();
    for (const nobody of ["", "wire", "wire x /", "wire -1 / 2:{},0:,", "wire 99999999999 / 2:{},0:,", "\0\0\0"]) {
      await wire.receive(Buffer.from(nobody));
    }
    assert.deepEqual(wire.touched, []);
    await stillServes(wire, 2);
  });

  test("the same behind a request whose answer takes time cuts the connection: no answer may overtake another", async () => {
    const wire = await Wire.open({ config: `[auth]\npublisher_key = "${"k".repeat(40)}"` });
    const headers = { authorization: "Bearer x.y.z", "content-type": "application/x-www-form-urlencoded" };
    const post = { method: "POST", path: "/.well-known/mercure", headers, body: "topic=t&data=x" };
    wire.endpoint.message(requestMessage("json", "wire", 1, post));
    await wire.receive(Buffer.from("wire 1 /esupdates 3:{{{,0:,"));
    await new Promise(setImmediate);
    assert.deepEqual(wire.outcome(1), { text: "", end: "cancelled" });
    assert.equal(status(await wire.request(2, post)), 401);
  });

  test("notices are never answered, for any connection and however often they arrive", async () => {
    const wire = await Wire.open();
    await wire.request(1);
    wire.forget();
    for (const id of [1, 1, 7, 0]) await wire.gone(id);
    await wire.receive(Buffer.from('wire 1 @* 41:{"METHOD":"JSON","DOWNLOAD_CREDITS":"99"},18:{"type":"credits"},'));
    await wire.receive(Buffer.from('wire 7 @* 41:{"METHOD":"JSON","DOWNLOAD_CREDITS":"99"},18:{"type":"credits"},'));
    assert.deepEqual(wire.touched, []);
    assert.equal(wire.hub.clients, 0);
  });

  test("after a restart of Mongrel2 no event reaches a connection that did not ask, though it has an old id", async () => {
    const wire = await Wire.open();
    for (const id of [1, 2, 3]) await wire.request(id);
    wire.publish("before");
    void wire.hub.publish({ topics: ["t"], data: "under way", private: false });
    wire.disconnected();
    wire.forget();
    void wire.hub.publish({ topics: ["t"], data: "while it is away", private: false });
    wire.connected();
    wire.acknowledgeAll();
    // The same ids are other people's now: 2 asks for something else, 3 for nothing.
    assert.ok(isStream(await wire.request(1)));
    assert.equal(status(await wire.request(2, { path: "/other" })), 404);
    wire.publish("after");
    assert.deepEqual(wire.touched, [1, 2]);
    assert.doesNotMatch(wire.outcome(1).text, /before|under way|while it is away/);
    assert.match(wire.outcome(1).text, /\ndata: after\n\n$/);
    assert.doesNotMatch(wire.outcome(2).text, /data:/);
  });

  test("before Mongrel2 has answered a fence nothing is served; then everything is, in order", async () => {
    const wire = await Wire.open();
    wire.disconnected();
    wire.connected();
    for (const id of [1, 2]) assert.deepEqual(await wire.request(id), { text: "", end: "open" });
    wire.acknowledgeAll();
    await new Promise(setImmediate);
    for (const id of [1, 2]) assert.ok(isStream(wire.outcome(id)));
    assert.equal(wire.hub.clients, 2);
  });
});
