/** draft-dunglas-mercure-08, "Publication", through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { access, detail, HUB, mercure, pattern } from "../mercure.js";

const hub = mercure({ settings: { "limits.content_length": 327_680 } });

describe("Mercure draft 08, end to end: Publish", () => {
  test("a publish is answered with exactly 200, and the id as text/plain; charset=utf-8", async () => {
    const { status, headers, text } = await hub.publish({ topic: "a", data: "x" });
    assert.deepEqual([status, headers["content-type"]], [200, "text/plain; charset=utf-8"]);
    assert.match(text, /^#[A-Za-z0-9_-]+\.[0-9]+$/);
  });

  test("the publisher's own id is kept, in the answer and in the event", async (t) => {
    const client = await hub.open(t, "match=a");
    assert.equal(await hub.published({ topic: "a", data: "x", id: "urn:x:é 1" }), "urn:x:é 1");
    assert.equal((await client.next()).id, "urn:x:é 1");
  });

  test("type and retry are passed on", async (t) => {
    const client = await hub.open(t, "match=a");
    await hub.published({ topic: "a", data: "x", type: "order", retry: "1234" });
    assert.equal((await client.next()).type, "order");
    assert.equal(client.retry, 1234);
  });

  test("an event is taken back with DELETE (an extension), and its id is still a position", async (t) => {
    const id = await hub.published({ topic: "taken/back", data: "1" });
    await hub.published({ topic: "taken/back", data: "2" });
    const token = await access([detail(["publish"], ["taken/back"])]);
    const headers = { authorization: `Bearer ${token}` };
    const { status, text } = await hub.ask(`id=${encodeURIComponent(id)}`, { method: "DELETE", headers });
    assert.deepEqual([status, text], [200, '{"removed":1}\n']);
    for (const from of ["earliest", id]) {
      const client = await hub.open(t, `match=taken/back&last_event_id=${encodeURIComponent(from)}`);
      assert.equal((await client.next()).data, "2");
    }
  });

  test("unknown fields are ignored", async () => {
    await hub.published({ topic: "a", data: "x", foo: "bar", match: "x", Topic: "*", "topic[]": "*" });
  });

  for (const [what, fields] of [
    ["no topic", "data=x"],
    ["the topic *", "topic=*"],
    ["* among others", "topic=a&topic=*"],
    ["an empty topic", "topic="],
    ["a control character in a topic", "topic=a%0Ab"],
    ["DEL in a topic", "topic=a%7F"],
    ["a C1 character in a topic", "topic=a%C2%9F"],
    ["an invisible character in a topic", "topic=a%E2%80%AE"],
    ["a topic that is not UTF-8", "topic=%FF"],
    ["data that is not UTF-8", "topic=a&data=%FF"],
    ["an id that begins with #", "topic=a&id=%231"],
    ["the id earliest", "topic=a&id=earliest"],
    ["a line end in the id", "topic=a&id=1%0Adata%3A%20x"],
    ["an invisible character in the id", "topic=a&id=1%E2%80%8B"],
    ["the type mercure", "topic=a&type=mercure"],
    ["a line end in the type", "topic=a&type=x%0Ddata%3A%20x"],
    ["a retry of other than digits", "topic=a&retry=1s"],
    ["a negative retry", "topic=a&retry=-1"],
  ] as const) {
    test(`${what}: 400, and nothing is dispatched`, async (t) => {
      const client = await hub.open(t, "match=*");
      assert.equal((await hub.publish(fields)).status, 400);
      assert.deepEqual(await hub.before("last", client), [[]]);
    });
  }

  for (const topic of [
    HUB,
    `${HUB}/subscriptions/exact/a/b`,
    "/.well-known/%6Dercure/x",
    "/.well-known/mercure/../mercure/x",
    "https://elsewhere.example/.well-known/mercure",
    "mercure/subscriptions/exact/a/b",
    "ftp://x/%2Ewell-known/mercure#f",
  ]) {
    test(`the hub's namespace is reserved, also for a token that grants everything: ${topic}`, async () => {
      assert.equal((await hub.publish({ topic })).status, 400);
      assert.equal((await hub.publish({ topic: ["a", topic] })).status, 400);
    });
  }

  test("too large: data, a topic, all topics, 1,001 topics: 413", async () => {
    for (const fields of [
      { topic: "a", data: "x".repeat(100_001) },
      { topic: "x".repeat(4_097) },
      { topic: Array.from({ length: 60 }, (_, i) => `${i} ${"x".repeat(2_000)}`) },
      { topic: Array.from({ length: 1_001 }, (_, i) => `${i}`) },
    ])
      assert.equal((await hub.publish(fields)).status, 413);
    assert.equal((await hub.publish({ topic: "a", data: "x".repeat(99_000) })).status, 200);
  });

  test("a body above what Mongrel2 takes: 413, and the next one is served", async () => {
    assert.equal((await hub.publish({ topic: "a", data: "x".repeat(400_000) })).status, 413);
    await hub.published({ topic: "a" });
  });

  test("a body of a type that is not supported: 415, with the types that are", async () => {
    const { status, headers } = await hub.publish("topic=a", undefined, { "content-type": "text/plain" });
    assert.equal(status, 415);
    assert.match(String(headers["accept-post"]), /^application\/x-www-form-urlencoded, /);
  });

  for (const word of ["private=on", "private=", "private", "private=0"]) {
    test(`${word} makes the update private`, async (t) => {
      const insider = await hub.open(t, "match=*", {
        headers: { authorization: `Bearer ${await access([detail(["subscribe"], ["a"])])}` },
      });
      const outsider = await hub.open(t, "match=*");
      await hub.published(`topic=a&data=x&${word}`);
      assert.deepEqual(await hub.before("last", insider, outsider), [["x"], []]);
    });
  }

  test("a private update reaches clients that were granted any of its topics", async (t) => {
    const open = async (topic: unknown) =>
      hub.open(t, "match=a&match=last", {
        headers: { authorization: `Bearer ${await access([detail(["subscribe"], [topic])])}` },
      });
    const clients = [await open("a"), await open("b"), await open(pattern("/.well-known/:x")), await open("c")];
    await hub.published({ topic: ["a", "b"], data: "x", private: "on" });
    assert.deepEqual(await hub.before("last", ...clients), [["x"], ["x"], ["x"], []]);
  });

  test("publishing needs a grant for each topic: else 403, and nothing is dispatched to any", async (t) => {
    const client = await hub.open(t, "match=a&match=b&match=last");
    const token = await access([detail(["publish"], ["a"]), detail(["subscribe"], ["*"])]);
    const { status, headers } = await hub.publish({ topic: ["a", "b"], data: "x" }, token);
    assert.equal(status, 403);
    assert.match(headers["www-authenticate"] ?? "", /^Bearer error="insufficient_scope", resource_metadata="[^"]+"$/);
    assert.equal((await hub.publish({ topic: "b" }, token)).status, 403);
    assert.equal((await hub.publish({ topic: "a", data: "good" }, token)).status, 200);
    assert.deepEqual(await hub.before("last", client), [["good"]]);
  });

  for (const [what, data, seen] of [
    ["LF", "a\nb", "a\nb"],
    ["CRLF", "a\r\nb", "a\nb"],
    ["CR", "a\rb", "a\nb"],
    ["a CR at the end", "a\r", "a\n"],
    ["a space at the beginning", "  a", "  a"],
    ["nothing", "", ""],
    ["what would be a field", "x\nevent: evil\nid: 666\n\ndata: y", "x\nevent: evil\nid: 666\n\ndata: y"],
    ["NUL", "a\0b", "a\0b"],
    ["a byte order mark", "\ufeffa", "\ufeffa"],
    ["text of any kind", "é 😀 \u2028 <b>&amp;</b>", "é 😀 \u2028 <b>&amp;</b>"],
  ] as const) {
    test(`data that holds ${what} arrives as a browser can show it, and as nothing else`, async (t) => {
      const client = await hub.open(t, "match=a");
      const id = await hub.published({ topic: "a", data });
      await client.until(({ lastEventId }) => lastEventId === id, "the event");
      const end = await hub.published({ topic: "a", data: "end" });
      await client.until(({ lastEventId }) => lastEventId === end, "the next one");
      assert.deepEqual(
        client.events.map((event) => [event.type, event.data]),
        [
          ["message", seen],
          ["message", "end"],
        ],
      );
    });
  }

  test("one connection, many publishes: each is answered, in order", async (t) => {
    const client = await hub.open(t, "match=a");
    const { RawConnection } = await import("../../support/sse-client.js");
    const connection = new RawConnection(hub.pair.mongrel2.port);
    const token = await access([detail(["publish"], ["a"])]);
    const post = (data: string) =>
      `POST ${HUB} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${data.length}\r\n\r\n${data}`;
    connection.write([1, 2, 3, 4, 5].map((event) => post(`topic=a&data=${event}`)).join(""));
    await connection.until(({ text }) => text.match(/HTTP\/1\.1 200 OK/g)?.length === 5, "five answers");
    await client.until(({ events }) => events.length === 5, "five events");
    assert.deepEqual(
      client.events.map(({ data }) => data),
      ["1", "2", "3", "4", "5"],
    );
    const ids = [...connection.text.matchAll(/\r\n\r\n(\S+\.\d+?)(?=HTTP|$)/g)].map(([, id]) => id);
    assert.deepEqual(
      client.events.map(({ id }) => id),
      ids,
    );
    assert.equal(connection.isClosed, false);
    connection.close();
  });
});
