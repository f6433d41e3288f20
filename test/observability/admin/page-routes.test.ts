/** The dashboard's files as the daemon serves them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pageRoutes } from "../../../src/observability/admin/page-routes.js";

const ASKED = { params: {}, query: new URLSearchParams(), lastEventId: undefined, isOperator: false };

async function get(path: string, needsToken = false) {
  const route = new Map(pageRoutes(needsToken)).get(path);
  assert.ok(route?.GET, path);
  const { status, type, body, headers } = await route.GET(ASKED);
  assert.ok(typeof body === "string");
  return { status, type, body, headers };
}

describe("pageRoutes", () => {
  test("the page has the address of its stream, and whether a token is required", async () => {
    assert.match((await get("/")).body, /<html lang="en" data-feed="open">/);
    assert.match((await get("/", true)).body, /<html lang="en" data-feed="token">/);
  });

  test("everything that the page loads is served, of its type, and nothing else is loaded", async () => {
    const { body: html, type } = await get("/");
    assert.equal(type, "text/html; charset=utf-8");
    const { body: script } = await get("/dashboard.js");
    const loaded = [
      ...[...html.matchAll(/<(?:link|script|img)[^>]* (?:src|href)="([^"]*)"/g)].map(([, address = ""]) => address),
      ...[...script.matchAll(/ from "\.\/([^"]*)"/g)].map(([, address = ""]) => address),
    ].filter((address) => !address.startsWith("data:"));
    assert.deepEqual(loaded.sort(), [
      ...["chart.css", "chart.js", "dashboard-samples.js", "dashboard-tables.js"],
      ...["dashboard.css", "dashboard.js", "style.css"],
    ]);
    const types = { ".js": "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };
    for (const address of loaded) {
      const { status, type } = await get(`/${address}`);
      assert.deepEqual([status, type], [200, types[address.slice(-3) as keyof typeof types]], address);
    }
  });

  test("its policy allows no foreign script and no frame", async () => {
    for (const path of ["/", "/dashboard.js", "/chart.js", "/style.css"]) {
      const policy = (await get(path)).headers?.["Content-Security-Policy"] ?? "";
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    }
  });
});
