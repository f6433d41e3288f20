/** The list of active subscriptions: what it shows, to whom, and when it is sent again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Subscriber } from "../../src/delivery/subscriber.js";
import { detail, everything, everythingV8, HUB, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const LIST = `${HUB}/subscriptions`;
const pattern = (value: string) => ({ match: value, match_type: "urlpattern" });

interface Document {
  readonly [name: string]: unknown;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Opens a stream and resolves when it is there. */
async function open(web: Web, query: string): Promise<number> {
  const id = web.send(HUB, { query });
  await web.until(id, 1);
  return id;
}

describe("Subscriptions", () => {
  test("the list: all, one matcher's, one; what is not there is a 404, an unknown type a 400", async () => {
    const web = await Web.open();
    await open(web, "match=a%2Fb&match=c");
    await open(web, "match=c");
    await open(web, "topic=c");
    const headers = bearer(await everythingV8());
    const get = async (path: string) => {
      const answer = await web.get(`${HUB}/subscriptions${path}`, { headers });
      return {
        status: answer.status,
        type: answer.headers["content-type"],
        json: JSON.parse(answer.status === 200 ? answer.body : "{}"),
      };
    };
    const { status, type, json } = await get("");
    assert.deepEqual(
      [status, type, json.id, json.type],
      [200, "application/json", `${HUB}/subscriptions`, "subscriptions"],
    );
    const matches = (list: Document[]) => list.map(({ match }) => match);
    assert.deepEqual(matches(json.subscriptions), ["a/b", "c", "c"]);
    assert.deepEqual(matches((await get("/exact/c")).json.subscriptions), ["c", "c"]);
    assert.equal((await get("/exact/c")).json.id, `${HUB}/subscriptions/exact/c`);
    assert.deepEqual((await get("/urlpattern/c")).json.subscriptions, []);
    const [first] = json.subscriptions;
    assert.deepEqual((await get(first.id.slice(`${HUB}/subscriptions`.length))).json, { ...first, active: true });
    for (const missing of [
      "/exact/c/urn%3Auuid%3Anobody",
      "/exact",
      "/exact/a/b/c/d",
      "/exact/%ff",
      `/urlpattern/a%2Fb/${encodeURIComponent(first.subscriber)}`,
    ])
      assert.equal((await get(missing)).status, 404, missing);
    assert.equal((await get("/topic/c")).status, 400);
    assert.equal((await web.get(`${HUB}/subscriptionsX`, { headers })).status, 404);
  });

  test("the list in 0.x: JSON-LD, with the last event id in it", async () => {
    const web = await Web.open();
    await open(web, "topic=a");
    await open(web, "match=b");
    await web.post("topic=x");
    const headers = bearer(await everything());
    const { headers: got, body } = await web.get(LIST, { headers });
    const list = JSON.parse(body);
    assert.equal(got["content-type"], "application/ld+json");
    const last = `#${web.history.epoch}.1`;
    assert.deepEqual(
      [list["@context"], list.type, list.id, list.lastEventID],
      ["https://mercure.rocks/", "Subscriptions", LIST, last],
    );
    assert.deepEqual(
      list.subscriptions.map((it: Document) => it.topic),
      ["a"],
    );
    const one = await web.get(list.subscriptions[0].id, { headers });
    assert.deepEqual(JSON.parse(one.body), { ...list.subscriptions[0], lastEventID: last });
  });

  test("the answer says where the events go on, and is not sent again while nothing has changed", async () => {
    const web = await Web.open();
    const headers = bearer(await everythingV8());
    const first = await web.get(LIST, { headers });
    assert.equal(
      first.headers.link,
      `<${HUB}>; rel="mercure"; last-event-id="earliest"; type="mercure"; content-type="application/json"`,
    );
    assert.equal(first.headers["cache-control"], "must-revalidate");
    const tag = first.headers.etag ?? "";
    assert.match(tag, /^"[^"]+"$/);
    const again = (value: string) => web.get(LIST, { headers: { ...headers, "if-none-match": value } });
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
      const { status, headers: got, body } = await again(known);
      assert.deepEqual([status, got.etag, body], [304, tag, ""]);
    }
    assert.equal((await again('"other"')).status, 200);
    await open(web, "match=a");
    const changed = await again(tag);
    assert.equal(changed.status, 200);
    const id = `#${web.history.epoch}\\.0\\.${web.presence.log.instance}\\.1`;
    assert.match(changed.headers.link ?? "", new RegExp(`last-event-id="${id}"`));
  });

  test("another process has other tags, though its history goes on: what it tells is not what the last one told", async () => {
    const [one, other] = [await Web.open(), await Web.open()];
    const headers = bearer(await everythingV8());
    const [first, second] = [await one.get(LIST, { headers }), await other.get(LIST, { headers })];
    assert.notEqual(first.headers.etag, second.headers.etag);
  });

  test("the list needs a token that grants its address: 401 without, 403 with another; anonymous or not", async () => {
    const web = await Web.open();
    assert.equal((await web.get(LIST)).status, 401);
    const get = async (path: string, token: string) =>
      (await web.get(`${HUB}/subscriptions${path}`, { headers: bearer(token) })).status;
    assert.equal(await get("", await tokenV8([detail(["subscribe"], ["a"])])), 403);
    assert.equal(await get("", await tokenV8([detail(["publish"], ["*"])])), 403);
    const exact = await tokenV8([detail(["subscribe"], [`${HUB}/subscriptions`])]);
    assert.deepEqual([await get("", exact), await get("/exact/a", exact)], [200, 403]);
    for (const value of [`${HUB}/subscriptions/exact/:x`, `http://localhost:6767${HUB}/subscriptions/exact/:x`]) {
      const wide = await tokenV8([detail(["subscribe"], [pattern(value)])]);
      assert.deepEqual([await get("", wide), await get("/exact/a", wide)], [403, 200]);
    }
    const v0 = await tokenV0({ subscribe: [`${HUB}/subscriptions{/topic}`] });
    assert.deepEqual([await get("", v0), await get("/a", v0), await get("/a/b", v0)], [200, 200, 403]);
  });

  test("the query of the request is no part of the address that is granted", async () => {
    const web = await Web.open();
    const token = await tokenV8([detail(["subscribe"], [`${HUB}/subscriptions`])]);
    assert.equal((await web.get(LIST, { query: "x=1", headers: bearer(token) })).status, 200);
  });

  test("who is subscribed at another daemon is in the list and has an address here, once while it is moving", async () => {
    const there: Subscriber = { id: "urn:uuid:there", subscriptions: [{ kind: "exact", match: "a" }] };
    const told: string[] = [];
    let elsewhere: readonly Subscriber[] = [there];
    const others = {
      joined: (subscriber: Subscriber) => void told.push(`joined ${subscriber.id}`),
      changed: ({ id }: Subscriber) => void told.push(`changed ${id}`),
      left: ({ id }: Subscriber) => void told.push(`left ${id}`),
      observe() {},
      subscribers: () => elsewhere,
      changes: 0,
    };
    const web = await Web.open({ others });
    await open(web, "match=a");
    const id = told[0]?.slice("joined ".length) ?? "";
    const headers = bearer(await everythingV8());
    const list = async () => JSON.parse((await web.get(LIST, { headers })).body).subscriptions as Document[];
    const listed = await list();
    assert.deepEqual(listed.map(({ subscriber }) => subscriber).sort(), [id, there.id].sort());
    elsewhere = [there, { ...there, id }];
    assert.equal((await list()).length, 2);
    for (const { id: address } of listed) assert.equal((await web.get(String(address), { headers })).status, 200);
    elsewhere = [];
    assert.deepEqual(
      (await list()).map(({ subscriber }) => subscriber),
      [id],
    );
  });

  test("a list of many is complete, made a little at a time: who asks for something short meanwhile is answered first", async () => {
    const web = await Web.open();
    for (let at = 0; at < 1000; at++) web.send(HUB, { query: `match=${at}&match=x` });
    const headers = bearer(await everythingV8());
    const order: string[] = [];
    const noted = (what: string) => () => order.push(what);
    const id = web.send(LIST, { headers });
    void web.until(id, 1).then(noted("list"));
    await turn();
    await web.get("/.well-known/oauth-protected-resource/.well-known/mercure").then(noted("metadata"));
    await web.until(id, 1);
    assert.deepEqual(order, ["metadata", "list"]);
    let pieces = 1;
    for (; web.outlet.pendingFences > 0; pieces++) {
      web.outlet.acknowledgeAll();
      await turn();
    }
    assert.ok(pieces > 1 && pieces <= 12, `${pieces} pieces, each after the one before was taken`);
    const { subscriptions } = JSON.parse(web.responses(id)[0]?.body ?? "") as { subscriptions: Document[] };
    assert.equal(new Set(subscriptions.map((it) => it.id)).size, 2000);
  });

  test("of many lists that are asked for at a time the last are 503: come again", async () => {
    const web = await Web.open();
    const headers = bearer(await everythingV8());
    const asked = await Promise.all(Array.from({ length: 40 }, () => web.get(LIST, { headers })));
    const busy = asked.filter(({ status }) => status === 503);
    assert.ok(busy.length > 0 && busy.length < 40);
    assert.equal(busy[0]?.headers["retry-after"], "1");
    assert.equal((await web.get(LIST, { headers })).status, 200);
  });
});
