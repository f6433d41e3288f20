/** Mercure 0.x (draft-07, what symfony/mercure and its like speak), through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SseClient } from "../../support/sse-client.js";
import { bearer, form, HUB, inSeconds, mercure, old, oldForAll, SUBSCRIPTIONS, sign } from "../mercure.js";

const hub = mercure();
const told = ({ headers }: SseClient) => headers["last-event-id"];
const topics = (...topic: string[]) => form({ topic });
/** Publishes with a token of 0.x. */
const publish = async (fields: Record<string, string | string[]>, token?: string) =>
  hub.publish(fields, token ?? (await oldForAll()));

describe("Mercure 0.x, end to end: Hub", () => {
  test("topic: a topic as it stands, a URI template, and everything", async (t) => {
    const clients = [
      await hub.open(t, topics("https://e.com/books/1", "last")),
      await hub.open(t, topics("https://e.com/books/{id}", "last")),
      await hub.open(t, topics("*")),
      await hub.open(t, topics("https://e.com/{a}", "https://e.com/books/1", "last")),
    ];
    for (const id of ["1", "2", "a/b", "{id}"]) await publish({ topic: `https://e.com/books/${id}`, data: id });
    assert.deepEqual(await hub.before("last", ...clients), [
      ["1"],
      ["1", "2", "{id}"],
      ["1", "2", "a/b", "{id}"],
      ["1"],
    ]);
  });

  test("no topic: 400", async () => {
    for (const query of ["", "x=1", "Topic=a"]) assert.equal((await hub.ask(query)).status, 400);
  });

  test("publishing: 200 and the id; alternates, private, id, type and retry are fields of the form", async (t) => {
    const token = await old({ subscribe: ["b"] });
    const insider = await hub.open(t, topics("a", "last"), { headers: bearer(token) });
    const outsider = await hub.open(t, topics("a", "last"));
    const { status, text } = await publish({
      topic: ["a", "b"],
      data: "x",
      private: "on",
      id: "urn:x:1",
      type: "order",
      retry: "42",
    });
    assert.deepEqual([status, text], [200, "urn:x:1"]);
    const event = await insider.next();
    assert.deepEqual([event.id, event.type, event.data, insider.retry], ["urn:x:1", "order", "x", 42]);
    assert.deepEqual(await hub.before("last", insider, outsider), [["x"], []]);
  });

  test("no topic to publish to: 400; a reserved one: 403; one that is not granted: 403, and nothing is dispatched", async (t) => {
    const client = await hub.open(t, topics("*"));
    assert.equal((await publish({ data: "x" })).status, 400);
    for (const topic of [HUB, `${SUBSCRIPTIONS}/x/y`, `https://a.example${HUB}/x`])
      assert.equal((await publish({ topic })).status, 403);
    const token = await old({ publish: ["https://e.com/{x}"], subscribe: ["*"] });
    assert.equal((await publish({ topic: ["https://e.com/1", "a"], data: "x" }, token)).status, 403);
    assert.equal((await publish({ topic: "https://e.com/1", data: "good" }, token)).status, 200);
    assert.deepEqual(await hub.before("last", client), [["good"]]);
  });

  test("more than 1,000 topics: 400", async () => {
    assert.equal((await publish({ topic: Array.from({ length: 1_001 }, (_, i) => `${i}`) })).status, 400);
  });

  test("tokens need neither typ, exp, iss nor aud; exp and nbf count where they are", async () => {
    const claim = { mercure: { publish: ["*"] } };
    for (const [more, status] of [
      [{}, 200],
      [{ exp: inSeconds(60), nbf: inSeconds(-60) }, 200],
      [{ exp: inSeconds(-60) }, 401],
      [{ nbf: inSeconds(600) }, 401],
      [{ iss: "anybody", aud: "anything" }, 200],
    ] as const)
      assert.equal(
        (await publish({ topic: "a" }, await sign({ ...claim, ...more }))).status,
        status,
        JSON.stringify(more),
      );
    assert.equal((await publish({ topic: "a" }, await sign(claim, "anything"))).status, 200);
    assert.equal(
      (await publish({ topic: "a" }, await sign(claim, undefined, "another secret of more than 32 bytes"))).status,
      401,
    );
    assert.equal((await publish({ topic: "a" }, await sign({ sub: "no claim of ours" }))).status, 401);
  });

  test("the claim may be named by a URL, and then wins", async () => {
    const both = { mercure: { publish: ["*"] }, "https://mercure.rocks/": { publish: ["a"] } };
    assert.equal((await publish({ topic: "a" }, await sign(both))).status, 200);
    assert.equal((await publish({ topic: "b" }, await sign(both))).status, 403);
  });

  test("a token comes in the header, in the query parameter authorization, or in the cookie mercureAuthorization", async (t) => {
    const token = await old({ subscribe: ["*"] });
    const clients = [
      await hub.open(t, topics("a", "last"), { headers: bearer(token) }),
      await hub.open(t, `${topics("a", "last")}&authorization=${token}`),
      await hub.open(t, topics("a", "last"), { headers: { cookie: `mercureAuthorization=${token}` } }),
      await hub.open(t, topics("a", "last")),
    ];
    await publish({ topic: "a", data: "secret", private: "on" });
    assert.deepEqual(await hub.before("last", ...clients), [["secret"], ["secret"], ["secret"], []]);
  });

  test("the header counts before the query, the query before the cookie", async () => {
    const token = await oldForAll();
    const status = (query: string, headers = {}) => hub.status(`topic=a${query}`, { headers });
    assert.equal(await status(`&authorization=${token}`, bearer("a.b.c")), 401);
    assert.equal(await status("&authorization=a.b.c", { cookie: `mercureAuthorization=${token}` }), 401);
    assert.equal(await status("", { cookie: "mercureAuthorization=a.b.c" }), 401);
  });

  test("no token, or one that is not good, to publish: 401", async () => {
    assert.equal((await hub.publish({ topic: "a" }, null)).status, 401);
    assert.equal((await hub.publish({ topic: "a" }, "a.b.c")).status, 401);
  });

  test("a publisher's token in a cookie counts only for pages of allowed origins", async () => {
    const cookie = `mercureAuthorization=${await oldForAll()}`;
    assert.equal((await hub.publish({ topic: "a" }, null, { cookie, origin: "http://localhost:6767" })).status, 200);
    assert.equal((await hub.publish({ topic: "a" }, null, { cookie, origin: "https://evil.example" })).status, 400);
  });

  test("the stream is closed when its token expires", async (t) => {
    const exp = inSeconds(5);
    const client = await hub.open(t, "topic=a", { headers: bearer(await old({ subscribe: ["*"] }, { exp })) });
    await client.until(({ isClosed }) => isClosed, "the end of the stream");
    assert.ok(Date.now() / 1000 >= exp);
  });

  test("lastEventID, Last-Event-ID in the query, and the header, which wins; the response says where it begins", async (t) => {
    const [first, second] = [
      await hub.published({ topic: "r", data: "1" }),
      await hub.published({ topic: "r", data: "2" }),
    ];
    await hub.published({ topic: "r", data: "3" });
    for (const [query, headers, cursor, expected] of [
      [`lastEventID=${first}`, {}, first, ["2", "3"]],
      [`Last-Event-ID=${first}`, {}, first, ["2", "3"]],
      [`lastEventID=${first}`, { "last-event-id": second }, second, ["3"]],
      ["lastEventID=earliest", {}, "earliest", ["1", "2", "3"]],
    ] as const) {
      const client = await hub.open(t, `topic=r&${query}`, { headers });
      assert.equal(told(client), cursor);
      await client.until(({ events }) => events.length === expected.length, "the replay");
      assert.deepEqual(
        client.events.map(({ data }) => data),
        expected,
      );
    }
    const lost = await hub.open(t, "topic=r&lastEventID=urn%3Anever");
    assert.equal(told(lost), "earliest");
    assert.equal((await lost.next()).type, "m2push-gap");
    assert.equal(told(await hub.open(t, "topic=r")), undefined);
  });

  test("the plain stream takes topics and tokens as 0.x does", async (t) => {
    const path = "/esupdates";
    const token = await old({ subscribe: ["a"] });
    const all = await hub.open(t, "", { path });
    const some = await hub.open(t, topics("a", "last"), { path, headers: bearer(token) });
    await publish({ topic: "a", data: "private", private: "on" });
    await publish({ topic: "b", data: "public" });
    assert.deepEqual(await hub.before("last", all, some), [["public"], ["private"]]);
  });
});
