import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, everything, HUB, type Sent, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const FORM = { "content-type": "application/x-www-form-urlencoded" };

/** Opens a controlled stream; returns its connection and its name. */
async function open(web: Web, query: string, { path = HUB, ...sent }: Sent & { readonly path?: string } = {}) {
  const id = web.send(path, { query: `${query}&control=1`, ...sent });
  const [response] = await web.until(id, 1);
  assert.equal(response?.status, 200);
  const name = response?.headers["m2push-stream"] ?? "";
  assert.match(name, /^[\w-]{22}$/);
  return { id, name, response };
}

function patch(web: Web, name: string, body: string, sent: Sent = {}) {
  const headers = { ...FORM, ...sent.headers };
  const answer = web.get(`${HUB}/streams/${name}`, { method: "PATCH", body, ...sent, headers });
  web.outlet.acknowledgeAll();
  return answer;
}

const publish = async (web: Web, ...topics: string[]) => {
  for (const topic of topics) await web.post(`topic=${encodeURIComponent(topic)}&data=${encodeURIComponent(topic)}`);
};

/** Types, or data of events without one, after the opening. */
function blocks(web: Web, id: number): string[] {
  web.outlet.acknowledgeAll();
  const [, ...rest] = (web.responses(id)[0]?.body ?? "").split("\n\n").filter((it) => it.includes("data: "));
  return rest.map((it) => /^event: (.*)$/m.exec(it)?.[1] ?? /^data: (.*)$/m.exec(it)?.[1] ?? "");
}

