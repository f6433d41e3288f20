/** A publisher that counts its ids from 1 after each of its starts, and browsers that come back with such an id. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, tokenV0, Web } from "./harness.js";

/** Two starts of a publisher: ids 1 to 3 of the first, 1 and 2 of the second, and what came behind. */
async function open() {
  const web = await Web.open();
  const token = await tokenV0({ publish: ["*"] });
  for (const [id, data] of [
    [1, "a1"],
    [2, "a2"],
    [3, "a3"],
    [1, "b1"],
    [2, "b2"],
  ] as const) {
    assert.equal((await web.post(`topic=news&id=${id}&data=${data}`, { token })).status, 200);
  }
  return web;
}

const stream = async (web: Web, path: string, headers: Record<string, string>, query = "topic=news") => {
  const id = web.send(path, { query, headers });
  await web.until(id, 1);
  return web.events(id).filter((data) => data !== "{}");
};

describe("An id that a publisher used again", () => {
  test("stands for its newest event on the plain address, as a header and in the address", async () => {
    const web = await open();
    assert.deepEqual(await stream(web, "/esupdates", { "last-event-id": "1" }), ["b2"]);
    assert.deepEqual(await stream(web, "/esupdates", {}, "topic=news&lastEventId=1"), ["b2"]);
    assert.deepEqual(await stream(web, "/esupdates", { "last-event-id": "2" }), []);
    assert.deepEqual(await stream(web, "/esupdates", { "last-event-id": "3" }), ["b1", "b2"]);
  });

  test("stands for its oldest event on the hub, as Mercure has it", async () => {
    const web = await open();
    assert.deepEqual(await stream(web, HUB, { "last-event-id": "1" }), ["a2", "a3", "b1", "b2"]);
  });
});
