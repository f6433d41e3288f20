import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detail, everything, everythingV8, HUB, NOW, tokenV0, tokenV8, Web } from "./harness.js";

const METADATA = `resource_metadata="http://localhost:6767/.well-known/oauth-protected-resource${HUB}"`;
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const NEWS = { query: "match=news" };

describe("Access", () => {
  test("a token is needed and none is shown: 401, a challenge without an error", async () => {
    const web = await Web.open({ config: "[auth]\nanonymous = false" });
    for (const answer of [await web.get(HUB, NEWS), await web.post("topic=a", { token: null })]) {
      assert.equal(answer.status, 401);
      assert.equal(answer.headers["www-authenticate"], `Bearer ${METADATA}`);
    }
  });

  test("a token that is not good: 401 invalid_token, the same for every cause", async () => {
    const web = await Web.open();
    const token = await everythingV8();
    const bad = [
      "no.jwt.atall",
      `${token}x`,
      await tokenV8([], { exp: NOW - 30 }),
      await tokenV8([], { aud: "https://elsewhere.example" }),
      await tokenV8([detail([], ["a"])]),
      await tokenV0({ publish: "not a list" }),
    ];
    const answers = await Promise.all(bad.map((it) => web.get(HUB, { ...NEWS, ...bearer(it) })));
    for (const { status, headers, body } of answers) {
      assert.equal(status, 401);
      assert.equal(headers["www-authenticate"], `Bearer error="invalid_token", ${METADATA}`);
      assert.equal(body, answers[0]?.body);
    }
    assert.equal(new Set(web.answered).size, bad.length, "the log knows each cause");
  });

  test("a token that does not come as one must: 400 invalid_request", async () => {
    const web = await Web.open();
    for (const authorization of ["Bearer", "Bearer ", "Bearer a b", "?"]) {
      const { status, headers } = await web.get(HUB, { ...NEWS, headers: { authorization } });
      assert.equal(status, 400, authorization);
      assert.equal(headers["www-authenticate"], `Bearer error="invalid_request", ${METADATA}`);
    }
  });

  test("a good token that is not for this: 403 insufficient_scope, in both dialects, and nothing is published", async () => {
    const web = await Web.open();
    for (const token of [await tokenV0({ publish: ["b"] }), await tokenV8([detail(["publish"], ["b"])])]) {
      const { status, headers } = await web.post("topic=a&data=x", { token });
      assert.equal(status, 403);
      assert.equal(headers["www-authenticate"], `Bearer error="insufficient_scope", ${METADATA}`);
    }
    assert.equal(web.history.last, 0);
  });

  test("another scheme is no token: its sender is a stranger like others", async () => {
    const web = await Web.open();
    assert.equal((await web.get(HUB, { ...NEWS, headers: { authorization: "Basic eDp5" } })).status, 200);
  });

  test("publishers and subscribers have keys of their own, where they are given", async () => {
    const other = "another secret of more than thirty-two bytes";
    const web = await Web.open({ config: `[auth]\nsubscriber_key = "${other}"` });
    assert.equal((await web.post("topic=a")).status, 200);
    assert.equal((await web.get(HUB, { ...NEWS, ...bearer(await everything()) })).status, 401);
  });

  test("without a publisher_key nobody publishes over HTTP, however the token is signed", async () => {
    const web = await Web.open();
    web.site.reload({ ...web.config, auth: { ...web.config.auth, publisher_key: "" } });
    assert.equal((await web.post("topic=a")).status, 401);
    assert.equal((await web.post("topic=a", { token: null })).status, 401);
  });

  test("addresses that are allowed to publish need no token; a token that they show counts nevertheless", async () => {
    const web = await Web.open({ config: '[auth]\nallow_publish_from = ["10.0.0.7"]' });
    const remote = "10.0.0.7";
    assert.equal((await web.post("topic=a", { token: null, remote })).status, 200);
    assert.equal((await web.post("topic=a", { token: null, remote: "10.0.0.70" })).status, 401);
    assert.equal((await web.post("topic=a", { token: "bad.bad.bad", remote })).status, 401);
    assert.equal((await web.post("topic=a", { token: await tokenV0({ publish: [] }), remote })).status, 403);
  });

  test("a cookie publishes only from the hub's own pages and those of allowed origins", async () => {
    const web = await Web.open({ config: '[auth]\ncors_origins = ["https://shop.example", "*"]' });
    const token = await everythingV8();
    const post = (headers: Record<string, string>) =>
      web.post("topic=a", { token: null, headers: { cookie: `__Secure-mercure_access_token=${token}`, ...headers } });
    for (const good of [
      { origin: "http://localhost:6767" },
      { origin: "https://shop.example" },
      { referer: "https://shop.example/cart?x=1" },
    ])
      assert.equal((await post(good)).status, 200, JSON.stringify(good));
    for (const bad of [
      {},
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "*" },
      { referer: "https://evil.example/https://shop.example" },
      { origin: "https://evil.example", referer: "https://shop.example/" },
      { referer: "nonsense" },
    ])
      assert.equal((await post(bad)).status, 400, JSON.stringify(bad));
  });

  test("a cookie reads, wherever the page is from: what may be read across origins CORS decides", async () => {
    const web = await Web.open({ config: "[auth]\nanonymous = false" });
    for (const name of ["__Secure-mercure_access_token", "mercureAuthorization"]) {
      const cookie = `${name}=${await everything()}`;
      assert.equal((await web.get(HUB, { ...NEWS, headers: { cookie, origin: "https://evil.example" } })).status, 200);
    }
  });

  test("the header decides alone: a valid cookie does not replace it, an invalid one does no harm", async () => {
    const web = await Web.open();
    const cookie = (token: string) => ({ cookie: `__Secure-mercure_access_token=${token}` });
    const good = await everythingV8();
    const asked = (headers: Record<string, string>) => web.get(HUB, { ...NEWS, headers });
    assert.equal((await asked({ ...cookie(good), authorization: "Bearer a.b.c" })).status, 401);
    assert.equal((await asked({ ...cookie("a.b.c"), authorization: `Bearer ${good}` })).status, 200);
  });

  test("with draft-08 alone, tokens in the query and in the old cookie have no effect, and tokens of 0.x none at all", async () => {
    const web = await Web.open({ config: '[hub]\nprotocol = "draft-08"\n[auth]\nanonymous = false' });
    const token = await everythingV8();
    const at = (query: string, headers = {}) => web.get(HUB, { query: `match=a&${query}`, headers });
    assert.equal((await at(`authorization=${token}`)).status, 401);
    assert.equal((await at(`access_token=${token}`)).status, 401);
    assert.equal((await at("", { cookie: `mercureAuthorization=${token}` })).status, 401);
    assert.equal((await at("", { authorization: `Bearer ${await everything()}` })).status, 401);
    assert.equal((await at("", { authorization: `Bearer ${token}` })).status, 200);
  });

  test("an access token in the query is refused where 0.x is spoken, too", async () => {
    const web = await Web.open();
    assert.equal((await web.get(HUB, { query: `match=a&authorization=${await everythingV8()}` })).status, 401);
    assert.equal((await web.get(HUB, { query: `topic=a&authorization=${await everything()}` })).status, 200);
  });

  test("with 0.x alone, access tokens are refused, and no metadata is promised", async () => {
    const web = await Web.open({ config: '[hub]\nprotocol = "0.x"' });
    const { status, headers } = await web.get(HUB, { query: "topic=a", ...bearer(await everythingV8()) });
    assert.deepEqual([status, headers["www-authenticate"]], [401, 'Bearer error="invalid_token"']);
    assert.equal((await web.post("topic=a", { token: null })).headers["www-authenticate"], "Bearer");
    assert.equal((await web.get(`/.well-known/oauth-protected-resource${HUB}`)).status, 404);
  });

  test("a cookie counts beside Basic or Negotiate, and a good one beside an old one of the same name", async () => {
    const web = await Web.open();
    const [good, old] = [
      await tokenV0({ subscribe: ["secret"] }),
      await tokenV0({ subscribe: ["secret"] }, { exp: 1 }),
    ];
    const other = await tokenV0({ subscribe: ["elsewhere"] });
    const open = (headers: Record<string, string>, query = "") =>
      web.send(HUB, { query: `topic=secret${query}`, headers });
    const cookie = (...tokens: string[]) => ({ cookie: tokens.map((it) => `mercureAuthorization=${it}`).join("; ") });
    const readers = [
      open({ authorization: "Basic dXNlcjpwdw==", ...cookie(good) }),
      open({ authorization: "Negotiate YII=" }, `&authorization=${good}`),
      open(cookie(old, good)),
      open(cookie(other, good)),
      open({ cookie: `__Secure-mercure_access_token=${old}; mercureAuthorization=${good}` }),
    ];
    for (const id of readers) await web.until(id, 1);
    await web.post("topic=secret&data=x&private=on");
    assert.deepEqual(
      readers.map((id) => web.events(id)),
      readers.map(() => ["x"]),
    );
    assert.equal((await web.get(HUB, { ...NEWS, headers: cookie(old, `${good}x`) })).status, 401);
  });

  test("a browser at an address that may publish cannot be made to publish by another site's page", async () => {
    const web = await Web.open({ config: '[auth]\nallow_publish_from = ["10.0.0.0/8"]' });
    const from = (headers: Record<string, string>) => web.post("topic=a", { token: null, remote: "10.1.2.3", headers });
    const foreign: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { referer: "https://evil.example/page" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example", "sec-fetch-site": "same-origin" },
    ];
    for (const headers of foreign) assert.equal((await from(headers)).status, 400, JSON.stringify(headers));
    assert.equal(web.history.last, 0);
    const own: Record<string, string>[] = [
      {},
      { origin: "http://localhost:6767" },
      { "sec-fetch-site": "same-origin" },
    ];
    for (const headers of own) assert.equal((await from(headers)).status, 200, JSON.stringify(headers));
  });
});
