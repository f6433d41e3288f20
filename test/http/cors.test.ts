import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, Web } from "./harness.js";

const SHOP = "https://shop.example";
const cors = (origins: readonly string[]) => ({ config: `[auth]\ncors_origins = ${JSON.stringify(origins)}` });
const from = (origin: string) => ({ headers: { origin } });

const EXPOSED =
  "Link, Last-Event-ID, Mercure-Last-Event-ID, M2push-Stream, ETag, Retry-After, Accept-Post, Accept-Patch";

describe("CORS", () => {
  test("an origin that is named may read streams and answers, with credentials, and sees where a replay began", async () => {
    const web = await Web.open(cors(["https://other.example", SHOP]));
    for (const path of [HUB, "/esupdates", `${HUB}/subscriptions`, `/.well-known/oauth-protected-resource${HUB}`]) {
      const { headers } = await web.get(path, { query: "topic=a", ...from(SHOP) });
      assert.equal(headers["access-control-allow-origin"], SHOP, path);
      assert.equal(headers["access-control-allow-credentials"], "true", path);
      assert.equal(headers["access-control-expose-headers"], EXPOSED, path);
      assert.equal(headers.vary, "Origin", path);
    }
  });

  test("refusals can be read by a named origin too", async () => {
    const web = await Web.open(cors([SHOP]));
    const answers = [
      await web.get(HUB, from(SHOP)),
      await web.post("topic=a", { token: null, ...from(SHOP) }),
      await web.post("data=a", from(SHOP)),
      await web.post("topic=a", { token: "x.y.z", ...from(SHOP) }),
      await web.get("/nowhere", from(SHOP)),
      await web.get(HUB, { method: "PUT", ...from(SHOP) }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 401, 400, 401, 404, 405],
    );
    for (const { headers } of answers) assert.equal(headers["access-control-allow-origin"], SHOP);
  });

  for (const origin of [
    "https://evil.example",
    "null",
    "https://shop.example.evil.example",
    "http://shop.example",
    "HTTPS://SHOP.EXAMPLE",
    "https://shop.example:8443",
    "",
  ]) {
    test(`an origin that is not named is not reflected: ${JSON.stringify(origin)}`, async () => {
      const web = await Web.open(cors([SHOP]));
      for (const method of ["GET", "OPTIONS"]) {
        const { headers } = await web.get(HUB, { method, query: "topic=a", ...from(origin) });
        assert.equal(headers["access-control-allow-origin"], undefined, method);
        assert.equal(headers["access-control-allow-credentials"], undefined, method);
        assert.equal(headers["access-control-allow-methods"], undefined, method);
        assert.equal(headers.vary, "Origin", method);
      }
    });
  }

  test("'*' lets everybody read what is public, without credentials; a named origin keeps them", async () => {
    const web = await Web.open(cors(["*", SHOP]));
    const { headers } = await web.get(HUB, { query: "topic=a", ...from("https://anybody.example") });
    assert.equal(headers["access-control-allow-origin"], "*");
    assert.equal(headers["access-control-allow-credentials"], undefined);
    const named = await web.get(HUB, { query: "topic=a", ...from(SHOP) });
    assert.equal(named.headers["access-control-allow-credentials"], "true");
  });

  test("where no origin is allowed nothing is said of origins", async () => {
    const web = await Web.open();
    const { status, headers } = await web.get(HUB, { query: "topic=a", ...from(SHOP) });
    assert.equal(status, 200);
    assert.deepEqual(
      Object.keys(headers).filter((name) => name === "vary" || name.startsWith("access-control")),
      [],
    );
  });

  test("a preflight names the methods and headers that may be used, and keeps the connection", async () => {
    const web = await Web.open(cors([SHOP]));
    const id = web.send(HUB, {
      method: "OPTIONS",
      headers: { origin: SHOP, "access-control-request-method": "QUERY" },
    });
    const [answer] = web.responses(id);
    assert.equal(answer?.status, 204);
    assert.equal(answer?.headers["access-control-allow-methods"], "GET, HEAD, QUERY, POST, DELETE, OPTIONS");
    assert.match(answer?.headers["access-control-allow-headers"] ?? "", /Authorization, .*Content-Type, Last-Event-ID/);
    assert.equal(answer?.headers["access-control-max-age"], "7200");
    assert.deepEqual(web.outlet.closed, []);
  });

  // The plain address had no preflight: fetch-based clients of an allowed origin connected once, and never again.
  test("every address that has a body to read answers a preflight with what its clients send", async () => {
    const web = await Web.open(cors([SHOP]));
    const asked = { origin: SHOP, "access-control-request-method": "GET" };
    for (const path of ["/esupdates", HUB, `${HUB}/subscriptions`, `/.well-known/oauth-protected-resource${HUB}`]) {
      const { status, headers } = await web.get(path, { method: "OPTIONS", headers: asked });
      assert.deepEqual([status, headers["access-control-allow-origin"]], [204, SHOP], path);
      const allowed = (headers["access-control-allow-headers"] ?? "").toLowerCase().split(", ");
      for (const name of ["authorization", "cache-control", "last-event-id", "x-requested-with"])
        assert.ok(allowed.includes(name), `${path}: ${name}`);
      const foreign = await web.get(path, { method: "OPTIONS", headers: { ...asked, origin: "https://evil.example" } });
      assert.equal(foreign.headers["access-control-allow-headers"], undefined, path);
    }
  });

  test("pages may send the headers that publishing needs, and the attributes of CloudEvents that they name", async () => {
    const web = await Web.open(cors([SHOP]));
    const requested = "content-type, ce-id, CE-Source , ce-traceparent, ce-x*y, x-other, ce-aaaaaaaaaaaaaaaaaaaaa";
    const headers = {
      origin: SHOP,
      "access-control-request-method": "POST",
      "access-control-request-headers": requested,
    };
    const answer = await web.get(HUB, { method: "OPTIONS", headers });
    const allowed = (answer.headers["access-control-allow-headers"] ?? "").toLowerCase().split(", ");
    for (const name of ["idempotency-key", "if-match", "if-none-match", "content-type"])
      assert.ok(allowed.includes(name));
    assert.deepEqual(
      allowed.filter((name) => name.startsWith("ce-") || name.startsWith("x-o")),
      ["ce-id", "ce-source", "ce-traceparent"],
    );
  });

  test("the list of origins can change while the daemon runs", async () => {
    const web = await Web.open();
    web.site.reload({ ...web.config, auth: { ...web.config.auth, cors_origins: [SHOP] } });
    const { headers } = await web.get(HUB, { query: "topic=a", ...from(SHOP) });
    assert.equal(headers["access-control-allow-origin"], SHOP);
  });
});
