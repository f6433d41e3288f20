/** draft-dunglas-mercure-08, "Authorization", through a real Mongrel2: which tokens are good, how they come, what is said of bad ones. */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import { temporaryDirectory } from "../../support/processes.js";
import { access, accessClaims, bearer, detail, form, HUB, inSeconds, mercure, old, SECRET, sign } from "../mercure.js";

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ED = generateKeyPairSync("ed25519");
const STRANGER = generateKeyPairSync("rsa", { modulusLength: 2048 });

const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: "jwk" }), kid });
const FILE = join(temporaryDirectory(), "jwks.json");
const secret = { kty: "oct", k: Buffer.from(SECRET).toString("base64url"), kid: "hs" };
const KEYS = { keys: [jwk(RSA.publicKey, "rsa"), jwk(EC.publicKey, "ec"), jwk(ED.publicKey, "ed"), secret] };

describe("Mercure draft 08, end to end: Tokens", () => {
  writeFileSync(FILE, JSON.stringify(KEYS));

  const SHOP = "https://shop.example";
  const hub = mercure({
    // Room for the largest token, which would else be Mongrel2's 400.
    settings: { "limits.buffer_size": 65_536, "limits.content_length": 327_680 },
    config: { auth: { publisher_key: FILE, anonymous: false, issuer: "https://login.example", cors_origins: [SHOP] } },
  });
  const METADATA = `resource_metadata="http://localhost:6767/.well-known/oauth-protected-resource${HUB}"`;
  const ALL = [detail(["publish", "subscribe"], ["*"])];

  type Header = { alg: string; typ?: string; kid?: string; [name: string]: unknown };
  const signBy = (header: Header, key: KeyObject | Buffer, claims = accessClaims(ALL)) =>
    new SignJWT(claims).setProtectedHeader(header).sign(key);

  const statusOf = (token: string) => hub.status("match=a", { headers: bearer(token) });

  async function isRefused(token: string): Promise<void> {
    const subscribed = await hub.ask("match=a", { headers: bearer(token) });
    const published = await hub.publish({ topic: "a" }, token);
    for (const { status, headers } of [subscribed, published]) {
      assert.equal(status, 401);
      assert.equal(headers["www-authenticate"], `Bearer error="invalid_token", ${METADATA}`);
    }
  }

  for (const [what, token] of [
    ["RS256", () => signBy({ alg: "RS256", typ: "at+jwt", kid: "rsa" }, RSA.privateKey)],
    ["ES256", () => signBy({ alg: "ES256", typ: "at+jwt", kid: "ec" }, EC.privateKey)],
    ["EdDSA", () => signBy({ alg: "EdDSA", typ: "at+jwt", kid: "ed" }, ED.privateKey)],
    ["HS256", () => access(ALL)],
    ["the type application/at+jwt", () => sign(accessClaims(ALL), "application/at+jwt")],
    ["the type in capitals", () => sign(accessClaims(ALL), "AT+JWT")],
    ["a list of audiences", () => access(ALL, { aud: ["https://other.example", accessClaims([]).aud] })],
    ["nbf in the past", () => access(ALL, { nbf: inSeconds(-10) })],
    ["details of other types beside ours", () => access([{ type: "other", anything: [1] }, ...ALL])],
    ["an action that is not known", () => access([detail(["subscribe", "fly"], ["a"])])],
    ["no details: it may nothing, and be somebody", () => access([])],
  ] as const) {
    test(`a token with ${what} is good`, async () => assert.equal(await statusOf(await token()), 200));
  }

  const unsigned = (claims: object) =>
    [{ alg: "none", typ: "at+jwt" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");

  for (const [what, token] of [
    ["no typ", () => sign(accessClaims(ALL))],
    ["the typ JWT", () => sign(accessClaims(ALL), "JWT")],
    ["the typ id+jwt", () => sign(accessClaims(ALL), "id+jwt")],
    ["alg none", async () => `${unsigned(accessClaims(ALL))}.`],
    ["alg none and a signature", async () => `${unsigned(accessClaims(ALL))}.AAAA`],
    ["the RSA key as the secret of an HMAC", async () => confused()],
    ["a key of somebody else", () => signBy({ alg: "RS256", typ: "at+jwt", kid: "rsa" }, STRANGER.privateKey)],
    [
      "a key of its own in the header",
      () =>
        signBy({ alg: "RS256", typ: "at+jwt", jwk: STRANGER.publicKey.export({ format: "jwk" }) }, STRANGER.privateKey),
    ],
    ["a kid that is not known", () => signBy({ alg: "RS256", typ: "at+jwt", kid: "other" }, RSA.privateKey)],
    ["the kid of another key", () => signBy({ alg: "RS256", typ: "at+jwt", kid: "ec" }, RSA.privateKey)],
    ["no exp", async () => sign(without("exp"), "at+jwt")],
    ["exp in the past", () => access(ALL, { exp: inSeconds(-60) })],
    ["exp that is a text", () => access(ALL, { exp: `${inSeconds(60)}` })],
    ["nbf in the future", () => access(ALL, { nbf: inSeconds(600) })],
    ["no aud", async () => sign(without("aud"), "at+jwt")],
    ["another hub's aud", () => access(ALL, { aud: "https://other.example/.well-known/mercure" })],
    ["an aud that only begins like ours", () => access(ALL, { aud: `${accessClaims([]).aud}/` })],
    ["no iss", async () => sign(without("iss"), "at+jwt")],
    ["another iss", () => access(ALL, { iss: "https://login.example/" })],
    ["details that are no list", () => access({} as never)],
    ["a detail that is no object", () => access([...ALL, "x"])],
    ["a detail without actions", () => access([...ALL, { ...detail([], ["a"]), actions: undefined }])],
    ["a detail with no action", () => access([...ALL, detail([], ["a"])])],
    ["an action that is no text", () => access([...ALL, detail(["subscribe", 1], ["a"])])],
    ["a detail without topics", () => access([...ALL, { ...detail(["subscribe"], []), topics: undefined }])],
    ["a detail with no topic", () => access([...ALL, detail(["subscribe"], [])])],
    ["a topic that is a bare text", () => access([...ALL, { ...detail(["subscribe"], []), topics: ["a"] }])],
    ["a topic without match", () => access([...ALL, detail(["subscribe"], [{}])])],
    ["a match that is no text", () => access([...ALL, detail(["subscribe"], [{ match: 1 }])])],
    [
      "a match_type that is not known",
      () => access([...ALL, detail(["subscribe"], [{ match: "a", match_type: "regexp" }])]),
    ],
    ["a match_type in capitals", () => access([...ALL, detail(["subscribe"], [{ match: "a", match_type: "Exact" }])])],
    [
      "a pattern that is none",
      () => access([...ALL, detail(["subscribe"], [{ match: "/(a", match_type: "urlpattern" }])]),
    ],
    ["a payload that is no object", () => access([...ALL, detail(["subscribe"], ["a"], { payload: "x" })])],
    ["101 details", () => access(Array.from({ length: 101 }, (_, i) => detail(["subscribe"], [`${i}`])))],
  ] as const) {
    test(`a token with ${what} is refused whole: 401 invalid_token, nothing said of the cause`, async () =>
      isRefused(await token()));
  }

  function without(name: string) {
    return Object.fromEntries(Object.entries(accessClaims(ALL)).filter(([it]) => it !== name));
  }

  function confused(): string {
    const input = [{ alg: "HS256", typ: "at+jwt", kid: "rsa" }, accessClaims(ALL)]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const publicKey = RSA.publicKey.export({ type: "spki", format: "pem" });
    return `${input}.${createHmac("sha256", publicKey).update(input).digest("base64url")}`;
  }

  test("no token where one is needed: 401, a challenge with the metadata and without an error", async () => {
    for (const { status, headers } of [await hub.ask("match=a"), await hub.publish({ topic: "a" }, null)])
      assert.deepEqual([status, headers["www-authenticate"]], [401, `Bearer ${METADATA}`]);
  });

  test("a header that is broken: 400 invalid_request", async () => {
    for (const authorization of ["Bearer", "Bearer a b"]) {
      const { status, headers } = await hub.ask("match=a", { headers: { authorization } });
      assert.deepEqual([status, headers["www-authenticate"]], [400, `Bearer error="invalid_request", ${METADATA}`]);
    }
  });

  test("the scheme may be written in any case", async () => {
    const token = await access(ALL);
    assert.equal(await hub.status("match=a", { headers: { authorization: `bEARER ${token}` } }), 200);
  });

  const cookie = (token: string) => ({ cookie: `a=b; __Secure-mercure_access_token=${token}; c=d` });

  test("the cookie is as good as the header, but the header counts where there is one", async () => {
    const good = await access(ALL);
    assert.equal(await hub.status("match=a", { headers: cookie(good) }), 200);
    assert.equal(await hub.status("match=a", { headers: { ...cookie(good), ...bearer("a.b.c") } }), 401);
    assert.equal(await hub.status("match=a", { headers: { ...cookie("a.b.c"), ...bearer(good) } }), 200);
  });

  test("a cookie publishes only from pages of allowed origins", async () => {
    const token = await access(ALL);
    const post = async (headers: Record<string, string>) =>
      (await hub.publish({ topic: "a" }, null, { ...cookie(token), ...headers })).status;
    assert.equal(await post({ origin: "http://localhost:6767" }), 200);
    assert.equal(await post({ origin: SHOP }), 200);
    assert.equal(await post({ referer: `${SHOP}/cart` }), 200);
    for (const headers of [
      {},
      { origin: "https://evil.example" },
      { origin: "null" },
      { referer: "https://evil.example/" },
      { origin: "https://evil.example", referer: `${SHOP}/` },
    ])
      assert.equal(await post(headers as Record<string, string>), 400);
  });

  test("no parameter of the address is a token", async () => {
    const token = await access(ALL);
    for (const name of ["access_token", "authorization", "token", "jwt"])
      assert.equal(await hub.status(form({ match: "a", [name]: token })), 401, name);
  });

  test("a page of an allowed origin may read the stream with credentials, and use its methods and headers", async () => {
    const headers = { origin: SHOP, ...bearer(await access(ALL)) };
    const client = await hub.ask("", {
      method: "OPTIONS",
      headers: {
        origin: SHOP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    assert.equal(client.status, 204);
    assert.equal(client.headers["access-control-allow-origin"], SHOP);
    assert.equal(client.headers["access-control-allow-credentials"], "true");
    assert.match(client.headers["access-control-allow-headers"] ?? "", /Authorization/);
    const { headers: got } = await hub.ask("match=a", { method: "HEAD", headers });
    assert.equal(got["access-control-allow-origin"], SHOP);
    assert.match(got["access-control-expose-headers"] ?? "", /Mercure-Last-Event-ID/);
    assert.equal(got.vary, "Origin");
  });

  test("another origin, and null, are not reflected", async () => {
    for (const origin of ["https://evil.example", "null", `${SHOP}.evil.example`]) {
      const { headers } = await hub.ask("match=a", {
        method: "HEAD",
        headers: { origin, ...bearer(await access(ALL)) },
      });
      assert.equal(headers["access-control-allow-origin"], undefined);
      assert.equal(headers["access-control-allow-credentials"], undefined);
    }
  });

  test("the stream is closed when its token expires, and not before; with a new token it goes on where it was", async (t) => {
    const exp = inSeconds(6);
    const client = await hub.open(t, "match=a", { headers: bearer(await access(ALL, { exp })) });
    await hub.published({ topic: "a", data: "1" }, await access(ALL));
    await client.next();
    await client.until(({ isClosed }) => isClosed, "the end of the stream");
    assert.ok(Date.now() / 1000 >= exp, "not before the token's end");
    await hub.published({ topic: "a", data: "2" }, await access(ALL));
    const again = await hub.open(t, "match=a", {
      headers: { ...bearer(await access(ALL)), "last-event-id": client.lastEventId },
    });
    assert.equal((await again.next()).data, "2");
    assert.deepEqual(
      client.events.map(({ data }) => data),
      ["1"],
    );
  });

  test("tokens of Mercure 0.x are no access tokens: their claim is not looked at in one, nor its details in them", async () => {
    await isRefused(await sign({ ...accessClaims(ALL), mercure: { publish: ["*"] } }, "JWT"));
    const { status } = await hub.publish(
      { topic: "a" },
      await sign({ ...accessClaims([]), mercure: { publish: ["*"] } }, "at+jwt"),
    );
    assert.equal(status, 403);
    const iss = "https://login.example";
    assert.equal((await hub.publish({ topic: "a" }, await old({ publish: ["*"] }, { iss }))).status, 200);
    await isRefused(await old({ publish: ["*"] }));
  });
});
