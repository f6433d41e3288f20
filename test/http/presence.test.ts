import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, everything, everythingV8, HUB, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const LIST = `${HUB}/subscriptions`;

interface Document {
  readonly [name: string]: unknown;
}

/** A stream that watches, and what it was told, as JSON. */
/** Bytes that may be in flight to a client, as Mongrel2 sends them (download.flow_control). */
const CREDITS = 102_400;

async function watcher(web: Web, query: string, token: string, credits?: number) {
  const id = web.send(HUB, { query, headers: bearer(token), ...(credits !== undefined && { credits }) });
  await web.until(id, 1);
  const told = () => {
    web.clock.advance(100); // between two runs of the feed
    return web.events(id).map((data) => JSON.parse(data) as Document);
  };
  return { id, told };
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

describe("Presence", () => {
  test("draft-08: each matcher of a connection is told of when it comes and when it goes, with one subscriber", async () => {
    const web = await Web.open();
    const { told } = await watcher(web, watchV8, await everythingV8());
    const id = await open(web, `match=a%2Fb&match_urlpattern=${encodeURIComponent("/c/:id")}&match=*&match=a%2Fb`);
    web.hub.leave(web.server, id, "left");
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
    web.hub.leave(web.server, id, "left");
    const [, first, second, third, fourth] = told();
    const subscriber = String(first?.subscriber);
    const common = { "@context": "https://mercure.rocks/", type: "Subscription", subscriber, payload: { user: "u" } };
    const at = (path: string) => `${HUB}/subscriptions/${path}/${encodeURIComponent(subscriber)}`;
    assert.deepEqual(first, { ...common, id: at("a%2F%7Bx%7D"), topic: "a/{x}", active: true });
    assert.deepEqual(second, { ...common, id: at("b"), topic: "b", active: true });
    assert.deepEqual([third?.active, fourth?.active], [false, false]);
    assert.doesNotMatch(web.outlet.received.get(watching) ?? "", /^event: (?!m2push-open$)/m);
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

  test("nothing goes into the history: neither with somebody who watches, nor after a request for the list", async () => {
    const web = await Web.open();
    await web.get(LIST, { headers: bearer(await everything()) });
    const { told } = await watcher(web, watchV8, await everythingV8());
    await open(web, "match=a");
    assert.deepEqual(
      told()
        .map(({ match }) => match)
        .slice(1),
      ["a"],
    );
    assert.equal(web.history.last, 0);
  });

  test("without a watcher no presence event is made; a later watcher receives the events from then on", async () => {
    const web = await Web.open();
    const frames = web.outlet.frames;
    for (let visit = 0; visit < 20; visit++) web.hub.leave(web.server, await open(web, "match=a"), "left");
    web.outlet.acknowledgeAll();
    assert.equal(web.outlet.frames - frames, 20, "the heads of the streams");
    const { told } = await watcher(web, watchV8, await everythingV8());
    await open(web, "match=b");
    assert.deepEqual(
      told()
        .map(({ match }) => match)
        .slice(1),
      ["b"],
    );
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
      const id = await open(web, query, await token());
      await open(web, "match=news");
      await open(web, "topic=news");
      const told = web.events(id).map((data) => JSON.parse(data) as Document);
      assert.ok(told.some(({ match, topic }) => match === "news" || topic === "news"));
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
    web.hub.leave(web.server, id, "left"); // Mongrel2's notice
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
    web.server.start();
    const kept = left.filter(({ id }) => id === stays);
    for (const client of kept) web.hub.adopt(web.server, client);
    web.hub.forget(
      web.server,
      left.filter(({ id }) => id === goes),
    );
    const { told } = await watcher(web, `${watchV8}&last_event_id=earliest`, await everythingV8());
    const toldOf = (match: string) =>
      told()
        .filter((it) => it.match === match)
        .map(({ active }) => active);
    assert.deepEqual([toldOf("stays"), toldOf("goes")], [[true], [true, false]]);
    const { body } = await web.get(LIST, { headers });
    assert.deepEqual(
      JSON.parse(body)
        .subscriptions.map((it: Document) => it.match)
        .slice(0, 1),
      ["stays"],
    );
  });

  /** The id of the last event of a stream, as a browser keeps it. */
  function lastId(web: Web, id: number): string {
    web.outlet.acknowledgeAll();
    return [...(web.outlet.received.get(id) ?? "").matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
  }

  const matches = (documents: readonly Document[]) => documents.map(({ match, active }) => `${match} ${active}`);
  const gaps = (web: Web, id: number) =>
    (web.outlet.received.get(id) ?? "").match(/^event: m2push-gap$/gm)?.length ?? 0;

  test("a watcher that comes back is told what it missed, in order, once", async () => {
    const web = await Web.open();
    const first = await watcher(web, watchV8, await everythingV8());
    await open(web, "match=before");
    const last = lastId(web, first.id);
    web.hub.leave(web.server, first.id, "left");
    await open(web, "match=meanwhile");
    const again = await watcher(web, `${watchV8}&last_event_id=${last}`, await everythingV8());
    await open(web, "match=after");
    const seen = matches(again.told()).filter((it) => !it.includes("subscriptions"));
    assert.deepEqual(seen, ["meanwhile true", "after true"]);
    assert.equal(gaps(web, again.id), 0);
  });

  test("a watcher whose last event was a publication is told what came after that, too", async () => {
    const web = await Web.open();
    const watches = `${watchV8}&match=news`;
    const first = await watcher(web, watches, await everythingV8());
    await open(web, "match=before");
    first.told();
    await web.post("topic=news&data=%7B%7D");
    const last = lastId(web, first.id);
    assert.equal(last, `#${web.history.epoch}.1`);
    web.hub.leave(web.server, first.id, "left");
    await open(web, "match=meanwhile");
    const again = await watcher(web, `${watches}&last_event_id=${last}`, await everythingV8());
    const seen = matches(again.told()).filter((it) => it.endsWith("true") && !it.includes("subscriptions"));
    assert.deepEqual(seen.slice(0, 1), ["meanwhile true"]);
    assert.equal(gaps(web, again.id), 0);
  });

  test("frequent connections displace older presence events and no others: a watcher receives a gap, other clients miss nothing", async () => {
    const web = await Web.open();
    await web.post("topic=real&data=1");
    const away = lastId(web, await open(web, "match=real&last_event_id=earliest"));
    const first = await watcher(web, watchV8, await everythingV8());
    const last = lastId(web, first.id);
    web.hub.leave(web.server, first.id, "left");
    await web.post("topic=real&data=2");
    const topics = Array.from({ length: 100 }, (_, at) => `match=${at}`).join("&");
    for (let visit = 0; visit < 600; visit++) web.hub.leave(web.server, web.send(HUB, { query: topics }), "left");
    assert.deepEqual([web.history.last, web.history.floor], [2, 0]);
    assert.ok(web.presence.log.last - web.presence.log.floor <= 5000);
    assert.deepEqual(web.events(await open(web, `match=real&last_event_id=${away}`)), ["2"]);
    const again = await watcher(web, `${watchV8}&last_event_id=${last}`, await everythingV8());
    assert.equal(gaps(web, again.id), 1);
    await open(web, "match=after");
    assert.equal(again.told().at(-1)?.match, "after");
  });

  test("a flood of connections reaches watchers at a limited rate; events beyond it are dropped and reported as a gap", async () => {
    const web = await Web.open();
    const { id } = await watcher(web, watchV8, await everythingV8());
    web.events(id);
    const topics = Array.from({ length: 100 }, (_, at) => `match=${at}`).join("&");
    const before = web.outlet.frames;
    for (let visit = 0; visit < 100; visit++) web.hub.leave(web.server, web.send(HUB, { query: topics }), "left");
    assert.equal(web.outlet.frames - before, 100, "the heads of the streams: nothing is told in a visit's own turn");
    for (let second = 0; second < 3; second++) {
      web.clock.advance(1000);
      web.outlet.acknowledgeAll();
    }
    assert.equal(gaps(web, id), 1);
    await open(web, "match=after");
    web.clock.advance(100);
    assert.equal(
      web
        .events(id)
        .map((data) => JSON.parse(data).match)
        .at(-1),
      "after",
    );
  });

  // A busy machine suspends the process for longer than a run may take: watchers of four events were told of a gap.
  test("a few events are told however slowly the clock says they are made; many are not", async () => {
    const web = await Web.open();
    const { id, told } = await watcher(web, watchV8, await everythingV8());
    const monotonic = web.clock.monotonic.bind(web.clock);
    let suspendedMs = 0;
    web.clock.monotonic = () => {
      suspendedMs += 10;
      return monotonic() + suspendedMs;
    };
    const visit = (from: number, count: number) =>
      web.send(HUB, { query: Array.from({ length: count }, (_, at) => `match=${from + at}`).join("&") });
    const run = () => {
      web.clock.advance(10_000);
      web.outlet.acknowledgeAll();
    };
    visit(0, 60);
    run();
    assert.deepEqual([told().length >= 60, gaps(web, id)], [true, 0]);
    visit(100, 100);
    run();
    assert.equal(gaps(web, id), 1);
  });

  test("a watcher without credit for the events is told of a gap when it has some", async () => {
    const web = await Web.open();
    const { id, told } = await watcher(web, watchV8, await everythingV8(), CREDITS);
    told();
    const client = web.server.clients.get(id);
    assert.ok(client);
    client.debit(client.creditAvailable);
    await open(web, "match=unseen");
    web.clock.advance(100);
    assert.ok(!matches(told()).includes("unseen true"));
    client.credit(CREDITS);
    web.clock.advance(200);
    await open(web, "match=seen");
    web.clock.advance(100);
    assert.ok(matches(told().filter(({ match }) => match)).includes("seen true"));
    assert.equal(gaps(web, id), 1);
  });
});
