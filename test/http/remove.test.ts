/** DELETE of the hub's address: stored events are taken back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, everything, HUB, type Response, tokenV0, tokenV8, Web } from "./harness.js";

/** Sends a DELETE; `token` null = none. */
async function remove(web: Web, query: string, token?: string | null, more = {}): Promise<Response> {
  const bearer = token === undefined ? await everything() : token;
  const headers = { ...(bearer !== null && { authorization: `Bearer ${bearer}` }), ...more };
  return web.get(HUB, { method: "DELETE", query, headers });
}

/** The data of everything that a client after `lastEventId` gets. */
async function replay(web: Web, lastEventId = "earliest"): Promise<string[]> {
  const headers = { authorization: `Bearer ${await tokenV0({ subscribe: ["{word}"] })}` };
  const id = web.send(HUB, { query: `topic=*&lastEventID=${encodeURIComponent(lastEventId)}`, headers });
  await web.until(id, 1);
  assert.doesNotMatch(web.outlet.received.get(id) ?? "", /m2push-gap/);
  return web.events(id);
}

describe("Remove", () => {
  test("takes back the events of a topic, and says how many there were", async () => {
    const web = await Web.open();
    for (const topic of ["a", "b", "a", "b&topic=a"]) await web.post(`topic=${topic}&data=${topic[0]}`);
    const { status, headers, body } = await remove(web, "topic=a");
    assert.deepEqual([status, headers["content-type"], body], [200, "application/json", '{"removed":3}\n']);
    assert.deepEqual(await replay(web), ["b"]);
    await web.post("topic=a&data=new");
    assert.deepEqual(await replay(web), ["b", "new"]);
  });

  test("takes back an event by its id, the hub's or its own", async () => {
    const web = await Web.open();
    const made = (await web.post("topic=a&data=1")).body;
    await web.post("topic=a&data=2&id=own");
    await web.post("topic=a&data=3");
    assert.equal((await remove(web, `id=${encodeURIComponent(made)}`)).status, 200);
    assert.equal((await remove(web, "id=own")).body, '{"removed":1}\n');
    assert.deepEqual(await replay(web), ["3"]);
    for (const id of [made, "own"]) assert.deepEqual(await replay(web, id), ["3"], "the id is still a position");
  });

  test("takes back everything before a time", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1");
    web.clock.advance(10_000);
    await web.post("topic=a&data=2");
    assert.equal((await remove(web, "before=2026-01-01T00:00:05Z")).body, '{"removed":1}\n');
    assert.deepEqual(await replay(web), ["2"]);
  });

  test("an event that is queued for a client is not sent to it", async () => {
    const web = await Web.open();
    const headers = { authorization: `Bearer ${await tokenV0({ subscribe: ["{word}"] })}` };
    const id = web.send(HUB, { query: "topic=*", headers });
    await web.until(id, 1);
    await web.post("topic=a&data=1");
    await web.post("topic=a&data=2");
    await web.post("topic=b&data=3");
    assert.deepEqual(web.outlet.events(id), ["1"], "the others wait for the fence");
    assert.equal((await remove(web, "topic=a")).status, 200);
    assert.deepEqual(web.events(id), ["1", "3"]);
    await web.post("topic=a&data=4");
    assert.deepEqual(web.events(id), ["1", "3", "4"]);
  });

  test("where nothing matches it is 404, and nothing is recorded", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1");
    for (const query of ["topic=b", "id=x", "id=%23other.1", "before=2020-01-01T00:00:00Z"]) {
      assert.equal((await remove(web, query)).status, 404, query);
    }
    assert.equal(web.history.last, 1);
  });

  test("needs a publisher's token that grants every topic of every event that is concerned, in both dialects", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1");
    await web.post("topic=a&topic=b&data=2");
    assert.equal((await remove(web, "topic=a", null)).status, 401);
    assert.equal((await remove(web, "topic=a", await tokenV0({ subscribe: ["*"] }))).status, 403);
    for (const token of [tokenV0({ publish: ["a"] }), tokenV8([detail(["publish"], ["a"])])]) {
      const { status, headers } = await remove(web, "topic=a", await token, { accept: "application/problem+json" });
      assert.deepEqual([status, headers["content-type"]], [403, "application/problem+json"]);
    }
    assert.equal(web.history.last, 2);
    assert.equal((await remove(web, "topic=a", await tokenV0({ publish: ["a", "b"] }))).status, 200);
    await web.post("topic=a&data=3");
    assert.equal((await remove(web, "topic=a", await tokenV8([detail(["publish"], ["a"])]))).status, 200);
    assert.deepEqual(await replay(web), []);
  });

  for (const query of ["", "topic=a&id=b", "topic=a&topic=b", "id=", "before=yesterday", "tpoic=a"]) {
    test(`names one thing to remove: 400 for "${query}"`, async () => {
      const web = await Web.open();
      await web.post("topic=a&data=1");
      const { status, body } = await remove(web, query);
      assert.equal(status, 400);
      assert.match(body, /topic, id or before|RFC 3339/);
    });
  }

  test("a condition sees the newest event that is left", async () => {
    const web = await Web.open();
    const first = (await web.post("topic=a&data=1")).body;
    const second = (await web.post("topic=a&data=2", { headers: { "if-match": `"${first}"` } })).body;
    await remove(web, `id=${encodeURIComponent(second)}`);
    assert.equal((await web.post("topic=a&data=3", { headers: { "if-match": `"${first}"` } })).status, 200);
  });

  test("pages of allowed origins may send it", async () => {
    const web = await Web.open({ config: '[auth]\ncors_origins = ["https://app.example"]' });
    const headers = { origin: "https://app.example", "access-control-request-method": "DELETE" };
    const preflight = await web.get(HUB, { method: "OPTIONS", headers });
    assert.match(preflight.headers["access-control-allow-methods"] ?? "", /\bDELETE\b/);
    const refused = await remove(web, "topic=a", null, headers);
    assert.equal(refused.headers["access-control-allow-origin"], "https://app.example");
  });
});
