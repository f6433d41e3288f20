import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseForm } from "../../src/http/form.js";
import { v0 } from "../../src/http/mercure/v0.js";
import { everything, HUB, tokenV0, Web } from "./harness.js";

const URL_OF_HUB = new URL(`https://hub.example${HUB}`);
const refused = { code: "invalid" };

describe("Mercure v0", () => {
  test("each topic parameter is a topic, a template or everything", () => {
    const asked = v0.requestedSelectors(parseForm("topic=a&topic=b%2F%7Bid%7D&topic=*&other=1"));
    assert.deepEqual(
      asked.map(({ selects, kind, value }) => [selects, kind, value]),
      [
        ["template", "topic", "a"],
        ["template", "topic", "b/{id}"],
        ["template", "topic", "*"],
      ],
    );
  });

  test("no topic is an error, and so are 101", () => {
    assert.throws(() => v0.requestedSelectors(parseForm("x=1")), refused);
    assert.equal(v0.requestedSelectors(parseForm("topic=a&".repeat(100))).length, 100);
    assert.throws(() => v0.requestedSelectors(parseForm("topic=a&".repeat(101))), refused);
  });

  test("the last event id has the name that it has now, or the one it had before", () => {
    assert.equal(v0.lastEventId(parseForm("last_event_id=a")), "a");
    assert.equal(v0.lastEventId(parseForm("event_id=a")), undefined);
    assert.equal(v0.lastEventId(parseForm("Last-Event-ID=a")), "a");
    assert.equal(v0.lastEventId(parseForm("Last-Event-ID=a&lastEventID=b")), "b");
    assert.equal(v0.lastEventId(parseForm("lastEventID=")), "");
  });

  test("the hub's path is reserved wherever it stands in a topic", () => {
    for (const topic of [HUB, `https://a.example${HUB}/x`, `x${HUB}y`, "/.well-known/%6Dercure"])
      assert.equal(v0.isReserved(topic, URL_OF_HUB), true, topic);
    for (const topic of ["a", "/.well-known/x", "https://a.example/", "#general", "?page=1"])
      assert.equal(v0.isReserved(topic, URL_OF_HUB), false, topic);
  });

  test("a subscription's address has each part encoded once, as a whole", () => {
    const subscriber = { id: "urn:uuid:1", subscriptions: [] };
    const path = v0.pathOf({ subscriber, subscribed: { kind: "topic", match: "https://e.com/{id}" } });
    assert.equal(path, "/https%3A%2F%2Fe.com%2F%7Bid%7D/urn%3Auuid%3A1");
    const segments = path.slice(1).split("/").map(decodeURIComponent);
    assert.deepEqual(v0.parsePath(segments), { match: "https://e.com/{id}", subscriber: "urn:uuid:1" });
    assert.deepEqual(v0.parsePath([]), {});
    assert.equal(v0.parsePath(["a", "b", "c"]), undefined);
  });

  test("a topic is taken as it stands and as a template, both", async () => {
    const web = await Web.open();
    const [template, exact] = [
      web.send(HUB, { query: "topic=https%3A%2F%2Fe.com%2Fbooks%2F%7Bid%7D" }),
      web.send(HUB, { query: "topic=https%3A%2F%2Fe.com%2Fbooks%2F1" }),
    ];
    for (const id of ["1", "2", "%7Bid%7D", "1/2"])
      await web.post(`topic=${encodeURIComponent(`https://e.com/books/${decodeURIComponent(id)}`)}&data=${id}`);
    assert.deepEqual(web.events(template), ["1", "2", "{id}"]);
    assert.deepEqual(web.events(exact), ["1"]);
  });

  test("a reserved topic is a 403, whatever the token grants", async () => {
    const web = await Web.open();
    for (const topic of [`${HUB}/subscriptions/x/y`, `https://a.example${HUB}`])
      assert.equal((await web.post(`topic=a&topic=${encodeURIComponent(topic)}`)).status, 403);
    assert.equal(web.history.last, 0);
  });

  test("with 0.x alone nothing of draft-08 is understood but the name of the last event id, which libraries choose", async () => {
    const web = await Web.open({ config: '[hub]\nprotocol = "0.x"' });
    assert.equal((await web.get(HUB, { query: "match=a" })).status, 400);
    const { headers } = await web.get(HUB, { query: "topic=a&match=b&last_event_id=x" });
    assert.deepEqual([headers["last-event-id"], headers["mercure-last-event-id"]], ["earliest", undefined]);
  });

  test("the claim named by a URL wins over the short one", async () => {
    const web = await Web.open();
    const token = await tokenV0({ publish: ["*"] }, { "https://mercure.rocks/": { publish: ["a"] } });
    assert.equal((await web.post("topic=a", { token })).status, 200);
    assert.equal((await web.post("topic=b", { token })).status, 403);
  });

  test("the token may come in the query and in the cookie, the header first, then the query", async () => {
    const web = await Web.open({ config: "[auth]\nanonymous = false" });
    const good = await everything();
    const at = async (query: string, headers: Record<string, string>) =>
      (await web.get(HUB, { query: `topic=a${query}`, headers })).status;
    const cookie = (token: string) => ({ cookie: `mercureAuthorization=${token}` });
    assert.equal(await at(`&authorization=${good}`, {}), 200);
    assert.equal(await at("", cookie(good)), 200);
    assert.equal(await at(`&authorization=${good}`, cookie("a.b.c")), 200);
    assert.equal(await at("&authorization=a.b.c", cookie(good)), 401);
    assert.equal(await at(`&authorization=${good}`, { authorization: "Bearer a.b.c" }), 401);
  });
});
