import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { fetchJwks } from "../../../src/http/auth/fetch-jwks.js";
import { freePort } from "../../support/ports.js";

/** The URL of a server with one answer. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
}

describe("fetchJwks", () => {
  test("resolves with the body, and for how long it counts", async (t) => {
    const url = await serve(t, (_, response) => {
      response.setHeader("Cache-Control", "public, max-age=120, s-maxage=7").end("{}");
    });
    assert.deepEqual(await fetchJwks(url), { text: "{}", maxAgeMs: 120_000 });
  });

  test("knows no time without Cache-Control", async (t) => {
    const url = await serve(t, (_, response) => response.end("{}"));
    assert.deepEqual(await fetchJwks(url), { text: "{}", maxAgeMs: undefined });
  });

  test("rejects another status, a redirect, and a body above the limit", async (t) => {
    await assert.rejects(fetchJwks(await serve(t, (_, response) => response.writeHead(503).end())), /status 503/);
    const moved = await serve(t, (_, response) => response.writeHead(302, { Location: "http://127.0.0.1:1/" }).end());
    await assert.rejects(fetchJwks(moved), /redirect/);
    const large = await serve(t, (_, response) => response.end("x".repeat(1_000_001)));
    await assert.rejects(fetchJwks(large), /more than 1000000 bytes/);
  });

  test("says why a server is not reached", async () => {
    await assert.rejects(fetchJwks(`http://127.0.0.1:${await freePort()}/`), /ECONNREFUSED/);
  });
});
