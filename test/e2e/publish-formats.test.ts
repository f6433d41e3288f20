/** Publishing JSON, batches and CloudEvents through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RawConnection } from "../support/sse-client.js";
import { accessToAll, HUB, mercure } from "./mercure.js";

const hub = mercure({ settings: { "limits.content_length": 327_680 } });
const JSON_TYPE = { "content-type": "application/json" };
const NDJSON = { "content-type": "application/x-ndjson" };

describe("Publish formats, end to end", () => {
  test("a JSON event arrives byte for byte, with LF for every line end", async (t) => {
    const client = await hub.open(t, "match=a");
    const { status, text } = await hub.publish('{"topic":"a","data":{ "n":1.50,\r\n"é":[] }}', undefined, JSON_TYPE);
    assert.equal(status, 200);
    const event = await client.next();
    assert.deepEqual(event, { ...event, data: '{ "n":1.50,\n"é":[] }', id: JSON.parse(text).id });
  });

  test("a batch of 1,000 events in 256 KiB is answered with its ids, and arrives in order", async (t) => {
    const client = await hub.open(t, "match=a");
    const lines = Array.from({ length: 1_000 }, (_, n) =>
      JSON.stringify({ topic: "a", data: `${n} ${"x".repeat(220)}` }),
    );
    const { status, text } = await hub.publish(lines.join("\n"), undefined, NDJSON);
    assert.equal(status, 200);
    const ids = JSON.parse(text).events.map(({ id }: { readonly id: string }) => id);
    await client.until(({ events }) => events.length === 1_000, "every event");
    assert.deepEqual(
      client.events.map(({ id, data }) => [id, Number(data.split(" ")[0])]),
      ids.map((id: string, n: number) => [id, n]),
    );
  });

  test("a batch with wrong events is refused as a whole, with problem details", async (t) => {
    const client = await hub.open(t, "match=*");
    const headers = { ...NDJSON, accept: "application/problem+json" };
    const refused = await hub.publish('{"topic":"a","data":"1"}\n{"topic":"a"}\n7', undefined, headers);
    assert.deepEqual([refused.status, refused.headers["content-type"]], [400, "application/problem+json"]);
    assert.deepEqual(JSON.parse(refused.text).faults, [
      { line: 2, code: "invalid", member: "data", detail: '"data" is missing' },
      { line: 3, code: "invalid", detail: "JSON must be an object" },
    ]);
    assert.deepEqual(await hub.before("last", client), [[]]);
  });

  test("a CloudEvent in binary mode: its attributes come through as headers", async (t) => {
    const client = await hub.open(t, "match=books%2F%C3%A9");
    const attributes = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "order.paid" };
    const headers = { "content-type": "text/plain", ...attributes, "ce-subject": "books/%C3%A9" };
    const { status, text } = await hub.publish("paid", undefined, headers);
    assert.deepEqual([status, Object.keys(JSON.parse(text))], [200, ["id"]]);
    const { type, data } = await client.next();
    assert.deepEqual([type, data], ["order.paid", "paid"]);
  });

  test("a batch above max_batch_bytes is refused by the daemon, one above limits.content_length by Mongrel2", async () => {
    const batch = (bytes: number) => `[{"topic":"a","data":"${"x".repeat(bytes)}"}]`;
    const refused = await hub.publish(batch(262_144), undefined, JSON_TYPE);
    assert.equal(refused.status, 413);
    assert.match(refused.text, /\[publish\] max_batch_bytes/);
    assert.equal((await hub.publish(batch(400_000), undefined, JSON_TYPE)).status, 413);
  });

  test("of twenty publishers that create one topic, one succeeds; the others learn its id", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        hub.publish({ topic: "state", id: `s${n}` }, undefined, { "if-none-match": "*" }),
      ),
    );
    const [winner, ...others] = answers.filter(({ status }) => status === 200);
    assert.deepEqual(others, []);
    const refused = answers.filter(({ status }) => status === 412);
    assert.equal(refused.length, 19);
    for (const { headers } of refused) assert.equal(headers.etag, `"${winner?.text}"`);
    const next = await hub.publish({ topic: "state" }, undefined, { "if-match": `"${winner?.text}"` });
    assert.equal(next.status, 200);
  });

  test("a chunked body is answered 413 by Mongrel2, and nothing is published", async (t) => {
    const offsetOf = async () => Number((await hub.published({ topic: "a" })).split(".")[1]);
    const before = await offsetOf();
    const connection = new RawConnection(hub.pair.mongrel2.port);
    t.after(() => connection.close());
    const head = `POST ${HUB} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${await accessToAll()}\r\n`;
    const body = '{"topic":"a","data":"x"}';
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    connection.write(`${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    await connection.until(({ text }) => /^HTTP\/1\.1 413 /.test(text), "the refusal");
    assert.equal(await offsetOf(), before + 1);
  });
});
