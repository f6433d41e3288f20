/** draft-dunglas-mercure-08, "Active Subscriptions" and "Discovery", through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeCommand } from "../../../src/protocol/control-protocol.js";
import { askControl, connectionsOf } from "../../support/control.js";
import { access, accessToAll, bearer, detail, form, HUB, mercure, pattern, SUBSCRIPTIONS } from "../mercure.js";

const hub = mercure({ config: { hub: { origin: "https://hub.example" }, stream: { keepalive: "1s" } } });
const aud = { aud: `https://hub.example${HUB}` };
/** The default tokens name another hub. */
const all = (more = {}) => access([detail(["publish", "subscribe"], ["*"], more)], aud);

interface Document {
  readonly id: string;
  readonly match: string;
  readonly match_type: string;
  readonly subscriber: string;
  readonly active: boolean;
  readonly payload?: unknown;
  readonly subscriptions?: readonly Document[];
}

const list = async (path = "", token?: string) => {
  const answer = await hub.ask("", { path: `${SUBSCRIPTIONS}${path}`, headers: bearer(token ?? (await all())) });
  return { ...answer, json: (answer.status === 200 ? JSON.parse(answer.text) : {}) as Document };
};

const watch = form({ match_urlpattern: `${SUBSCRIPTIONS}/:type/:match/:subscriber` });

