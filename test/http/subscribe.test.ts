import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, everything, everythingV8, HUB, NOW, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const FORM = { "content-type": "application/x-www-form-urlencoded" };

describe("Subscribe", () => {
  test("a stream has the head that browsers and proxies need, and no length", async () => {
    const web = await Web.open();
    for (const [path, query] of [
      ["/esupdates", ""],
      [HUB, "topic=a"],
      [HUB, "match=a"],
    ] as const) {
      const accept = "text/event-stream";
      const { status, headers, body } = await web.get(path, { query, headers: { accept, "user-agent": "node" } });
      assert.equal(status, 200);
      assert.equal(headers["content-type"], "text/event-stream");
      assert.equal(headers["cache-control"], "no-cache, no-store, max-age=0, must-revalidate, no-transform");
      assert.equal(headers["x-accel-buffering"], "no");
      assert.equal(headers["content-length"], undefined);
      assert.match(body, /^: time stream\nretry: 5000\nevent: m2push-open\nid: #\w+\.0\ndata: \{\}\n\n$/);
      const old = await web.get(path, { query, headers: { accept, "cache-control": "no-cache" } });
      assert.equal(old.body, body, "EventSource libraries on node:http have no User-Agent");
      // What does not say that it reads EventSource, or nothing else of itself, is shown a position and no event.
      for (const headers of [{}, { accept }, { "user-agent": "curl/8.0" }]) {
        const bare = await web.get(path, { query, headers });
        assert.match(bare.body, /^: time stream\nretry: 5000\nid: #\w+\.0\n\n$/);
      }
    }
  });

  test("heartbeat=event begins the stream with a heartbeat, and other values are rejected", async () => {
    const web = await Web.open({ config: '[stream]\nheartbeat = "20s"' });
    for (const [path, query] of [
      ["/esupdates", "heartbeat=event"],
      [HUB, "topic=a&heartbeat=event"],
      [HUB, "match=a&heartbeat=event"],
    ] as const) {
      const id = web.send(path, { query });
      const [{ body } = { body: "" }] = await web.until(id, 1);
      assert.match(body, /^: time stream\nretry: 5000\nevent: m2push-heartbeat\ndata: 20\n\nid: #\w+\.0\n\n$/);
      web.clock.advance(20_000);
      assert.match(web.responses(id)[0]?.body ?? "", /\n\nevent: m2push-heartbeat\ndata: 20\n\n$/);
      const rejected = await web.get(path, { query: query.replace("=event", "=comment") });
      assert.equal(rejected.status, 400);
      assert.match(rejected.body, /fix: heartbeat=event/);
    }
    const silent = await Web.open({ config: '[stream]\nheartbeat = "0"' });
    const { body } = await silent.get("/esupdates", { query: "heartbeat=event" });
    assert.doesNotMatch(body, /heartbeat/);
  });

  test("a HEAD has the same head, and opens no stream", async () => {
    const web = await Web.open();
    for (const [path, query] of [
      ["/esupdates", ""],
      [HUB, "topic=a"],
      [HUB, "match=a"],
    ] as const) {
      const { status, headers, body } = await web.get(path, { method: "HEAD", query });
      assert.deepEqual([status, headers["content-type"], body], [200, "text/event-stream", ""]);
    }
    assert.equal((await web.get(HUB, { method: "HEAD" })).status, 400);
    assert.equal(web.hub.clients, 0);
  });

  test("QUERY takes the form of its body, its query, and both together", async () => {
    const web = await Web.open();
    const ask = (query: string, body: string, headers = FORM) =>
      web.send(HUB, { method: "QUERY", query, body, headers });
    const ids = [
      ask("", "match=a&match=b"),
      ask("match=a", "match=b"),
      ask("match=a&match=b", ""),
      ask("", "topic=a&topic=b"),
    ];
    for (const topic of ["a", "b", "c"]) await web.post(`topic=${topic}&data=${topic}`);
    for (const id of ids) assert.deepEqual(web.events(id), ["a", "b"]);
  });

  test("a QUERY whose body is no form is refused, also where the address would do", async () => {
    const web = await Web.open();
    const headers = { "content-type": "application/json" };
    assert.equal((await web.get(HUB, { method: "QUERY", query: "match=a", body: "{}", headers })).status, 400);
    assert.equal((await web.get(HUB, { method: "QUERY", query: "match=a", body: "match=b" })).status, 400);
  });

  // What requests with the same query ask for is read once.
  test("requests that come one after the other get what each asked for, the same or not", async () => {
    const web = await Web.open();
    const ask = (query: string, body = "") => web.send(HUB, { method: "QUERY", query, body, headers: FORM });
    const asked = [ask("match=a"), ask("match=a"), ask("match=a", "match=b"), ask("match=b"), ask("match=a")];
    const plain = ["", "topic=b", ""].map((query) => web.send("/esupdates", { query }));
    assert.equal((await web.get(HUB, { query: "" })).status, 400);
    for (const topic of ["a", "b"]) await web.post(`topic=${topic}&data=${topic}`);
    const seen = [...asked, ...plain].map((id) => web.events(id).join(""));
    assert.deepEqual(seen, ["a", "a", "ab", "b", "a", "ab", "b", "ab"]);
  });

  test("a browser that comes back is told the same first as one that is new, but for its place", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1&id=own-1");
    const known = { headers: { "last-event-id": "own-1" } };
    const [fresh, back] = [await web.get("/esupdates"), await web.get("/esupdates", known)];
    assert.deepEqual(back, fresh);
    await web.post("topic=a&data=2");
    const id = web.send("/esupdates", known);
    assert.deepEqual(web.events(id), ["2"]);
    assert.ok(web.responses(id)[0]?.body.startsWith(fresh.body));
  });

  test("the body of a GET says nothing", async () => {
    const web = await Web.open();
    assert.equal((await web.get(HUB, { body: "match=a", headers: FORM })).status, 400);
  });

  test("header, address and body: the last event id of the first of them counts", async () => {
    const web = await Web.open();
    for (const id of ["1", "2", "3", "4"]) await web.post(`topic=a&data=${id}&id=own-${id}`);
    const ask = (query: string, body: string, header?: string) =>
      web.send(HUB, {
        method: "QUERY",
        query: `match=a&${query}`,
        body,
        headers: { ...FORM, ...(header !== undefined && { "last-event-id": header }) },
      });
    const [first, second, third] = [
      ask("last_event_id=own-2", "last_event_id=own-1", "own-3"),
      ask("last_event_id=own-2", "last_event_id=own-1"),
      ask("", "last_event_id=own-1"),
    ];
    assert.deepEqual(
      [first, second, third].map((id) => web.events(id)),
      [["4"], ["3", "4"], ["2", "3", "4"]],
    );
    const cursors = [first, second, third].map((id) => web.responses(id)[0]?.headers["mercure-last-event-id"]);
    assert.deepEqual(cursors, ["own-3", "own-2", "own-1"]);
  });

  test("the response says where the replay begins, in its dialect, whenever it was asked for", async () => {
    const web = await Web.open();
    for (const id of ["1", "2", "2", "3"]) await web.post(`topic=a&data=x&id=own-${id}`);
    for (const [asked, told] of [
      ["own-2", "own-2"],
      [`#${web.history.epoch}.3`, `#${web.history.epoch}.3`],
      ["earliest", "earliest"],
      ["never-seen", "earliest"],
      [`#${web.history.epoch}.99`, "earliest"],
      ["", "earliest"],
    ] as const) {
      const header = { headers: { "last-event-id": asked } };
      for (const [name, parameter, other] of [
        ["mercure-last-event-id", "last_event_id", "last-event-id"],
        ["last-event-id", "lastEventID", "mercure-last-event-id"],
      ] as const) {
        const topic = parameter === "lastEventID" ? "topic=a" : "match=a";
        for (const answer of [
          await web.get(HUB, { query: topic, ...header }),
          await web.get(HUB, { query: `${topic}&${parameter}=${asked}` }),
        ]) {
          assert.equal(answer.headers[name], told, `${name} for ${asked}`);
          assert.equal(answer.headers[other], undefined);
        }
      }
    }
    const { headers } = await web.get(HUB, { query: "match=a" });
    assert.equal(headers["mercure-last-event-id"], undefined, "nothing was asked");
  });

  test("an id that was used twice means the first of its events: everything after it comes again", async () => {
    const web = await Web.open();
    for (const [data, id] of [
      ["1", "x"],
      ["2", "twice"],
      ["3", "y"],
      ["4", "twice"],
      ["5", "z"],
    ])
      await web.post(`topic=a&data=${data}&id=${id}`);
    assert.deepEqual(web.events(web.send(HUB, { query: "match=a&last_event_id=twice" })), ["3", "4", "5"]);
  });

  test("an id that is not known is told in the stream, too, where a browser can see it", async () => {
    const web = await Web.open();
    const { body } = await web.get(HUB, { query: "topic=a&lastEventID=never" });
    assert.match(body, /\nevent: m2push-gap\nid: #\w+\.0\ndata: \{"reason":"unknown","oldest":"#\w+\.0"\}\n\n$/);
  });

  test("private events reach those who were granted one of the topics, live and replayed", async () => {
    const web = await Web.open();
    const tokens = [
      await tokenV0({ subscribe: ["secret"] }),
      await tokenV0({ subscribe: ["sec{x}"] }),
      await tokenV8([detail(["subscribe"], ["secret"])]),
      await tokenV8([
        detail(["subscribe"], ["other"]),
        detail(["subscribe"], [{ match: "/.well-known/:x", match_type: "urlpattern" }]),
      ]),
      await tokenV0({ subscribe: ["alternate"] }),
    ];
    const outsiders = [
      undefined,
      await tokenV0({ publish: ["*"] }),
      await tokenV0({ subscribe: ["Secret", "secret/", "secre"] }),
      await tokenV8([detail(["publish"], ["*"])]),
      await tokenV8([detail(["subscribe"], ["other"])]),
      await tokenV8([]),
    ];
    const open = async (token: string | undefined, query: string) => {
      const id = web.send(HUB, { query, headers: token === undefined ? {} : bearer(token) });
      await web.until(id, 1);
      return id;
    };
    const openAll = async (query: string) => [
      await Promise.all(tokens.map((token) => open(token, query))),
      await Promise.all(outsiders.map((token) => open(token, query))),
    ];
    const live = await openAll("topic=secret&topic=public");
    await web.post("topic=secret&topic=alternate&data=1&private=on");
    await web.post("topic=public&data=2");
    const replayed = await openAll("topic=secret&topic=public&lastEventID=earliest");
    for (const [insiders = [], strangers = []] of [live, replayed]) {
      for (const id of insiders) assert.deepEqual(web.events(id), ["1", "2"]);
      for (const id of strangers) assert.deepEqual(web.events(id), ["2"]);
    }
  });

  test("a grant routes nothing: who did not ask for a topic does not get it", async () => {
    const web = await Web.open();
    const id = web.send(HUB, { query: "match=a", headers: bearer(await tokenV8([detail(["subscribe"], ["*"])])) });
    await web.until(id, 1);
    await web.post("topic=b&data=1&private=on");
    await web.post("topic=a&data=2&private=on");
    assert.deepEqual(web.events(id), ["2"]);
  });

  test("when the token expires the stream is closed, and nothing is sent any more", async () => {
    const web = await Web.open();
    const id = web.send(HUB, { query: "match=a", headers: bearer(await tokenV8([], { exp: NOW + 60 })) });
    await web.until(id, 1);
    web.clock.advance(59_999);
    assert.deepEqual(web.outlet.closed, []);
    web.clock.advance(1);
    assert.deepEqual(web.outlet.closed, [id]);
    await web.post("topic=a&data=late");
    assert.deepEqual(web.events(id), []);
    assert.equal(web.hub.clients, 0);
  });

  test("a token whose end is further away than a timer reaches ends nothing before", async () => {
    const web = await Web.open({ config: '[stream]\nheartbeat = "0"\nkeepalive = "1d"' });
    const id = web.send(HUB, { query: "topic=a", headers: bearer(await tokenV0({}, { exp: NOW + 90 * 86_400 })) });
    await web.until(id, 1);
    web.clock.advance(89 * 86_400_000);
    assert.equal(web.hub.clients, 1);
    web.clock.advance(86_400_000);
    assert.equal(web.hub.clients, 0);
  });

  test("with max_lifetime a stream ends after 80 to 100 % of it, or when its token expires", async () => {
    const web = await Web.open({ config: '[stream]\nmax_lifetime = "10m"\nheartbeat = "0"\nkeepalive = "1d"' });
    const open = (token?: string) => web.send(HUB, { query: "topic=a", headers: token ? bearer(token) : {} });
    const anonymous = open();
    const short = open(await tokenV0({}, { exp: NOW + 60 }));
    const long: number[] = [];
    for (const exp of [NOW + 3600, undefined, NOW + 3600, undefined]) long.push(open(await tokenV0({}, { exp })));
    for (const id of [anonymous, short, ...long]) await web.until(id, 1);
    web.clock.advance(60_000);
    assert.deepEqual(web.outlet.closed, [short]);
    web.clock.advance(419_000);
    assert.deepEqual(web.outlet.closed, [short], "not before 80 %");
    web.clock.advance(121_000);
    assert.deepEqual(web.outlet.closed.toSorted(), [anonymous, short, ...long].toSorted());
    assert.equal(web.hub.clients, 0);
  });

  test("an expired token does not open a stream, not even for public events", async () => {
    const web = await Web.open();
    const token = await tokenV0({}, { exp: NOW + 60 });
    web.clock.advance(90_000);
    assert.equal((await web.get(HUB, { query: "topic=a", headers: bearer(token) })).status, 401);
  });

  test("the plain address takes topics, last event ids and tokens as well, but tells nobody who is there", async () => {
    const web = await Web.open();
    const [all, some, granted] = [
      web.send("/esupdates"),
      web.send("/esupdates", { query: "topic=a&topic=b%2F%7Bx%7D" }),
      web.send("/esupdates", { query: "topic=a", headers: bearer(await tokenV0({ subscribe: ["a"] })) }),
    ];
    await web.until(granted, 1);
    for (const topic of ["a", "b/1", "c"]) await web.post(`topic=${topic}&data=${topic}`);
    await web.post("topic=a&data=private&private=on");
    assert.deepEqual(
      [all, some, granted].map((id) => web.events(id)),
      [
        ["a", "b/1", "c"],
        ["a", "b/1"],
        ["a", "private"],
      ],
    );
    assert.equal(web.presence.log.last, 0);
    const [first = ""] = [`#${web.history.epoch}.1`];
    for (const query of [`lastEventID=${first}`, `last_event_id=${first}`, `Last-Event-ID=${first}`])
      assert.deepEqual(web.events(web.send("/esupdates", { query })), ["b/1", "c"]);
  });

  // event-source-polyfill and reconnecting-eventsource add lastEventId: it was ignored, and what they had missed was lost.
  test("the last event id in the address counts under every name that libraries give it, at every address, in both dialects", async () => {
    const web = await Web.open();
    for (const data of ["1", "2", "3"]) await web.post(`topic=a&data=${data}&id=own-${data}`);
    const names = ["lastEventId", "lastEventID", "lasteventid", "last_event_id", "Last_Event_Id", "LAST-EVENT-ID"];
    for (const name of [...names, "last-event-id", "Last-Event-ID", "evs_last_event_id"]) {
      for (const [path, asked] of [
        ["/esupdates", "topic=a"],
        [HUB, "topic=a"],
        [HUB, "match=a"],
      ] as const) {
        const query = `${asked}&${name}=own-1`;
        assert.deepEqual(web.events(web.send(path, { query })), ["2", "3"], `${path}?${query}`);
      }
    }
    const other = web.events(
      web.send(HUB, { query: "topic=a&last_event=own-1&xlastEventId=own-1&lastEventIds=own-1" }),
    );
    assert.deepEqual(other, []);
  });

  test("of several last event ids in an address the dialect's own name wins, then the last that is not empty", async () => {
    const web = await Web.open();
    for (const data of ["1", "2", "3"]) await web.post(`topic=a&data=${data}&id=own-${data}`);
    for (const [query, events] of [
      ["topic=a&lastEventID=own-2&lastEventId=own-1", ["3"]],
      ["topic=a&lastEventId=own-1&Last-Event-ID=own-2&last_event_id=own-3", ["3"]],
      ["match=a&last_event_id=own-1&lastEventID=own-2", ["2", "3"]],
      ["topic=a&lastEventID=own-1&lastEventID=own-2", ["3"]],
      ["topic=a&lastEventID=&lastEventId=own-2", ["3"]],
      ["topic=a&lastEventID=own-2&lastEventID=", ["3"]],
    ] as const)
      assert.deepEqual(web.events(web.send(HUB, { query })), events, query);
  });

  test("a last event id in the address that is empty is a position that got lost: a gap, never silence", async () => {
    const web = await Web.open();
    await web.post("topic=a&data=1");
    const hasGap = async (path: string, query: string, headers = {}) =>
      (await web.get(path, { query, headers })).body.includes("event: m2push-gap");
    for (const query of ["topic=a&lastEventId=", "topic=a&last_event_id", "match=a&last_event_id="])
      assert.equal(await hasGap(HUB, query), true, query);
    assert.equal(await hasGap("/esupdates", "lastEventID="), true);
    // A first connect of a library that sends an empty header: it has seen nothing, and has lost nothing.
    assert.equal(await hasGap(HUB, "topic=a", { "last-event-id": "" }), false);
    assert.equal(await hasGap(HUB, "topic=a&lastEventId=", { "last-event-id": `#${web.history.epoch}.1` }), false);
  });

  test("a Last-Event-ID header is read without the white space around it; an empty one leaves the word to the address", async () => {
    const web = await Web.open();
    for (const data of ["1", "2", "3"]) await web.post(`topic=a&data=${data}&id=own-${data}`);
    const events = (id: string | string[], query = "topic=a") =>
      web.events(web.send(HUB, { query, headers: { "last-event-id": id } }));
    assert.deepEqual(events(" \town-2 \t"), ["3"]);
    assert.deepEqual(events("", "topic=a&lastEventID=own-2"), ["3"]);
    assert.deepEqual(events(" ", "match=a&lastEventId=own-2"), ["3"]);
    assert.deepEqual(events(["own-1", "own-2", ""]), ["3"]);
  });

  test("beyond max_clients 503, beyond max_per_address 429, both with a time to come again", async () => {
    const web = await Web.open({ config: "[stream]\nmax_clients = 3\nmax_per_address = 2" });
    const open = (remote: string) => web.get("/esupdates", { remote });
    assert.deepEqual([(await open("10.0.0.1")).status, (await open("10.0.0.1")).status], [200, 200]);
    const third = await open("10.0.0.1");
    assert.deepEqual([third.status, third.headers["retry-after"]], [429, "5"]);
    assert.equal((await open("10.0.0.2")).status, 200);
    const fourth = await open("10.0.0.3");
    assert.deepEqual([fourth.status, fourth.headers["retry-after"]], [503, "5"]);
    web.hub.leave(web.server, 1, "left");
    assert.equal((await open("10.0.0.1")).status, 200);
  });

  test("beyond max_pattern_cost a stream with new patterns is refused with 503 and a time to come again; others are not", async () => {
    const web = await Web.open({ config: "[stream]\nmax_pattern_cost = 500" });
    const open = (pattern: string) => web.get(HUB, { query: `match_urlpattern=${encodeURIComponent(pattern)}` });
    assert.equal((await open("/a/(.{300})")).status, 200);
    const refused = await open("/b/(.{300})");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "5"]);
    assert.match(refused.body, /too expensive/);
    assert.equal((await open("/a/(.{300})")).status, 200, "the same pattern costs nothing more");
    assert.equal((await web.get(HUB, { query: "match=news" })).status, 200);
    for (const id of [...web.server.clients.keys()]) web.hub.leave(web.server, id, "left");
    assert.equal((await open("/b/(.{300})")).status, 200);
  });

  test("patterns that are too expensive to compile are refused with 400, by GET and by QUERY, and others are served", async () => {
    const web = await Web.open();
    const expensive = (name: string) => {
      const patterns = Array.from({ length: 60 }, (_, n) => `/${name}/${n}([\\p{RGI_Emoji}])`);
      return patterns.map((pattern) => `match_urlpattern=${encodeURIComponent(pattern)}`).join("&");
    };
    for (const sent of [{ query: expensive("a") }, { method: "QUERY", body: expensive("b"), headers: FORM }]) {
      const id = web.send(HUB, sent);
      web.clock.advance(20 * 10);
      const [answer] = await web.until(id, 1);
      assert.equal(answer?.status, 400);
      assert.match(answer.body, /patterns too expensive to compile.*fix: /);
    }
    web.send(HUB, { query: expensive("c") });
    assert.equal((await web.get(HUB, { query: "match=news" })).status, 200, "exact topics wait for nothing");
    const id = web.send(HUB, { query: "match_urlpattern=/a/:id" });
    assert.deepEqual(web.responses(id), [], "patterns wait until it is their turn");
    web.clock.advance(20 * 10);
    assert.equal((await web.until(id, 1))[0]?.status, 200);
  });

  test("without anonymous subscribers a token opens the stream, and only a token", async () => {
    const web = await Web.open({ config: "[auth]\nanonymous = false" });
    for (const [path, query] of [
      ["/esupdates", ""],
      [HUB, "match=a"],
    ] as const) {
      assert.equal((await web.get(path, { query })).status, 401);
      for (const token of [await everything(), await everythingV8()])
        assert.equal((await web.get(path, { query, headers: bearer(token) })).status, 200);
    }
  });

  test("a subscriber whose Mongrel2 was restarted while its token was checked is not opened: the id is somebody else's", async () => {
    const web = await Web.open();
    const id = web.send(HUB, { query: "match=a", headers: bearer(await everythingV8()) });
    web.hub.lost(web.server);
    web.server.start();
    // Asked later, so answered later.
    await web.get(HUB, { query: "match=b", headers: bearer(await everythingV8()) });
    assert.equal(web.outlet.received.get(id), undefined);
    assert.equal(web.hub.clients, 1);
  });
});
