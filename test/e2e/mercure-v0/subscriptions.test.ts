/** Active subscriptions as Mercure 0.x has them (JSON-LD), through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessToAll, bearer, form, HUB, mercure, old, oldForAll, SUBSCRIPTIONS } from "../mercure.js";

const hub = mercure();
const watch = form({ topic: `${SUBSCRIPTIONS}{/topic}{/subscriber}` });
const watching = async () => ({ headers: bearer(await oldForAll()) });
const list = async (path = "", token?: string) =>
  hub.ask("", { path: `${SUBSCRIPTIONS}${path}`, headers: bearer(token ?? (await oldForAll())) });

describe("Mercure 0.x, end to end: Subscriptions", () => {
  test("coming and going is told to who watches, as JSON-LD, private, without an event type", async (t) => {
    const watcher = await hub.open(t, watch, await watching());
    const stranger = await hub.open(t, `${watch}&topic=*`);
    const token = await old({ subscribe: [], payload: { user: { name: "u" } } });
    const client = await hub.open(t, form({ topic: "https://e.com/{id}" }), { headers: bearer(token) });
    await client.close();
    const events = [];
    for (let event = 0; event < 2; event++) events.push(await watcher.next(({ data }) => data.includes("e.com")));
    const [came, went] = events.map(({ data }) => JSON.parse(data));
    assert.deepEqual(came, {
      "@context": "https://mercure.rocks/",
      id: `${SUBSCRIPTIONS}/https%3A%2F%2Fe.com%2F%7Bid%7D/${encodeURIComponent(came.subscriber)}`,
      type: "Subscription",
      topic: "https://e.com/{id}",
      subscriber: came.subscriber,
      active: true,
      payload: { user: { name: "u" } },
    });
    assert.deepEqual(went, { ...came, active: false });
    assert.deepEqual(
      events.map(({ type }) => type),
      ["message", "message"],
    );
    assert.doesNotMatch(stranger.text, /Subscription/);
  });

  test("the list: all, of one topic, and one, with the last event id in the body", async (t) => {
    await hub.open(t, form({ topic: ["https://e.com/a", "b"] }));
    const answer = await list();
    const all = JSON.parse(answer.text);
    assert.equal(answer.headers["content-type"], "application/ld+json");
    assert.deepEqual([all.id, all.type, all["@context"]], [SUBSCRIPTIONS, "Subscriptions", "https://mercure.rocks/"]);
    assert.equal(typeof all.lastEventID, "string");
    assert.match(answer.headers.link?.toString() ?? "", new RegExp(`^<${HUB}>; rel="mercure"; last-event-id="[^"]+"$`));
    const of = JSON.parse((await list(`/${encodeURIComponent("https://e.com/a")}`)).text);
    assert.deepEqual(
      of.subscriptions.map((it: { topic: string }) => it.topic),
      ["https://e.com/a"],
    );
    const one = JSON.parse((await list(of.subscriptions[0].id.slice(SUBSCRIPTIONS.length))).text);
    assert.deepEqual(one, { ...of.subscriptions[0], lastEventID: one.lastEventID });
    assert.equal((await list("/b/urn%3Auuid%3Anobody")).status, 404);
    assert.equal((await list("/a/b/c")).status, 404);
  });

  test("the list needs a grant for its address", async () => {
    assert.equal((await hub.ask("", { path: SUBSCRIPTIONS })).status, 401);
    assert.equal((await list("", await old({ subscribe: ["a"] }))).status, 403);
    const token = await old({ subscribe: [`${SUBSCRIPTIONS}{/topic}`] });
    assert.deepEqual(
      [(await list("", token)).status, (await list("/a", token)).status, (await list("/a/b", token)).status],
      [200, 200, 403],
    );
  });

  test("each dialect lists its own: what is shown follows the token", async (t) => {
    await hub.open(t, "topic=shared");
    await hub.open(t, "match=shared");
    const oldOnes = JSON.parse((await list("/shared")).text);
    assert.deepEqual(
      oldOnes.subscriptions.map((it: { topic: string }) => it.topic),
      ["shared"],
    );
    const newOnes = JSON.parse((await list("/exact/shared", await accessToAll())).text);
    assert.deepEqual(
      newOnes.subscriptions.map((it: { match: string }) => it.match),
      ["shared"],
    );
  });
});