describe("Mercure draft 08, end to end: Subscriptions", () => {
  test("coming and going is told to who watches: one event for each matcher, private, of the type mercure", async (t) => {
    const watcher = await hub.open(t, watch, { headers: bearer(await all()) });
    const stranger = await hub.open(t, `${watch}&match=*`);
    const client = await hub.open(t, form({ match: "https://e.com/é", match_urlpattern: "/b/:id" }));
    await client.close();
    const events = [];
    for (let event = 0; event < 4; event++)
      events.push(await watcher.next(({ data }) => /e\.com|\/b\//.test((JSON.parse(data) as Document).match)));
    const documents = events.map(({ data }) => JSON.parse(data) as Document);
    assert.deepEqual(
      events.map(({ type }) => type),
      ["mercure", "mercure", "mercure", "mercure"],
    );
    const [exact, urlpattern] = documents;
    const encoded = encodeURIComponent(exact?.subscriber ?? "");
    assert.deepEqual(exact, {
      id: `${SUBSCRIPTIONS}/exact/https%3A%2F%2Fe.com%2F%C3%A9/${encoded}`,
      type: "subscription",
      match_type: "exact",
      match: "https://e.com/é",
      subscriber: exact?.subscriber,
      active: true,
    });
    assert.deepEqual(
      [urlpattern?.match_type, urlpattern?.match, urlpattern?.subscriber],
      ["urlpattern", "/b/:id", exact?.subscriber],
    );
    assert.deepEqual(
      documents.map(({ active }) => active),
      [true, true, false, false],
    );
    assert.doesNotMatch(stranger.text, /subscription/);
  });

  test("a connection that is lost without a word to anybody is told of, too", async (t) => {
    const watcher = await hub.open(t, watch, { headers: bearer(await all()) });
    const ids = async () => new Set((await connectionsOf(hub.pair.mongrel2)).map(({ id }) => id));
    const before = await ids();
    await hub.open(t, "match=dies-silently");
    const [id = -1] = [...(await ids())].filter((it) => !before.has(it));
    await askControl(hub.pair.mongrel2, encodeCommand("kill", { id })); // Mongrel2 sends no notice for it
    const gone = await watcher.next(({ data }) => data.includes("dies-silently") && data.includes('"active":false'));
    assert.equal((JSON.parse(gone.data) as Document).match, "dies-silently");
  });

  test("the payload of the first entry that selects the matcher is shown, to watchers and in the list", async (t) => {
    const token = await access(
      [
        detail(["subscribe"], ["pay"], { payload: { user: 1 } }),
        detail(["subscribe"], ["*"], { payload: { user: 2 } }),
      ],
      aud,
    );
    await hub.open(t, "match=pay&match=more", { headers: bearer(token) });
    const shown = async (match: string) => (await list(`/exact/${match}`)).json.subscriptions?.[0]?.payload;
    assert.deepEqual([await shown("pay"), await shown("more")], [{ user: 1 }, { user: 2 }]);
  });

  test("the list: all, of one matcher, and one; 404 for what is not there, 400 for an unknown type", async (t) => {
    const client = await hub.open(t, form({ match: ["list/é", "other"] }));
    const everything = await list();
    assert.equal(everything.headers["content-type"], "application/json");
    assert.equal(everything.json.id, SUBSCRIPTIONS);
    const one = everything.json.subscriptions?.find(({ match }) => match === "list/é");
    assert.ok(one);
    assert.deepEqual((await list(`/exact/${encodeURIComponent("list/é")}`)).json.subscriptions, [one]);
    assert.deepEqual((await list(one.id.slice(SUBSCRIPTIONS.length))).json, one);
    assert.equal((await list("/exact/x/urn%3Auuid%3Anobody")).status, 404);
    assert.equal((await list("/regexp/x")).status, 400);
    await client.close();
    await hub.pair.daemon.logged(
      ({ event, topics }) => event === "disconnect" && JSON.stringify(topics).includes("list/é"),
      "the end",
    );
    assert.equal((await list(one.id.slice(SUBSCRIPTIONS.length))).status, 404);
  });

  test("the list says where its events go on from, and is not sent twice", async (t) => {
    const first = await list();
    assert.match(
      first.headers.link?.toString() ?? "",
      new RegExp(`^<${HUB}>; rel="mercure"; last-event-id="[^"]+"; type="mercure"; content-type="application/json"$`),
    );
    const tag = first.headers.etag ?? "";
    const ask = async () =>
      hub.ask("", { path: SUBSCRIPTIONS, headers: { ...bearer(await all()), "if-none-match": tag } });
    const second = await ask();
    assert.deepEqual([second.status, second.text], [304, ""]);
    const from = /last-event-id="([^"]+)"/.exec(first.headers.link?.toString() ?? "")?.[1] ?? "";
    await hub.open(t, "match=after-the-list");
    assert.equal((await ask()).status, 200);
    const watcher = await hub.open(t, `${watch}&last_event_id=${from}`, { headers: bearer(await all()) });
    const missed = await watcher.next(({ data }) => data.includes("after-the-list"));
    assert.equal((JSON.parse(missed.data) as Document).active, true);
  });

  test("the list needs a grant for its address: 401 without a token, 403 with another", async () => {
    const { status, headers } = await hub.ask("", { path: SUBSCRIPTIONS });
    assert.equal(status, 401);
    assert.match(headers["www-authenticate"] ?? "", /^Bearer resource_metadata=/);
    const narrow = await access([detail(["subscribe"], [pattern(`${SUBSCRIPTIONS}/exact/:x`)])], aud);
    const refused = await list("", narrow);
    assert.equal(refused.status, 403);
    assert.match(refused.headers["www-authenticate"] ?? "", /^Bearer error="insufficient_scope"/);
    assert.equal((await list("/exact/a", narrow)).status, 200);
    assert.equal((await list("", await access([detail(["publish"], ["*"])], aud))).status, 403);
  });

  test("presence cannot be forged: neither its topics nor its type can be published", async () => {
    const token = await all();
    const topic = `${SUBSCRIPTIONS}/exact/a/urn%3Auuid%3A1`;
    assert.equal((await hub.publish({ topic, data: "{}" }, token)).status, 400);
    assert.equal((await hub.publish({ topic: "a", type: "mercure" }, token)).status, 400);
  });

  test("the metadata of the hub are where its challenges say", async () => {
    const { headers } = await hub.publish({ topic: "a" }, null);
    const [, url = ""] = /resource_metadata="([^"]+)"/.exec(headers["www-authenticate"] ?? "") ?? [];
    assert.equal(url, `https://hub.example/.well-known/oauth-protected-resource${HUB}`);
    const { status, headers: got, text } = await hub.ask("", { path: new URL(url).pathname });
    assert.deepEqual([status, got["content-type"]], [200, "application/json"]);
    const metadata = JSON.parse(text) as Record<string, unknown>;
    assert.equal(metadata.resource, `https://hub.example${HUB}`);
    assert.deepEqual(metadata.bearer_methods_supported, ["header"]);
    assert.equal(metadata.mercure_subscriptions, true);
    assert.notEqual(
      (await hub.ask("match=a", { headers: bearer(await accessToAll()) })).status,
      200,
      "the aud of another hub",
    );
  });

  test("what is beside the metadata and the list is not there", async () => {
    for (const path of [
      `${HUB}/x`,
      `${HUB}/`,
      `${HUB}/subscriptionsX`,
      "/.well-known/oauth-protected-resource",
      "/.well-known/oauth-protected-resource/x",
    ])
      assert.equal((await hub.ask("", { path, headers: bearer(await all()) })).status, 404, path);
  });
});
