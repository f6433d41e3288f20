/**
 * Bytes from Mongrel2's side, through the daemon's whole receiving path: whole captures, every beginning of every one,
 * damaged ones, and what a client can forge. Each connection is answered, served or cut, but never left to hang; none that
 * the message does not name is touched; and the next good browser is served.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Wire } from "../mongrel2/wire.js";
import { CAPTURES, capture, expectation } from "../protocol/captures.js";
import { anyText, damaged } from "../support/arbitraries.js";
import { requestMessage } from "../support/mongrel2-messages.js";

const NAMES = readdirSync(CAPTURES).flatMap((file) => (file.endsWith(".bin") ? [file.slice(0, -4)] : []));
/** Of a connection that no capture and no forgery names; not so high that a lower id would mean another life of Mongrel2. */
const STRANGER = 3_000;

/** A wire on which a stranger streams, whom nothing of all this concerns. */
async function open(tnet = false): Promise<Wire> {
  const config = `[stream]\npath = "/${tnet ? "tnet" : "esupdates"}"`;
  const wire = await Wire.open({ ident: tnet ? "tnet-sender" : "2f62bd5-9e59-49cd-993c-3b6013c28f05", config });
  await wire.request(STRANGER, { path: tnet ? "/tnet" : "/esupdates" });
  return wire;
}

/** Nobody but `id` was sent anything, and the stranger hears what is published. */
function assertOthersUntouched(wire: Wire, id: number | undefined, what: string): void {
  for (const touched of wire.touched) assert.ok(touched === id || touched === STRANGER, `${what} touched ${touched}`);
  wire.publish(what);
  assert.match(wire.outcome(STRANGER).text, /\ndata: [^\n]*\n\n$/, what);
}

/** What becomes of the connection of a capture that is received whole. */
function expectedEnd(name: string): string {
  const message = expectation(name);
  if (message.kind === "disconnect" || message.kind === "credits") return "nothing";
  if (message.kind === "websocket-handshake") return "400 closed";
  if (message.kind !== "http") return "cancelled";
  if (message.headers.has("transfer-encoding")) return "411 closed";
  const isOurs = message.path === (name.startsWith("tnet-") ? "/tnet" : "/esupdates");
  if (!isOurs) return "404 closed";
  if (message.method === "OPTIONS") return "204 closed";
  if (message.method === "HEAD") return "200 closed";
  if (message.method === "GET") return "200 open";
  return message.upload !== undefined && message.body.length === 0 ? "413 closed" : "405 closed";
}

function endOf(wire: Wire, id: number): string {
  const { text, end } = wire.outcome(id);
  if (text === "") return end === "open" ? "nothing" : end;
  return `${/^HTTP\/1\.1 (\d+) /.exec(text)?.[1]} ${end}`;
}

describe("Wire, fuzzed", () => {
  for (const name of NAMES) {
    test(`${name}: whole, and cut anywhere, its connection gets what it should and nobody else anything`, async () => {
      const wire = await open(name.startsWith("tnet-"));
      const [bytes, { id, sender }] = [capture(name), expectation(name)];
      await wire.receive(bytes);
      assert.equal(endOf(wire, id), expectedEnd(name));
      await wire.gone(id);
      const known = `${sender} ${id} `.length;
      for (let cut = 0; cut < bytes.length; cut += bytes.length > 2000 && cut > 300 ? 211 : 1) {
        wire.endpoint.message(bytes.subarray(0, cut));
        assert.equal(endOf(wire, id), cut < known ? "nothing" : "400 closed", `cut at ${cut}`);
        wire.forget(id);
      }
      assertOthersUntouched(wire, id, name);
    });
  }

  test("captures that came to harm never stop the daemon, nor end a stream that they do not name", async () => {
    const wire = await open();
    const harmed = fc.constantFrom(...NAMES).chain((name) => damaged(capture(name)));
    await fc.assert(
      fc.asyncProperty(harmed, async (message) => {
        const named = Number(/^\S+ (\d+) /.exec(message.toString("latin1", 0, 300))?.[1] ?? Number.NaN);
        fc.pre(named !== STRANGER);
        await wire.receive(message);
        for (const touched of wire.touched) assert.ok(touched === named || touched === STRANGER);
        // An id much lower than one before may be of another life of Mongrel2, which is asked.
        wire.acknowledgeAll();
        await wire.gone(named);
        await wire.gone(STRANGER);
        assert.equal(wire.hub.clients, 0);
        await wire.request(STRANGER);
        wire.acknowledgeAll();
        assertOthersUntouched(wire, undefined, "after harm");
      }),
      { numRuns: 500 },
    );
  });

  const NAME = fc.constantFrom(
    "method",
    "path",
    "version",
    "upload_stream",
    "flags",
    "download_credits",
    "__proto__",
    "constructor",
    "tostring",
    "x-mongrel2-upload-start",
    "x-mongrel2-upload-done",
    "last-event-id",
    "x\ty",
    "",
  );
  const VALUE = fc.oneof(
    fc.constantFrom(
      "JSON",
      "@*",
      "/etc/passwd",
      "0",
      "-1",
      "\t",
      "\x01\x1f",
      '"',
      "\\",
      "\\u0000",
      '"}',
      "]",
      "{",
      "\u{feff}",
    ),
    anyText.map((text) => text.replace(/[\0\r\n\x7f]/g, "")),
  );
  const forged = fc.record({
    method: fc.constantFrom("GET", "JSON", "XML", "WEBSOCKET", "WEBSOCKET2", "POST", "__PROTO__"),
    headers: fc.dictionary(NAME, fc.oneof(VALUE, fc.array(VALUE, { minLength: 2, maxLength: 5 })), {
      noNullPrototype: true,
    }),
    body: fc.constantFrom("", '{"type":"disconnect"}', '{"type":"credits"}', "\0\xff"),
    query: fc.oneof(fc.constantFrom("", "a=1", "__proto__=1", "topic=", "topic"), VALUE),
  });

  for (const protocol of ["json", "tnetstring"] as const) {
    test(`whatever a client forges with headers as ${protocol}, its own request is answered, and does nothing else`, async () => {
      const wire = await open();
      let id = 0;
      await fc.assert(
        fc.asyncProperty(forged, async (request) => {
          await wire.receive(requestMessage(protocol, wire.ident, ++id, request));
          const { text, end } = wire.outcome(id);
          const isOpen = request.method === "GET" && end === "open";
          assert.match(text, isOpen ? /^HTTP\/1\.1 200 OK\r\n/ : /^HTTP\/1\.1 4\d\d /);
          assert.equal(end, isOpen ? "open" : "closed");
          assert.equal(wire.hub.clients, isOpen ? 2 : 1);
          assert.equal(({} as Record<string, unknown>).polluted, undefined);
          await wire.gone(id);
          assertOthersUntouched(wire, id, `after request ${id}`);
        }),
        { numRuns: 200 },
      );
    });
  }
});
