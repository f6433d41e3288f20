/** A hub that speaks draft-dunglas-mercure-08 only: nothing of 0.x is understood, but the names of the last event id. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { access, accessToAll, bearer, detail, HUB, mercure, oldForAll, pattern, SUBSCRIPTIONS } from "../mercure.js";

const hub = mercure({ config: { hub: { protocol: "draft-08" } } });

describe("Mercure draft 08, end to end: Alone", () => {
  test("topic= is refused, with a hint; alone and beside match=", async () => {
    for (const query of ["topic=a", "match=a&topic=b"]) {
      const { status, text } = await hub.ask(query);
      assert.equal(status, 400);
      assert.match(text, /match/);
    }
  });

  test("tokens of 0.x are refused, wherever they are", async () => {
    const token = await oldForAll();
    assert.equal(await hub.status("match=a", { headers: bearer(token) }), 401);
    assert.equal((await hub.publish({ topic: "a" }, token)).status, 401);
    assert.equal(
      (
        await hub.publish({ topic: "a" }, null, {
          cookie: `mercureAuthorization=${token}`,
          origin: "http://localhost:6767",
        })
      ).status,
      401,
    );
  });

  test("the query parameter authorization and the cookie mercureAuthorization have no effect, whatever the token", async (t) => {
    const token = await accessToAll();
    const clients = [
      await hub.open(t, `match=a&match=last&authorization=${token}`),
      await hub.open(t, "match=a&match=last", { headers: { cookie: `mercureAuthorization=${token}` } }),
      await hub.open(t, "match=a&match=last&authorization=nonsense"),
    ];
    await hub.published({ topic: "a", data: "secret", private: "on" });
    assert.deepEqual(await hub.before("last", ...clients), [[], [], []]);
  });

  test("lastEventID, which libraries add, is a last event id here too; Last-Event-ID is no response header", async (t) => {
    const id = await hub.published({ topic: "a", data: "seen" });
    await hub.published({ topic: "a", data: "missed" });
    const client = await hub.open(t, `match=a&match=last&lastEventID=${id}`);
    assert.deepEqual([client.headers["last-event-id"], client.headers["mercure-last-event-id"]], [undefined, id]);
    assert.deepEqual(await hub.before("last", client), [["missed"]]);
  });

  test("the list of subscriptions follows draft-08, for clients that are authorized", async (t) => {
    await hub.open(t, "match=a");
    const token = await access([detail(["subscribe"], [SUBSCRIPTIONS, pattern(`${SUBSCRIPTIONS}/*`)])]);
    const { status, headers, text } = await hub.ask("", { path: SUBSCRIPTIONS, headers: bearer(token) });
    assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
    assert.equal((JSON.parse(text) as { type: string }).type, "subscriptions");
    assert.equal((await hub.ask("", { path: `${SUBSCRIPTIONS}/a`, headers: bearer(token) })).status, 404);
  });

  test("a reserved topic is a bad request", async () => {
    assert.equal((await hub.publish({ topic: `${HUB}/x` })).status, 400);
  });
});
