/** What the [[topic]] tables do to publishers and subscribers over HTTP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TopicRules } from "../../src/matching/topic-rules.js";
import { load } from "../config/harness.js";
import { everything, HUB, tokenV0, tokenV8, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const open = (config: string) => Web.open({ config });

describe("Topic rules", () => {
  test("private = true makes every event private, whatever its publisher says", async () => {
    const web = await open('[[topic]]\ntemplate = "orders/{id}"\nprivate = true\n');
    const granted = web.send(HUB, { query: "topic=*", headers: bearer(await tokenV0({ subscribe: ["orders/{id}"] })) });
    const anonymous = web.send(HUB, { query: "topic=*" });
    await web.until(granted, 1);
    for (const [topic, data] of [
      ["orders/1", "secret"],
      ["news", "public"],
    ])
      assert.equal((await web.post(`topic=${topic}&data=${data}`)).status, 200);
    await web.post("topic=news&topic=orders/2&data=both");
    assert.deepEqual(web.events(granted), ["secret", "public", "both"]);
    assert.deepEqual(web.events(anonymous), ["public"]);
  });

  test("rate refuses events of one topic beyond it with 429 and Retry-After, from every publisher", async () => {
    const web = await open('[[topic]]\ntopic = "slow"\nrate = 1\n');
    const publisher = async (subject: string) => ({ token: await tokenV0({ publish: ["*"] }, { sub: subject }) });
    assert.equal((await web.post("topic=slow&data=1", await publisher("a"))).status, 200);
    const refused = await web.post("topic=slow&data=2", await publisher("b"));
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [429, "1"]);
    assert.equal((await web.post("topic=fast&data=3", await publisher("b"))).status, 200);
    web.clock.advance(1000);
    assert.equal((await web.post("topic=slow&data=4", await publisher("b"))).status, 200);
  });

  test("anonymous = false answers 401 to a stream without a token that names the topic, in every dialect", async () => {
    const web = await open('[[topic]]\ntopic = "members"\nanonymous = false\n');
    for (const [path, query] of [
      [HUB, "topic=members"],
      [HUB, "topic=news&topic=members"],
      [HUB, "match=members"],
      ["/esupdates", "topic=members"],
    ] as const) {
      const { status, headers } = await web.get(path, { query });
      assert.equal(status, 401, query);
      assert.match(headers["www-authenticate"] ?? "", /^Bearer/);
      assert.equal((await web.get(path, { query, method: "HEAD" })).status, 401);
    }
    assert.equal((await web.get(HUB, { query: "topic=news" })).status, 200);
  });

  test("without a token, * and patterns get none of the events of such a topic, live or replayed; any token does", async () => {
    const web = await open('[[topic]]\ntemplate = "members/{id}"\nanonymous = false\n');
    const streams = async (start: string) => {
      const [v0, v8] = [await tokenV0({ publish: ["x"] }), await tokenV8([])];
      const query = (value: string) => `topic=${encodeURIComponent(value)}${start}`;
      const anonymous = ["*", "members/{id}"].map((value) => web.send(HUB, { query: query(value) }));
      const members = [
        web.send(HUB, { query: query("*"), headers: bearer(v0) }),
        web.send(HUB, { query: query("members/1"), headers: bearer(await everything()) }),
        web.send(HUB, {
          query: `match=members%2F1${start.replace("lastEventID", "last_event_id")}`,
          headers: bearer(v8),
        }),
      ];
      for (const id of [...anonymous, ...members]) await web.until(id, 1);
      return { anonymous, members };
    };
    const live = await streams("");
    await web.post("topic=members/1&data=1");
    await web.post("topic=news&topic=members/1&data=2");
    const replayed = await streams("&lastEventID=earliest");
    for (const { anonymous, members } of [live, replayed]) {
      for (const id of anonymous) assert.deepEqual(web.events(id), []);
      for (const id of members) assert.deepEqual(web.events(id), ["1", "2"]);
    }
  });

  test("other tables hold at once after a reload, for open streams too", async () => {
    const web = await open("");
    const stream = web.send(HUB, { query: "topic=*" });
    await web.post("topic=a&data=1");
    const { config } = load('[[topic]]\ntopic = "a"\nanonymous = false\n');
    web.rules.replace(new TopicRules(config.topic, "http://hub.example/"));
    await web.post("topic=a&data=2");
    await web.post("topic=b&data=3");
    assert.deepEqual(web.events(stream), ["1", "3"]);
    assert.equal((await web.get(HUB, { query: "topic=a" })).status, 401);
  });

  test('keep = "last" gives the newest event of a topic to latest and to If-Match after it was trimmed', async () => {
    const web = await open('[[topic]]\ntemplate = "kept/{id}"\nkeep = "last"\n');
    await web.hub.topics.ready();
    await web.post("topic=kept/1&data=old");
    const { body: id } = await web.post("topic=kept/1&data=new");
    for (let event = 0; event < 1000; event++) await web.hub.publish({ topics: ["other"], data: "x", private: false });
    assert.equal(web.history.floor, 2);
    const stream = web.send(HUB, { query: "topic=kept%2F1&latest=1" });
    await web.until(stream, 1);
    assert.deepEqual(web.events(stream), ["new"]);
    const conditional = (tag: string) => web.post("topic=kept/1&data=newer", { headers: { "if-match": `"${tag}"` } });
    assert.equal((await conditional("other")).status, 412);
    assert.equal((await conditional(id.trim())).status, 200);
  });
});