describe("Streams whose topics change", () => {
  test("control=1 names the stream in a header and in its first event, whatever the client is", async () => {
    const web = await Web.open();
    for (const [path, query] of [
      ["/esupdates", "topic=a"],
      [HUB, "topic=a"],
      [HUB, "match=a"],
    ] as const) {
      const { name, response } = await open(web, query, { path });
      const opening = `event: m2push-open\nid: #${web.history.epoch}.0\ndata: {"stream":"${name}"}\n\n`;
      assert.equal(response?.body, `: time stream\nretry: 5000\n${opening}`);
      const other = await web.get(path, { query });
      assert.equal(other.headers["m2push-stream"], undefined);
      const refused = await web.get(path, { query: `${query}&control=yes` });
      assert.equal(refused.status, 400);
      assert.match(refused.body, /fix: control=1/);
    }
    assert.equal(web.hub.streams.size, 3);
  });

  test("a stream that begins with a gap is named, too", async () => {
    const web = await Web.open();
    const { response, name } = await open(web, "topic=a", { headers: { "last-event-id": "unknown" } });
    assert.match(response?.body ?? "", /event: m2push-gap\n/);
    assert.ok(response?.body.endsWith(`data: {"stream":"${name}"}\n\n`));
  });

  test("adds and removes topics in 0.x, on both addresses, and says from which position", async () => {
    for (const path of ["/esupdates", HUB]) {
      const web = await Web.open();
      const { id, name } = await open(web, "topic=a&topic=b", { path });
      await publish(web, "a", "c");
      const { status, headers, body } = await patch(web, name, "add=c&add=/books/{id}&remove=a");
      assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
      const topic = ["b", "c", "/books/{id}"];
      assert.deepEqual(JSON.parse(body), { position: `#${web.history.epoch}.2`, topic });
      await publish(web, "a", "b", "c", "/books/1");
      assert.deepEqual(blocks(web, id), ["a", "m2push-topics", "b", "c", "/books/1"]);
      const notice = `event: m2push-topics\nid: #${web.history.epoch}.2\ndata: ${JSON.stringify({ topic })}\n\n`;
      assert.ok(web.responses(id)[0]?.body.includes(notice));
    }
  });

  test("adds and removes matchers in draft-08", async () => {
    const web = await Web.open();
    const { id, name } = await open(web, "match=a&match_urlpattern=/x/:id");
    const changed = await patch(
      web,
      name,
      "add_urlpattern=/books/:id&add_exact=b&add=c&remove_urlpattern=/x/:id&remove=a",
    );
    const parameters = { match: ["b", "c"], match_urlpattern: ["/books/:id"] };
    assert.deepEqual(JSON.parse(changed.body), { position: `#${web.history.epoch}.0`, ...parameters });
    await publish(web, "a", "/x/1", "b", "c", "/books/1");
    assert.deepEqual(blocks(web, id), ["m2push-topics", "b", "c", "/books/1"]);
  });

  test("may be repeated, may remove every topic, and may add the first one again", async () => {
    const web = await Web.open();
    const { id, name } = await open(web, "topic=a");
    for (const body of ["remove=a", "remove=a", "remove=never-there"])
      assert.equal((await patch(web, name, body)).status, 200);
    await publish(web, "a");
    assert.deepEqual(new Set(blocks(web, id)), new Set(["m2push-topics"]));
    for (const body of ["add=a", "add=a"]) assert.equal((await patch(web, name, body)).status, 200);
    await publish(web, "a");
    assert.deepEqual(blocks(web, id).slice(-2), ["m2push-topics", "a"]);
  });

  test("answers 404 for a stranger's name, for a stream that has ended, and for one without control", async () => {
    const web = await Web.open();
    const { id, name } = await open(web, "topic=a");
    for (const stranger of ["x".repeat(22), "short", "", `${name}x`, `${name}/x`, "%00"])
      assert.equal((await patch(web, stranger, "add=b")).status, 404, stranger);
    web.hub.leave(web.server, id, "left");
    assert.equal((await patch(web, name, "add=b")).status, 404);
    assert.equal(web.hub.streams.size, 0);
  });

  test("never tells a name whole", async () => {
    const web = await Web.open();
    const { name } = await open(web, "topic=a", { headers: bearer(await everything()) });
    const { status, body } = await patch(web, name, "add=b");
    assert.equal(status, 404);
    for (const text of [body, ...web.answered]) assert.ok(!text.includes(name));
    assert.match(web.answered.at(-1) ?? "", new RegExp(`there is no stream ${name.slice(0, 6)}…`));
  });

  test("belongs to the issuer and subject that opened it; without a token, to those who know the name", async () => {
    const web = await Web.open();
    const token = (sub: string, iss?: string) => tokenV0({ subscribe: ["*"] }, { sub, ...(iss && { iss }) });
    const [own, again] = [await token("me", "a"), await tokenV0({ subscribe: ["x"] }, { sub: "me", iss: "a" })];
    const { name } = await open(web, "topic=a", { headers: bearer(own) });
    const status = async (headers: Record<string, string>) => (await patch(web, name, "add=b", { headers })).status;
    assert.equal(await status(bearer(own)), 200);
    assert.equal(await status(bearer(again)), 200, "another token of the same principal");
    for (const other of [await token("you", "a"), await token("me", "b"), await token("me")])
      assert.equal(await status(bearer(other)), 404);
    assert.equal(await status({}), 404);
    assert.equal(await status(bearer("broken")), 401);
    const anonymous = await open(web, "topic=a");
    for (const headers of [{}, bearer(own)])
      assert.equal((await patch(web, anonymous.name, "add=b", { headers })).status, 200);
  });

  test("keeps the grants of the stream: a private event needs the token that opened it", async () => {
    const web = await Web.open();
    const [narrow, wide] = [
      await tokenV0({ subscribe: ["a"] }, { sub: "me" }),
      await tokenV0({ subscribe: ["*"] }, { sub: "me" }),
    ];
    const { id, name } = await open(web, "topic=a", { headers: bearer(narrow) });
    await patch(web, name, "add=b", { headers: bearer(wide) });
    for (const topic of ["a", "b"]) await web.post(`topic=${topic}&data=secret-${topic}&private=on`);
    assert.deepEqual(blocks(web, id), ["m2push-topics", "secret-a"]);
  });

  test("refuses what a new stream could not have, and changes nothing", async () => {
    const web = await Web.open();
    const { id, name } = await open(web, "topic=a");
    const v8 = await open(web, "match=a");
    const many = (count: number, from = 0) => Array.from({ length: count }, (_, at) => `add=t${at + from}`).join("&");
    for (const [stream, body, status, text] of [
      [name, "", 400, /add/],
      [name, "topic=b", 400, /neither "add" nor "remove"/],
      [name, "add=b&remove=b", 400, /both added and removed/],
      [name, many(101), 400, /at most 100/],
      [name, many(100), 400, /would have 101 topics/],
      [name, "add_urlpattern=/x", 400, /draft-08/],
      [name, "add=%00", 400, /U\+0000/],
      [name, "add=%ff", 400, /UTF-8/],
      [v8.name, "add_regexp=x", 400, /unknown type of matcher/],
      [v8.name, "add_urlpattern=(", 400, /./],
      [name, Array.from({ length: 9 }, (_, at) => `add=${at}${"x".repeat(4000)}`).join("&"), 413, /at most 32768/],
    ] as const) {
      const answer = await patch(web, stream, body);
      assert.equal(answer.status, status, `${body.slice(0, 40)}: ${answer.body}`);
      assert.match(answer.body, text);
    }
    assert.equal((await patch(web, name, `${many(100)}&remove=a`)).status, 200);
    assert.equal(blocks(web, id).length, 1);
  });

  test("refuses patterns that are too expensive for all streams together, until others end", async () => {
    const web = await Web.open({ config: "[stream]\nmax_pattern_cost = 100" });
    const { name } = await open(web, "topic=a");
    const refused = await patch(web, name, `add=${"{a}{b}{c}{d}{e}{f}".repeat(4)}`);
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "5"]);
    assert.match(refused.body, /too expensive/);
    assert.equal((await patch(web, name, "add=b")).status, 200);
  });

  test("adds a topic that needs a token to a stream with a token only", async () => {
    const web = await Web.open({ config: '[[topic]]\ntopic = "members"\nanonymous = false' });
    const headers = bearer(await tokenV0({}, { sub: "me" }));
    const [guest, member] = [await open(web, "topic=a"), await open(web, "topic=a", { headers })];
    const refused = await patch(web, guest.name, "add=members", { headers });
    assert.deepEqual([refused.status, (await patch(web, member.name, "add=members", { headers })).status], [403, 200]);
    assert.match(refused.body, /fix: open a stream with a token/);
    await publish(web, "members");
    assert.deepEqual([blocks(web, guest.id), blocks(web, member.id)], [[], ["m2push-topics", "members"]]);
  });

  test("takes a form only, names it, and leaves the connection open", async () => {
    const web = await Web.open();
    const { name } = await open(web, "topic=a");
    const path = `${HUB}/streams/${name}`;
    const json = await patch(web, name, "{}", { headers: { "content-type": "application/json" } });
    assert.deepEqual([json.status, json.headers["accept-patch"]], [415, FORM["content-type"]]);
    const coded = await patch(web, name, "add=b", { headers: { "content-encoding": "gzip" } });
    assert.equal(coded.status, 415);
    assert.equal((await patch(web, name, "add=b")).headers.connection, undefined);
    const get = await web.get(path);
    assert.deepEqual([get.status, get.headers.allow], [405, "PATCH, OPTIONS"]);
    const options = await web.get(path, { method: "OPTIONS" });
    assert.deepEqual([options.status, options.headers["accept-patch"]], [204, FORM["content-type"]]);
  });

  test("lets pages of allowed origins change a stream and read its name", async () => {
    const web = await Web.open({ config: '[auth]\ncors_origins = ["https://page.example"]' });
    const origin = { origin: "https://page.example" };
    const { response, name } = await open(web, "topic=a", { headers: origin });
    assert.match(response?.headers["access-control-expose-headers"] ?? "", /M2push-Stream/);
    const preflight = await web.get(`${HUB}/streams/${name}`, {
      method: "OPTIONS",
      headers: { ...origin, "access-control-request-method": "PATCH" },
    });
    assert.equal(preflight.headers["access-control-allow-methods"], "PATCH, OPTIONS");
    assert.equal(preflight.headers["access-control-allow-origin"], "https://page.example");
  });

  describe("Replay of added topics", () => {
    /** A stream of "a" beside three earlier events; what it got after a PATCH, and the response. */
    async function added(body: (epoch: string) => string, config = "") {
      const web = await Web.open({ config });
      await web.post("topic=b&data=b1&id=own-1");
      await web.post("topic=a&data=a2");
      await web.post("topic=b&topic=c&data=b3");
      await web.post("topic=b&data=secret&private=on");
      const { id, name } = await open(web, "topic=a");
      const { status, body: text } = await patch(web, name, body(web.history.epoch));
      await publish(web, "a", "b");
      return { web, id, name, status, text, got: blocks(web, id) };
    }

    for (const [asked, replayed] of [
      ["lastEventID=earliest", ["b1", "b3"]],
      ["last_event_id=own-1", ["b3"]],
      ["Last-Event-ID=%23EPOCH.2", ["b3"]],
      ["lastEventId=%23EPOCH.4", []],
      ["latest=1", ["b3"]],
      ["last=2", ["b1", "b3"]],
      ["since=1h", ["b1", "b3"]],
      ["since=2020-01-01T00:00:00Z", ["b1", "b3"]],
      ["latest=1&lastEventID=own-1", ["b3"]],
      ["lastEventID=never-seen", ["m2push-gap"]],
      ["lastEventID=", ["m2push-gap"]],
    ] as const) {
      test(`${asked}: before the event that tells of the change`, async () => {
        const { status, got } = await added((epoch) => `add=b&${asked.replace("EPOCH", epoch)}`);
        assert.deepEqual([status, got], [200, [...replayed, "m2push-topics", "a", "b"]]);
      });
    }

    test("without a parameter nothing is replayed, and a bad one is refused", async () => {
      assert.deepEqual((await added(() => "add=b")).got, ["m2push-topics", "a", "b"]);
      for (const bad of ["latest=yes", "last=0", "since=soon", "latest=1&last=2"]) {
        const { status, text } = await added(() => `add=b&${bad}`);
        assert.equal(status, 400);
        assert.match(text, /fix: /);
      }
    });

    test("an event that came through another topic does not come again, and what a stream began after does", async () => {
      const web = await Web.open();
      await web.post("topic=a&topic=b&data=1");
      const { id, name } = await open(web, "topic=a");
      await web.post("topic=a&topic=b&data=2");
      await web.post("topic=b&data=3");
      await patch(web, name, "add=b&lastEventID=earliest");
      assert.deepEqual(blocks(web, id), ["2", "1", "3", "m2push-topics"]);
      await patch(web, name, "add=b&lastEventID=earliest");
      assert.deepEqual(blocks(web, id), ["2", "1", "3", "m2push-topics", "m2push-topics"], "it was replayed already");
    });

    test("reports events that are not stored any more", async () => {
      const web = await Web.open();
      const { id, name } = await open(web, "topic=a");
      for (let event = 1; event <= 1002; event++)
        void web.hub.publish({ topics: ["b"], data: `${event}`, private: false });
      await patch(web, name, `add=b&lastEventID=${encodeURIComponent(`#${web.history.epoch}.0`)}`);
      const got = blocks(web, id);
      assert.deepEqual([got[0], got[1], got.at(-2), got.at(-1)], ["m2push-gap", "3", "1002", "m2push-topics"]);
    });

    test("a change before a stream has got its state leaves nothing of it out", async () => {
      const web = await Web.open();
      for (const topic of ["a", "b", "c"]) await web.post(`topic=${topic}&data=${topic}1`);
      web.outlet.acknowledgeAll();
      await web.post("topic=other&data=x");
      const id = web.send("/esupdates", { query: "topic=a&topic=b&latest=1&control=1", credits: 10 });
      const name = web.responses(id)[0]?.headers["m2push-stream"] ?? "";
      const { status, body } = await patch(web, name, "add=c&remove=b&latest=1");
      assert.deepEqual([status, JSON.parse(body).position], [200, `#${web.history.epoch}.4`]);
      await publish(web, "c");
      for (let round = 0; round < 10; round++) {
        await new Promise(setImmediate);
        web.server.credit(id, 10_000);
        web.outlet.acknowledgeAll();
      }
      assert.deepEqual(blocks(web, id), ["a1", "c1", "m2push-topics", "c"]);
    });
  });

  test("active subscriptions show the changed selectors, and watchers are told of them", async () => {
    const web = await Web.open();
    const payload = { name: "me" };
    const grants = [{ match: "*" }];
    const token = await tokenV8([detail(["subscribe"], grants, { payload })], { sub: "me" });
    const watcher = web.send(HUB, {
      query: "match_urlpattern=/.well-known/mercure/subscriptions/*",
      headers: bearer(token),
    });
    await web.until(watcher, 1);
    const { name } = await open(web, "match=a&match=b", { headers: bearer(token) });
    await patch(web, name, "add=c&remove=a", { headers: bearer(token) });
    web.clock.advance(200);
    const told = web.events(watcher).map((it) => JSON.parse(it));
    const changes = told.map(({ match, active, payload: shown }) => [match, active, shown?.name]);
    assert.deepEqual(changes.slice(-4), [
      ["a", true, "me"],
      ["b", true, "me"],
      ["a", false, "me"],
      ["c", true, "me"],
    ]);
    const list = JSON.parse((await web.get(`${HUB}/subscriptions`, { headers: bearer(token) })).body);
    const shown = list.subscriptions.map(({ match }: { match: string }) => match).sort();
    assert.deepEqual(shown, ["/.well-known/mercure/subscriptions/*", "b", "c"]);
  });

  test("a stream can become a watcher, and stop being one", async () => {
    const web = await Web.open();
    const token = await tokenV0({ subscribe: ["*"] }, { sub: "me" });
    const { id, name } = await open(web, "topic=a", { headers: bearer(token) });
    const visit = async () => {
      const visitor = web.send(HUB, { query: "topic=somewhere" });
      await web.until(visitor, 1);
      web.clock.advance(200);
      web.hub.leave(web.server, visitor, "left");
      web.clock.advance(200);
      return blocks(web, id).filter((it) => it.includes("somewhere")).length;
    };
    assert.equal(await visit(), 0);
    const watched = `/.well-known/mercure/subscriptions{/topic}{/subscriber}`;
    await patch(web, name, `add=${watched}`, { headers: bearer(token) });
    assert.equal(await visit(), 2);
    await patch(web, name, `remove=${watched}`, { headers: bearer(token) });
    assert.equal(await visit(), 2);
  });
});
