import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseForm } from "../../src/http/form.js";
import { v8 } from "../../src/http/mercure/v8.js";
import { HUB, Web } from "./harness.js";

const URL_OF_HUB = new URL(`https://hub.example${HUB}`);
const refused = { code: "invalid" };

describe("Mercure v8", () => {
  test("match and match_exact are exact, match_urlpattern is a pattern; each parameter is a subscription", () => {
    const asked = v8.requestedSelectors(parseForm("match=a&match_urlpattern=%2Fb%2F%3Aid&x=1&match_exact=a&match=*"));
    assert.deepEqual(
      asked.map(({ selects, kind, value }) => [selects, kind, value]),
      [
        ["exact", "exact", "a"],
        ["urlpattern", "urlpattern", "/b/:id"],
        ["exact", "exact", "a"],
        ["exact", "exact", "*"],
      ],
    );
  });

  for (const name of [
    "Match",
    "MATCH",
    "matchX",
    "match_regexp",
    "match_Exact",
    "matchURLPattern",
    "match-types",
    "match%20",
    "mAtCh_exact",
  ]) {
    test(`a parameter that begins like match and is none is an error, not a thing to overlook: ${name}`, () => {
      assert.throws(() => v8.requestedSelectors(parseForm(`match=a&${name}=b`)), refused);
    });
  }

  test("other parameters are overlooked, but topic, which is a mistake", () => {
    assert.equal(v8.requestedSelectors(parseForm("match=a&other=1&amatch=2&=3")).length, 1);
    assert.throws(() => v8.requestedSelectors(parseForm("match=a&topic=b")), {
      message: /"topic" is Mercure 0\.x: use "match"/,
    });
  });

  test("no matcher is an error, and so are 101", () => {
    assert.throws(() => v8.requestedSelectors([]), refused);
    assert.equal(v8.requestedSelectors(parseForm("match=a&".repeat(100))).length, 100);
    assert.throws(() => v8.requestedSelectors(parseForm("match=a&".repeat(101))), refused);
  });

  test("the last event id is the first of its parameters; an empty one counts as one", () => {
    assert.equal(v8.lastEventId(parseForm("a=1")), undefined);
    assert.equal(v8.lastEventId(parseForm("last_event_id=")), "");
    assert.equal(v8.lastEventId(parseForm("last_event_id=a&last_event_id=b&lastEventID=c")), "b");
  });

  for (const topic of [
    HUB,
    `${HUB}/`,
    `${HUB}/subscriptions/exact/a/b`,
    `${HUB}?x=1`,
    `${HUB}#x`,
    "/.well-known/%6Dercure/x",
    "/.well-known/%6dercure",
    "/%2Ewell-known/mercure",
    "/.well%2Dknown/mercure/x",
    "/.well-known/mercure/../mercure/x",
    "/.well-known/x/../mercure",
    "/.well-known/x/%2e%2e/mercure",
    "/.well-known/x/%2E./mercure/y",
    "/a/../.well-known/./mercure",
    "https://elsewhere.example/.well-known/mercure",
    "https://elsewhere.example/.well-known/mercure/subscriptions",
    "http://elsewhere.example:8080/.well-known/mercure?a",
    "ftp://elsewhere.example/.well-known/mercure",
    "https:/.well-known/mercure",
    "https://user:pw@hub.example/.well-known/mercure/x",
    "//elsewhere.example/.well-known/mercure",
    "\\.well-known\\mercure",
    "mercure",
    "mercure/subscriptions/x",
    "./mercure/x",
    "../.well-known/mercure",
    "foo:/.well-known/mercure/x",
    "/.well-known/mercure/subscriptions/../../x",
    "https://elsewhere.example/.well-known/mercure/subscriptions/a/../../../b",
  ]) {
    test(`the hub's namespace is reserved, however it is written: ${topic}`, () => {
      assert.equal(v8.isReserved(topic, URL_OF_HUB), true);
    });
  }

  for (const topic of [
    "/.well-known/mercurex",
    "/.well-known/mercure-x/y",
    "/.well-known/mercure%2Fx",
    "/.well-known/mercure%2F../mercure/x",
    "/.well-known/",
    "/.WELL-KNOWN/MERCURE",
    "/x/.well-known/mercure",
    "/.well-known/mercure/../x",
    "https://hub.example/x?/.well-known/mercure",
    "https://hub.example/x#/.well-known/mercure",
    "urn:.well-known/mercure",
    "urn:isbn:123",
    "https://[bad/.well-known/mercure",
    "news",
  ]) {
    test(`other topics are not: ${topic}`, () => assert.equal(v8.isReserved(topic, URL_OF_HUB), false));
  }

  test("the reserved namespace follows the hub's path", () => {
    const hub = new URL("https://hub.example/push/hub");
    assert.equal(v8.isReserved("/push/hub/subscriptions", hub), true);
    assert.equal(v8.isReserved("hub", hub), true);
    assert.equal(v8.isReserved(HUB, hub), false);
  });

  test("a subscription's address has each part encoded once, as a whole", () => {
    const subscriber = { id: "urn:uuid:1", subscriptions: [] };
    const subscribed = { kind: "urlpattern", match: "https://e.com/é/:id*?a=b%20c" } as const;
    const path = v8.pathOf({ subscriber, subscribed });
    assert.equal(path, "/urlpattern/https%3A%2F%2Fe.com%2F%C3%A9%2F%3Aid%2A%3Fa%3Db%2520c/urn%3Auuid%3A1");
    const segments = path.slice(1).split("/").map(decodeURIComponent);
    assert.deepEqual(v8.parsePath(segments), { ...subscribed, subscriber: "urn:uuid:1" });
  });

  test("what can be asked for: all, one matcher's, one; another type is no matcher's", () => {
    assert.deepEqual(v8.parsePath([]), {});
    assert.deepEqual(v8.parsePath(["exact", "a"]), { kind: "exact", match: "a" });
    assert.deepEqual(v8.parsePath(["exact", "a", "s"]), { kind: "exact", match: "a", subscriber: "s" });
    assert.equal(v8.parsePath(["exact"]), undefined);
    assert.equal(v8.parsePath(["exact", "a", "s", "more"]), undefined);
    for (const kind of ["topic", "regexp", "Exact", ""]) assert.equal(v8.parsePath([kind, "a"]), "unknown");
  });

  test("the hub's metadata says what it is and takes", async () => {
    const web = await Web.open({
      config: '[hub]\norigin = "https://hub.example"\n[auth]\nissuer = "https://login.example"',
    });
    const { status, headers, body } = await web.get(`/.well-known/oauth-protected-resource${HUB}`);
    assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
    assert.deepEqual(JSON.parse(body), {
      resource: `https://hub.example${HUB}`,
      authorization_servers: ["https://login.example"],
      authorization_details_types_supported: ["https://mercure.rocks/authorization-detail"],
      bearer_methods_supported: ["header"],
      mercure_cookie: "__Secure-mercure_access_token",
      mercure_matcher_types_supported: ["exact", "urlpattern"],
      mercure_subscriptions: true,
    });
  });

  test("with draft-08 alone nothing of 0.x is understood but the names of the last event id, which libraries choose", async () => {
    const web = await Web.open({ config: '[hub]\nprotocol = "draft-08"' });
    assert.equal((await web.get(HUB, { query: "topic=a" })).status, 400);
    await web.post("topic=a&data=1");
    const { status, headers } = await web.get(HUB, { query: "match=a&lastEventID=earliest" });
    assert.deepEqual(
      [status, headers["last-event-id"], headers["mercure-last-event-id"]],
      [200, undefined, "earliest"],
    );
  });
});
