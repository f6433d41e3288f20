import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, gunzipSync } from "node:zlib";
import { prefersGzip } from "../../src/http/content-encoding.js";
import { HUB, Web } from "./harness.js";

const accepts = (...values: string[]) => prefersGzip({ headers: new Map([["accept-encoding", values]]) as never });

describe("prefersGzip", () => {
  const cases: readonly [value: string, isPreferred: boolean][] = [
    ["gzip", true],
    ["deflate, gzip, br, zstd", true],
    ["x-gzip", true],
    ["GZIP;Q=0.5", true],
    ["*", true],
    ["br;q=1.0, *;q=0.1", true],
    ["gzip;q=0.001", true],
    ["gzip ; q=1.000 , identity;q=0.5", true],
    ["identity;q=0.5, gzip;q=0.5", true],
    ["", false],
    ["identity", false],
    ["br", false],
    ["gzip;q=0", false],
    ["gzip;q=0.000, *", false],
    ["*;q=0", false],
    ["identity, gzip;q=0.9", false],
    ["gzip;q=2", false],
    ["gzip;q=0.12345", false],
    ["gzip;quality=1", false],
    [`${"a,".repeat(2000)}gzip;q=0`, false],
  ];
  for (const [value, isPreferred] of cases) {
    test(`${JSON.stringify(value.slice(0, 60))}: ${isPreferred}`, () => {
      assert.equal(accepts(value), isPreferred);
    });
  }

  test("several headers are one list, and no header means no", () => {
    assert.equal(accepts("br", "gzip"), true);
    assert.equal(prefersGzip({ headers: new Map() as never }), false);
  });
});

describe("compressed streams over HTTP", () => {
  const gzip = { "accept-encoding": "gzip, br" };
  const open = (config = "") => Web.open({ config: `[stream]\ncompression = "public"\n${config}` });

  test("without the setting no stream is compressed, and none says that it could be", async () => {
    const web = await Web.open({});
    const { headers } = await web.get("/esupdates", { headers: gzip });
    assert.deepEqual([headers["content-encoding"], headers.vary], [undefined, undefined]);
  });

  test("the head says how the stream is encoded, to HEAD, HTTP/1.0 and QUERY, too", async () => {
    const web = await open();
    const requests = [
      ["/esupdates", { headers: gzip }],
      [HUB, { query: "topic=a", headers: gzip }],
      [HUB, { query: "topic=a", method: "HEAD", headers: gzip }],
      [HUB, { query: "topic=a", version: "HTTP/1.0", headers: gzip }],
      [
        HUB,
        { method: "QUERY", body: "match=a", headers: { ...gzip, "content-type": "application/x-www-form-urlencoded" } },
      ],
    ] as const;
    for (const [path, request] of requests) {
      const { status, headers } = await web.get(path, request);
      assert.deepEqual([status, headers["content-encoding"], headers.vary], [200, "gzip", "Accept-Encoding"]);
    }
    const plain = await web.get("/esupdates");
    assert.deepEqual([plain.headers["content-encoding"], plain.headers.vary], [undefined, "Accept-Encoding"]);
    assert.match(plain.body, /^: time stream\n/);
  });

  test("what varies with the origin varies with both", async () => {
    const web = await open('[auth]\ncors_origins = ["https://shop.example"]');
    const { headers } = await web.get("/esupdates", { headers: { ...gzip, origin: "https://shop.example" } });
    assert.deepEqual([headers["content-encoding"], headers.vary], ["gzip", "Accept-Encoding, Origin"]);
  });

  test("the first bytes of the body decode to those of a plain stream", async () => {
    const web = await open();
    const plain = await web.get("/esupdates", { id: 901 });
    await web.get("/esupdates", { id: 902, headers: gzip });
    const bytes = Buffer.concat(web.outlet.bodies.get(902) ?? []);
    const body = bytes.subarray(bytes.indexOf("\r\n\r\n") + 4);
    assert.equal(gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH }).toString(), plain.body);
  });

  test("errors are plain", async () => {
    const web = await open();
    const { status, headers, body } = await web.get(HUB, { headers: gzip });
    assert.deepEqual([status, headers["content-encoding"]], [400, undefined]);
    assert.match(body, /topic/);
  });
});
