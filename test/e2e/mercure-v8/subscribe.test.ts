/** draft-dunglas-mercure-08, "Subscription" and "Matchers", through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { form, mercure } from "../mercure.js";

const hub = mercure();
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const query = (body: string) => ({ method: "QUERY", body, headers: FORM });

describe("Mercure draft 08, end to end: Subscribe", () => {
  test("a subscriber gets 200, text/event-stream, and an id with every event", async (t) => {
    const client = await hub.open(t, "match=a");
    assert.equal(client.headers["content-type"], "text/event-stream");
    const id = await hub.published({ topic: "a", data: "x" });
    const event = await client.next();
    assert.deepEqual([event.data, event.id, event.type], ["x", id, "message"]);
    assert.equal(client.text.match(/^data: x$/gm)?.length, 1);
    assert.deepEqual(
      client.openings.map(({ type, data, id: position }) => [type, data, position !== ""]),
      [["m2push-open", "{}", true]],
    );
  });

  for (const [what, asked] of [
    ["no matcher at all", ""],
    ["parameters that are none", "other=1"],
    ["Match", "match=a&Match=b"],
    ["matchfoo", "match=a&matchfoo=b"],
    ["match_regexp", "match_regexp=b"],
    ["topic", "match=a&topic=b"],
    ["a malformed URL pattern", "match_urlpattern=https%3A%2F%2Fa%20b%2F"],
    ["a group that does not end", "match_urlpattern=%2F(a"],
    ["a control character", "match=a%01"],
    ["DEL", "match=a%7F"],
    ["a C1 control character", "match=a%C2%80"],
    ["an invisible character", "match=a%E2%80%8B"],
    ["a byte order mark", "match=%EF%BB%BFa"],
    ["what is not UTF-8", "match=%FF"],
    ["half a surrogate pair", "match=%ED%A0%80"],
  ] as const) {
    test(`${what}: 400`, async () => assert.equal((await hub.ask(asked)).status, 400));
  }

  test("101 matchers, or one of 4,097 bytes: 400; 100, and one of 4,096, are taken", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `match=${i}`).join("&");
    assert.equal(await hub.status("", query(many(101))), 400);
    assert.equal(await hub.status("", query(many(100))), 200);
    assert.equal(await hub.status("", query(`match=${"x".repeat(4_097)}`)), 400);
    assert.equal(await hub.status("", query(`match=${"x".repeat(4_096)}`)), 200);
  });

  test("other parameters are ignored", async () =>
    assert.equal(await hub.status("match=a&other=1&retry=x&data=y"), 200));

  test("match=* and match_urlpattern=* give every public event, whatever its topic is", async (t) => {
    const clients = [
      await hub.open(t, "match=*"),
      await hub.open(t, "match_urlpattern=*"),
      await hub.open(t, "match_exact=*"),
    ];
    for (const topic of ["a", "https://e.com/é?x#y", "https://[bad", "urn:isbn:1", "with blanks"])
      await hub.published({ topic, data: topic });
    for (const got of await hub.before("last", ...clients))
      assert.deepEqual(got, ["a", "https://e.com/é?x#y", "https://[bad", "urn:isbn:1", "with blanks"]);
  });

  test("an exact matcher is compared byte for byte", async (t) => {
    const client = await hub.open(t, form({ match: ["https://e.com/caf%C3%A9", "/x", "last"] }));
    for (const topic of [
      "https://e.com/caf%c3%a9",
      "https://e.com/café",
      "HTTPS://E.COM/caf%C3%A9",
      "x",
      "/x/",
      "/X",
      "https://e.com/./caf%C3%A9",
    ])
      await hub.published({ topic, data: topic });
    await hub.published({ topic: "https://e.com/caf%C3%A9", data: "exactly" });
    assert.deepEqual(await hub.before("last", client), [["exactly"]]);
  });

  const BOOKS = "https://e.com/books/:id";
  for (const [matcher, topics, others] of [
    [
      BOOKS,
      [
        "https://e.com/books/1",
        "https://e.com/books/1?x=1",
        "https://E.COM/books/1#f",
        "https://user:pw@e.com/books/1",
      ],
      ["https://e.com/books/a/b", "https://e.com:8443/books/1", "https://e.com/Books/1", "http://e.com/books/1"],
    ],
    ["/books/:id", ["/books/1", "http://localhost:6767/books/1"], ["https://e.com/books/1", "books/1"]],
    ["foo/:x", ["foo/1", "/.well-known/foo/1"], ["/foo/1", "foo/1/2"]],
    ["https://e.com/(\\d+)", ["https://e.com/42"], ["https://e.com/x", "https://e.com/4x"]],
    ["https://*.e.com/*", ["https://a.e.com/x/y"], ["https://e.com/x"]],
    ["urn:isbn::n", [], ["urn:isbn:123"]],
  ] as const) {
    test(`the URL pattern ${matcher}`, async (t) => {
      const client = await hub.open(t, form({ match_urlpattern: matcher, match: "last" }));
      for (const topic of [...topics, ...others, "https://[bad"]) await hub.published({ topic, data: topic });
      assert.deepEqual(await hub.before("last", client), [topics]);
    });
  }

  test("a pattern made to take for ever takes no time: the next event comes", async (t) => {
    const evil = await hub.open(t, form({ match_urlpattern: "https://e.com/((?:a|b|ab)*)*[xyz]", match: "last" }));
    await hub.published({ topic: `https://e.com/${"ab".repeat(1_500)}`, data: "x" });
    assert.deepEqual(await hub.before("last", evil), [[]]);
  });

  test("an update of several topics reaches each client that follows any of them, once", async (t) => {
    const clients = [
      await hub.open(t, "match=a&match=b&match=last"),
      await hub.open(t, "match=b&match=last"),
      await hub.open(t, "match=c&match=last"),
    ];
    await hub.published({ topic: ["a", "b"], data: "x" });
    assert.deepEqual(await hub.before("last", ...clients), [["x"], ["x"], []]);
  });

  test("QUERY: the matchers of the body, and those of the address, and both", async (t) => {
    const clients = [
      await hub.open(t, "", query("match=a&match=b&match=last")),
      await hub.open(t, "match=a&match=last", query("match=b")),
      await hub.open(t, "match=a&match=b&match=last", { method: "QUERY" }),
    ];
    for (const topic of ["a", "b", "c"]) await hub.published({ topic, data: topic });
    for (const got of await hub.before("last", ...clients)) assert.deepEqual(got, ["a", "b"]);
  });

  test("QUERY with a body that is no form: 400", async () => {
    assert.equal(
      await hub.status("match=a", { method: "QUERY", body: "{}", headers: { "content-type": "application/json" } }),
      400,
    );
  });

  test("HEAD has the head of the stream and no body", async () => {
    const { status, headers, text } = await hub.ask("match=a", { method: "HEAD" });
    assert.deepEqual([status, headers["content-type"], text], [200, "text/event-stream", ""]);
  });

  test("methods that are none of the hub's: 405, and what it has", async () => {
    const { status, headers } = await hub.ask("match=a", { method: "PUT" });
    assert.deepEqual([status, headers.allow], [405, "GET, HEAD, QUERY, POST, DELETE, OPTIONS"]);
  });

  test("a page of another origin that is not allowed is told nothing of CORS", async () => {
    const { headers } = await hub.ask("", {
      method: "OPTIONS",
      headers: { origin: "https://evil.example", "access-control-request-method": "GET" },
    });
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith("access-control")),
      [],
    );
  });

  test("matchers route and grant nothing", async (t) => {
    const client = await hub.open(t, "match=*");
    await hub.published({ topic: "a", data: "secret", private: "on" });
    assert.deepEqual(await hub.before("last", client), [[]]);
  });
});
