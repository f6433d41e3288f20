/** A hub that speaks Mercure 0.x only: nothing of draft-08 is understood but the name of the last event id, and nothing says that it might be. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessToAll, bearer, HUB, mercure, oldForAll } from "../mercure.js";

const hub = mercure({ config: { hub: { protocol: "0.x" } } });

describe("Mercure 0.x, end to end: Alone", () => {
  test("match= is a parameter like any other", async (t) => {
    assert.equal((await hub.ask("match=a")).status, 400);
    const client = await hub.open(t, "topic=a&match=b&topic=last&last_event_id=earliest");
    for (const topic of ["a", "b"]) await hub.published({ topic, data: topic }, await oldForAll());
    const id = await hub.published({ topic: "last" }, await oldForAll());
    await client.until(({ lastEventId }) => lastEventId === id, "the last event");
    assert.deepEqual(
      client.events.map(({ data }) => data),
      ["a", ""],
    );
    // Under whatever name the last event id came, the answer is in this dialect.
    assert.deepEqual(
      [client.headers["last-event-id"], client.headers["mercure-last-event-id"]],
      ["earliest", undefined],
    );
  });

  test("access tokens are refused", async () => {
    assert.equal((await hub.publish({ topic: "a" }, await accessToAll())).status, 401);
    assert.equal(await hub.status("topic=a", { headers: bearer(await accessToAll()) }), 401);
  });

  test("there are no metadata, and no challenge names them: that is how clients know", async () => {
    assert.equal((await hub.ask("", { path: `/.well-known/oauth-protected-resource${HUB}` })).status, 404);
    const { headers } = await hub.publish({ topic: "a" }, null);
    assert.equal(headers["www-authenticate"], "Bearer");
  });
});
