import assert from "node:assert/strict";
import { test } from "node:test";
import { detail, everything, everythingV8, HUB, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const LIST = `${HUB}/subscriptions`;

interface Document {
  readonly [name: string]: unknown;
}

/** A stream that watches, and what it was told, as JSON. */
async function watcher(web: Web, query: string, token: string) {
  const id = web.send(HUB, { query, headers: bearer(token) });
  await web.until(id, 1);
  return { id, told: () => web.events(id).map((data) => JSON.parse(data) as Document) };
}

/** Opens a stream and resolves when it is there. */
async function open(web: Web, query: string, token?: string): Promise<number> {
  const id = web.send(HUB, { query, headers: token === undefined ? {} : bearer(token) });
  await web.until(id, 1);
  return id;
}

const pattern = (value: string) => ({ match: value, match_type: "urlpattern" });
const watchV8 = `match_urlpattern=${encodeURIComponent(`${HUB}/subscriptions/:type/:match/:subscriber`)}`;
const watchV0 = `topic=${encodeURIComponent(`${HUB}/subscriptions/{topic}/{subscriber}`)}`;

test("draft-08: each matcher of a connection is told of when it comes and when it goes, with one subscriber", async () => {
  const web = await Web.open();
  const { told } = await watcher(web, watchV8, await everythingV8());
  const id = await open(web, `match=a%2Fb&match_urlpattern=${encodeURIComponent("/c/:id")}&match=*&match=a%2Fb`);
  web.hub.leave(web.server, id, "gone");
  const [self, ...events] = told();
  assert.equal(self?.match_type, "urlpattern", "it hears of itself");
  const subscriber = String(events[0]?.subscriber);
  assert.match(subscriber, /^urn:uuid:[0-9a-f-]{36}$/);
  const encoded = encodeURIComponent(subscriber);
  const document = (match_type: string, match: string, path: string, active: boolean) => ({
    id: `${HUB}/subscriptions/${match_type}/${path}/${encoded}`,
    type: "subscription",
    match_type,
    match,
    subscriber,
    active,
  });
  const all = (active: boolean) => [
    document("exact", "a/b", "a%2Fb", active),
    document("urlpattern", "/c/:id", "%2Fc%2F%3Aid", active),
    document("exact", "*", "%2A", active),
  ];
  assert.deepEqual(events, [...all(true), ...all(false)]);
  assert.equal(web.outlet.received.get(1)?.match(/^event: mercure$/gm)?.length, 7);
});

test("0.x: the same as JSON-LD, without an event type", async () => {
  const web = await Web.open();
  const { id: watching, told } = await watcher(web, watchV0, await everything());
  const id = await open(web, "topic=a%2F%7Bx%7D&topic=b", await tokenV0({ payload: { user: "u" } }));
  web.hub.leave(web.server, id, "gone");
  const [, first, second, third, fourth] = told();
  const subscriber = String(first?.subscriber);
  const common = { "@context": "https://mercure.rocks/", type: "Subscription", subscriber, payload: { user: "u" } };
  const at = (path: string) => `${HUB}/subscriptions/${path}/${encodeURIComponent(subscriber)}`;
  assert.deepEqual(first, { ...common, id: at("a%2F%7Bx%7D"), topic: "a/{x}", active: true });
  assert.deepEqual(second, { ...common, id: at("b"), topic: "b", active: true });
  assert.deepEqual([third?.active, fourth?.active], [false, false]);
  assert.doesNotMatch(web.outlet.received.get(watching) ?? "", /^event:/m);
});

test("subscriptions are private: who asks for them and has no grant is told nothing", async () => {
  const web = await Web.open();
  const insider = await watcher(web, watchV8, await everythingV8());
  const outsiders = [
    await open(web, "match=*"),
    await open(web, watchV8, await tokenV8([detail(["subscribe"], ["other"])])),
    await open(web, watchV8, await tokenV8([detail(["publish"], ["*"])])),
    await open(web, "topic=*", await tokenV0({ subscribe: ["other"] })),
  ];
  await open(web, "match=a");
  assert.ok(insider.told().length >= 2);
  for (const id of outsiders) assert.deepEqual(web.events(id), []);
});

test("nothing is published until somebody watches: a stream that may, or a request for the list", async () => {
  const web = await Web.open();
  await open(web, "match=a");
  await open(web, "match=*", await tokenV8([detail(["subscribe"], ["news"])]));
  await open(web, "topic=*", await tokenV0({ publish: ["*"] }));
  assert.equal(web.history.last, 0);
  await web.get(LIST, { headers: bearer(await everything()) });
  await open(web, "match=a");
  assert.equal(web.history.last, 1);
});

test("after a restart it is known that somebody watched who is not there any more: it may come back", async () => {
  const web = await Web.open();
  const known = { remote: "127.0.0.1", selectors: ["*"], since: 0, seen: 0, settled: true };
  const watching = { id: "urn:uuid:1", subscriptions: [], watches: true };
  web.hub.forget(web.server, [{ ...known, id: 7, subscriber: watching }]);
  await open(web, "match=a");
  assert.equal(web.history.last, 1);
});

for (const [what, query, token] of [
  ["everything", "match=*", everythingV8],
  ["everything, in 0.x", "topic=*", everything],
  ["a pattern", watchV8, everythingV8],
  ["a wide pattern", `match_urlpattern=${encodeURIComponent("/.well-known/*")}`, everythingV8],
  ["a template", watchV0, everything],
  ["a template of three variables", `topic=${encodeURIComponent(`${HUB}/{a}/{b}/{c}`)}`, everything],
  [
    "one matcher's subscriptions",
    `match_urlpattern=${encodeURIComponent(`${HUB}/subscriptions/exact/news/:x`)}`,
    everythingV8,
  ],
  [
    "what it was granted narrowly",
    watchV8,
    () => tokenV8([detail(["subscribe"], [pattern(`${HUB}/subscriptions/exact/news/*`)])]),
  ],
] as const) {
  test(`who follows ${what} watches`, async () => {
    const web = await Web.open();
    await open(web, query, await token());
    await open(web, "match=news");
    assert.ok(web.history.last > 0);
  });
}

test("the payload is that of the first entry that selects the matcher, taken as a topic", async () => {
  const web = await Web.open();
  const token = await tokenV8([
    detail(["publish"], ["*"], { payload: { of: "a publisher" } }),
    detail(["subscribe"], ["a", pattern("/p/*")], { payload: { of: "a" } }),
    detail(["subscribe"], ["b"]),
    detail(["subscribe"], ["*"], { payload: { of: "all" } }),
  ]);
  const { told } = await watcher(web, watchV8, await everythingV8());
  await open(web, `match=a&match=b&match=c&match_urlpattern=${encodeURIComponent("/p/:x")}&match=*`, token);
  assert.deepEqual(
    told()
      .slice(1)
      .map(({ match, payload }) => [match, payload]),
    [
      ["a", { of: "a" }],
      ["b", undefined],
      ["c", { of: "all" }],
      ["/p/:x", { of: "a" }],
      ["*", { of: "all" }],
    ],
  );
});

test("who died without a word is told of when the sweep finds it", async () => {
  const web = await Web.open();
  const { told } = await watcher(web, watchV8, await everythingV8());
  const id = await open(web, "match=a");
  web.clock.advance(45_000);
  assert.ok(web.outlet.keptAlive.includes(id));
  web.hub.leave(web.server, id, "gone"); // Mongrel2's notice
  assert.deepEqual(
    told()
      .slice(1)
      .map(({ match, active }) => [match, active]),
    [
      ["a", true],
      ["a", false],
    ],
  );
});

test("who expires, is cut or is closed is told of like others", async () => {
  const web = await Web.open();
  const { told } = await watcher(web, watchV8, await everythingV8());
  const soon = Math.floor(web.clock.now() / 1000) + 5;
  await open(web, "match=expires", await tokenV8([], { exp: soon }));
  web.clock.advance(5_000);
  const cut = await open(web, "match=cut");
  web.send(HUB, { id: cut, query: "match=again" });
  web.hub.end(web.server, await open(web, "match=kicked"), "kicked");
  assert.deepEqual(
    told()
      .slice(1)
      .map(({ match, active }) => `${match} ${active}`),
    ["expires true", "expires false", "cut true", "cut false", "kicked true", "kicked false"],
  );
});

test("after Mongrel2 was restarted those who are not served on are told of as gone, those who are stay", async () => {
  const web = await Web.open();
  const headers = bearer(await everythingV8());
  const [stays, goes] = [await open(web, "match=stays"), await open(web, "match=goes")];
  await web.get(LIST, { headers });
  const left = web.hub.lost(web.server);
  web.hub.live(web.server);
  const kept = left.filter(({ id }) => id === stays);
  for (const client of kept) web.hub.adopt(web.server, client);
  web.hub.forget(
    web.server,
    left.filter(({ id }) => id === goes),
  );
  const { told } = await watcher(web, `${watchV8}&last_event_id=earliest`, await everythingV8());
  assert.deepEqual(
    told()
      .slice(0, 1)
      .map(({ match, active }) => [match, active]),
    [["goes", false]],
  );
  const { body } = await web.get(LIST, { headers });
  assert.deepEqual(
    JSON.parse(body)
      .subscriptions.map((it: Document) => it.match)
      .slice(0, 1),
    ["stays"],
  );
});
