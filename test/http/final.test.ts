/** Streams that end: `final` on a publication ends its topics until they are published to again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, HUB, tokenV0, tokenV8, Web } from "./harness.js";

interface Follower {
  readonly id: number;
  readonly status: number;
}

/** Opens a stream of a topic, or asks for one. */
async function follow(web: Web, query: string, lastEventId?: string, more = {}): Promise<Follower> {
  const headers = { ...(lastEventId !== undefined && { "last-event-id": lastEventId }), ...more };
  const id = web.send(HUB, { query, headers });
  const [response] = await web.until(id, 1);
  return { id, status: response?.status ?? 0 };
}

const isClosed = (web: Web, { id }: Follower) => web.outlet.closed.includes(id);
/** The data of the events of a stream, once everything was sent and acknowledged. */
const got = (web: Web, { id }: Follower) => web.events(id).filter((data) => data !== "{}");

describe("Final", () => {
  test("subscribers of only that topic get the event, then the end; others stay", async () => {
    const web = await Web.open();
    const only = await follow(web, "topic=a");
    const both = await follow(web, "topic=a&topic=b");
    const all = await follow(web, "topic=*");
    await web.post("topic=a&data=1");
    await web.post("topic=a&data=2&final");
    for (const it of [only, both, all]) assert.deepEqual(got(web, it), ["1", "2"]);
    assert.deepEqual(
      [only, both, all].map((it) => isClosed(web, it)),
      [true, false, false],
    );
    assert.equal(web.hub.clients, 2);
  });

  test("a client with the id of the final event gets 204; one that lacks something gets it, then the end", async () => {
    const web = await Web.open();
    const ids = [];
    for (const form of ["data=1", "data=2", "data=3&final&id=last"]) ids.push((await web.post(`topic=a&${form}`)).body);
    const had = await follow(web, "topic=a", "last");
    assert.equal(had.status, 204);
    assert.equal((await follow(web, `topic=a`, `#${web.history.epoch}.3`)).status, 204);
    const lacks = await follow(web, "topic=a", ids[0]);
    assert.deepEqual([lacks.status, got(web, lacks), isClosed(web, lacks)], [200, ["2", "3"], true]);
    const everything = await follow(web, "topic=a&lastEventID=earliest");
    assert.deepEqual([got(web, everything), isClosed(web, everything)], [["1", "2", "3"], true]);
    assert.equal(web.hub.clients, 0);
  });

  test("a new client gets 200 and the end, and a position with which it is told to stop", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1&final");
    await web.post("topic=b&data=2");
    const fresh = await follow(web, "topic=a");
    assert.deepEqual([fresh.status, got(web, fresh), isClosed(web, fresh)], [200, [], true]);
    const [, position = ""] = /\nid: (.*)\n/.exec(web.outlet.received.get(fresh.id) ?? "") ?? [];
    assert.equal((await follow(web, "topic=a", position)).status, 204);
  });

  test("a new client that asks for the state gets it, and then the end", async () => {
    const web = await Web.open();
    for (const form of ["data=1", "data=2", "data=3&final"]) await web.post(`topic=a&${form}`);
    for (const [query, expected] of [
      ["latest=1", ["3"]],
      ["last=2", ["2", "3"]],
      ["since=1h", ["1", "2", "3"]],
    ] as const) {
      const fresh = await follow(web, `topic=a&${query}`);
      assert.deepEqual([fresh.status, got(web, fresh), isClosed(web, fresh)], [200, expected, true], query);
    }
  });

  test("a topic that is published to again goes on", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1&final&id=one");
    await web.post("topic=a&data=2");
    const back = await follow(web, "topic=a", "one");
    assert.deepEqual([back.status, got(web, back), isClosed(web, back)], [200, ["2"], false]);
    await web.post("topic=a&data=3&final");
    assert.deepEqual([got(web, back), isClosed(web, back)], [["2", "3"], true]);
  });

  test("an event that follows the final one before it was sent keeps the stream open", async () => {
    const web = await Web.open();
    const only = await follow(web, "topic=a");
    await web.post("topic=a&data=1");
    await web.post("topic=a&data=2&final");
    await web.post("topic=a&data=3");
    assert.deepEqual([got(web, only), isClosed(web, only)], [["1", "2", "3"], false]);
  });

  test("the ended state goes with the event: with its ttl, when it is removed, and when it is trimmed", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1&final&ttl=5&id=one");
    assert.equal((await follow(web, "topic=a", "one")).status, 204);
    web.clock.advance(5000);
    assert.equal((await follow(web, "topic=a", "one")).status, 200);
    const { body: id } = await web.post("topic=b&data=1&final");
    assert.equal((await follow(web, "topic=b", id)).status, 204);
    const headers = { authorization: `Bearer ${await tokenV0({ publish: ["*"] })}` };
    assert.equal(
      (await web.get(HUB, { method: "DELETE", query: `id=${encodeURIComponent(id)}`, headers })).status,
      200,
    );
    const open = await follow(web, "topic=b", id);
    assert.deepEqual([open.status, isClosed(web, open)], [200, false]);
    await web.post("topic=c&data=1&final&id=three");
    for (let event = 0; event < 1_000; event++) await web.post("topic=d");
    assert.equal((await follow(web, "topic=c")).status, 200);
    assert.equal(web.hub.clients, 3);
  });

  test("a private final event ends the topic for those who may see it", async () => {
    const web = await Web.open();
    const headers = { authorization: `Bearer ${await tokenV8([detail(["subscribe"], ["a"])])}` };
    const granted = await follow(web, "match=a", undefined, headers);
    const stranger = await follow(web, "match=a");
    await web.post("topic=a&data=1&final&private&id=one");
    assert.deepEqual([got(web, granted), isClosed(web, granted)], [["1"], true]);
    assert.deepEqual([got(web, stranger), isClosed(web, stranger)], [[], false]);
    assert.equal((await follow(web, "match=a", "one", headers)).status, 204);
    assert.equal((await follow(web, "match=a", "one")).status, 200);
  });

  test("a thousand streams of one topic end, in several turns", async () => {
    const web = await Web.open({ config: "[stream]\nmax_per_address = 0" });
    const followers: Follower[] = [];
    for (let client = 0; client < 1000; client++) followers.push(await follow(web, "topic=a"));
    await web.post("topic=a&data=1&final");
    web.outlet.acknowledgeAll();
    for (let turn = 0; turn < 5; turn++) web.clock.advance(1);
    assert.equal(web.hub.clients, 0);
    assert.ok(followers.every((it) => isClosed(web, it)));
  });
});
