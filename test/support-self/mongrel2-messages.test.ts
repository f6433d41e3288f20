/** Against messages captured from Mongrel2 1.12.2. Its header order follows a hash table, so headers are compared as sets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { creditsNotice, disconnectNotice, requestMessage } from "../support/mongrel2-messages.js";

describe("Mongrel2 messages of the test support", () => {
  test("notices are byte for byte those of Mongrel2", () => {
    const uuid = "2f62bd5-9e59-49cd-993c-3b6013c28f05";
    assert.equal(
      disconnectNotice("json", uuid, 2).toString(),
      `${uuid} 2 @* 17:{"METHOD":"JSON"},21:{"type":"disconnect"},`,
    );
    assert.equal(
      creditsNotice("json", uuid, 2, 86).toString(),
      `${uuid} 2 @* 41:{"METHOD":"JSON","DOWNLOAD_CREDITS":"86"},18:{"type":"credits"},`,
    );
    assert.equal(
      disconnectNotice("tnetstring", "s", 2).toString(),
      's 2 @* 16:6:METHOD,4:JSON,}21:{"type":"disconnect"},',
    );
    assert.equal(
      creditsNotice("tnetstring", "tnet-sender", 3, 77).toString(),
      'tnet-sender 3 @* 41:16:DOWNLOAD_CREDITS,2:77,6:METHOD,4:JSON,}18:{"type":"credits"},',
    );
  });

  test("an id above 2^31 comes back negative", () => {
    assert.match(disconnectNotice("json", "s", 4_294_967_295).toString(), /^s -1 @\* /);
  });

  const SSE_GET = {
    query: "ch=a%20b&x=1",
    headers: {
      "cache-control": "no-cache",
      accept: "text/event-stream",
      host: "localhost:17000",
      "last-event-id": "42",
    },
  };

  test("a request with JSON headers has what a captured one has", () => {
    const captured =
      '2f62bd5 2 /esupdates 313:{"PATH":"/esupdates","x-forwarded-for":"127.0.0.1","cache-control":"no-cache",' +
      '"accept":"text/event-stream","host":"localhost:17000","last-event-id":"42","METHOD":"GET","VERSION":"HTTP/1.1",' +
      '"URI":"/esupdates?ch=a%20b&x=1","QUERY":"ch=a%20b&x=1","PATTERN":"/esupdates","URL_SCHEME":"http",' +
      '"REMOTE_ADDR":"127.0.0.1"},0:,';
    const made = requestMessage("json", "2f62bd5", 2, SSE_GET).toString();
    assert.equal(made.length, captured.length);
    assert.equal(made.slice(0, 25), captured.slice(0, 25));
    const headers = (message: string) => JSON.parse(message.slice(message.indexOf("{"), message.lastIndexOf("}") + 1));
    assert.deepEqual(headers(made), headers(captured));
  });

  test("a request with tnetstring headers has what a captured one has", () => {
    const captured =
      "tnet-sender 53 /tnet 306:11:REMOTE_ADDR,9:127.0.0.1,6:METHOD,3:GET,10:URL_SCHEME,4:http,7:PATTERN,5:/tnet," +
      "5:QUERY,12:ch=a%20b&x=1,3:URI,18:/tnet?ch=a%20b&x=1,7:VERSION,8:HTTP/1.1,4:PATH,5:/tnet,13:last-event-id,2:42," +
      "4:host,15:localhost:17000,6:accept,17:text/event-stream,13:cache-control,8:no-cache,15:x-forwarded-for," +
      "9:127.0.0.1,}0:,";
    const made = requestMessage("tnetstring", "tnet-sender", 53, { ...SSE_GET, path: "/tnet" }).toString();
    assert.equal(made.length, captured.length);
    assert.match(made, /^tnet-sender 53 \/tnet 306:.*\}0:,$/);
    const pieces = (message: string) =>
      message.slice("tnet-sender 53 /tnet 306:".length, -"}0:,".length).split(",").sort();
    assert.deepEqual(pieces(made), pieces(captured));
  });

  test("repeated headers are lists, bodies are bytes, and a quote is escaped but a tab is not", () => {
    const request = { method: "POST", headers: { "x-r": ["a", 't"\\'], "x-t": "a\tb" }, body: Buffer.from([0, 255]) };
    const json = requestMessage("json", "s", 1, request);
    assert.ok(json.includes('"x-r":["a","t\\"\\\\"]') && json.includes('"x-t":"a\tb"'));
    assert.deepEqual(json.subarray(-5), Buffer.from([0x32, 0x3a, 0, 255, 0x2c]));
    const tnet = requestMessage("tnetstring", "s", 1, request);
    assert.ok(tnet.includes('3:x-r,10:1:a,3:t"\\,]') && tnet.includes("3:x-t,3:a\tb,"));
  });

  test("usual headers can be taken away and others added", () => {
    const made = requestMessage("json", "s", 1, { extra: { METHOD: undefined, UPLOAD_STREAM: "0" } }).toString();
    assert.ok(!made.includes("METHOD") && made.includes('"UPLOAD_STREAM":"0"'));
  });
});
