/** Active subscriptions when Mongrel2 or the daemon is started again: who is told what of whom. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serving } from "../../support/pair.js";
import type { SseClient } from "../../support/sse-client.js";
import { accessToAll, bearer, form, mercure, SUBSCRIPTIONS } from "../mercure.js";

const hub = mercure({ settings: { "limits.tick_timer": 1 } });
const watch = form({ match_urlpattern: `${SUBSCRIPTIONS}/:type/:match/:subscriber` });
const asWatcher = async () => ({ headers: bearer(await accessToAll()) });

/** What a watcher was told of one matcher. */
function toldOf(client: SseClient, match: string): boolean[] {
  const all = client.events.map(({ data }) => JSON.parse(data) as { match: string; active: boolean });
  return all.filter((it) => it.match === match).map(({ active }) => active);
}

const listed = async (match: string): Promise<number> => {
  const { text } = await hub.ask("", { path: `${SUBSCRIPTIONS}/exact/${match}`, ...(await asWatcher()) });
  return (JSON.parse(text) as { subscriptions: unknown[] }).subscriptions.length;
};

describe("Mercure draft 08, end to end: Presence restart", () => {
  test("the daemon is killed: who is adopted stays, who left meanwhile is told of as gone, to the same watcher", async (t) => {
    const watcher = await hub.open(t, watch, await asWatcher());
    await hub.open(t, "match=stays");
    const leaves = await hub.open(t, "match=leaves");
    await watcher.until(() => toldOf(watcher, "leaves").length === 1, "the first events");
    await hub.pair.aged(3);
    await hub.pair.daemon.kill9();
    await leaves.close();
    await hub.pair.restart();
    await hub.pair.daemon.logged(({ event }) => event === "adoption_completed", "the recovery", { ms: 20_000 });
    await watcher.until(() => toldOf(watcher, "leaves").includes(false), "the one that left", 20_000);
    assert.equal(watcher.isClosed, false, "the watcher itself was adopted");
    assert.deepEqual([toldOf(watcher, "leaves"), toldOf(watcher, "stays")], [[true, false], [true]]);
    assert.deepEqual([await listed("stays"), await listed("leaves")], [1, 0]);
  });

  test("Mongrel2 is killed: everybody is told of as gone, to a watcher that comes back, and nobody is listed", async (t) => {
    const watcher = await hub.open(t, watch, await asWatcher());
    const clients = [await hub.open(t, "match=lost"), await hub.open(t, "match=lost")];
    await watcher.until(() => toldOf(watcher, "lost").length === 2, "the first events");
    const from = hub.pair.daemon.log.length;
    await hub.pair.mongrel2.kill9();
    await Promise.all([watcher, ...clients].map((client) => client.closed));
    await hub.pair.mongrel2.start();
    await serving(hub.pair.daemon, from);
    const { authorization } = bearer(await accessToAll());
    const again = await hub.open(t, watch, { headers: { authorization, "last-event-id": watcher.lastEventId } });
    await again.until(() => toldOf(again, "lost").length === 2, "the end of both", 20_000);
    assert.deepEqual(toldOf(again, "lost"), [false, false]);
    assert.equal(await listed("lost"), 0);
  });
});
