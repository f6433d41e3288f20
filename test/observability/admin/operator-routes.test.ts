/** What operators ask for, over HTTP, and who else is turned away. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Revocation } from "../../../src/hub/revocations.js";
import { tokenId } from "../../../src/hub/token-id.js";
import { DaemonState } from "../../../src/observability/admin/daemon-state.js";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { startAdmin } from "../../../src/observability/admin/start-admin.js";
import { MetricsObserver } from "../../../src/observability/metrics/metrics-observer.js";
import { BASE, interest, operated, subscriber } from "./harness.js";

const TOKEN = "operator-0123456789";

async function start(t: TestContext, { token = "", listen = "127.0.0.1:0" } = {}) {
  const parts = await operated();
  const { hub, server, clock, history } = parts;
  const observed = new DaemonState(clock);
  observed.history = history;
  observed.servers.push({ server, sendSpec: "tcp://a:1", recvSpec: "tcp://a:2", link: { live: true } });
  const failures: unknown[] = [];
  const metrics = new MetricsObserver(clock);
  const failed = (error: unknown) => failures.push(error);
  const watched = {
    version: "1",
    metrics,
    droppedLogLines: () => 0,
    recentConnections: new RecentConnections(clock),
    state: observed,
  };
  const revoked: Revocation[] = [];
  const revocations = { revoke: async (revocation: Revocation) => revoked.push(revocation) };
  const documents = { hub: () => undefined, asyncApi: () => ({}), configSchema: () => ({}) };
  const admin = await startAdmin({ listen, token, documents, ...watched, hub, revocations, base: BASE, clock, failed });
  t.after(async () => {
    await admin.close();
    assert.deepEqual(failures, []);
  });
  const url = `http://127.0.0.1:${new URL(admin.url ?? "").port}`;
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(url + path, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type") === "application/json";
    return { status: response.status, text, json: isJson ? JSON.parse(text) : undefined };
  };
  const post = (path: string, headers: Record<string, string> = {}) => ask(path, { method: "POST", headers });
  return { ...parts, url, ask, post, revoked };
}

const GUARDED = [
  ["GET", "/events"],
  ["GET", "/clients"],
  ["GET", "/clients/main/1"],
  ["POST", "/clients/main/1/disconnect"],
  ["POST", "/disconnect?topic=news"],
  ["POST", "/disconnect?subject=kim"],
  ["POST", "/revoke?sub=kim"],
] as const;

describe("Operator routes", () => {
  test("a token is revoked by its jti until its exp, a holder's tokens by their sub until now", async (t) => {
    const { post, revoked, clock } = await start(t);
    assert.deepEqual((await post("/revoke?jti=a&iss=b&exp=1000")).json, { revoked: 1, disconnected: 1 });
    assert.equal((await post("/revoke?sub=kim")).status, 200);
    assert.deepEqual(revoked, [
      { id: tokenId("jti", "a", "b"), keepUntil: 1_600_000 },
      { id: tokenId("sub", "kim"), issuedUntil: clock.now() },
    ]);
    for (const query of ["", "?jti=a&sub=b", "?jti=a&exp=soon"])
      assert.equal((await post(`/revoke${query}`)).status, 400);
  });

  test("the list has pages, each found by the cursor of the page before", async (t) => {
    const { ask, connect } = await start(t);
    for (let id = 1; id <= 5; id++) connect(id);
    const first = (await ask("/clients?limit=3")).json;
    assert.deepEqual(
      [first.total, first.clients.map(({ id }: { id: number }) => id), first.next],
      [5, [5, 4, 3], "main/3"],
    );
    const second = (await ask(`/clients?limit=3&server=main&after=${encodeURIComponent(first.next)}`)).json;
    assert.deepEqual([second.clients.map(({ id }: { id: number }) => id), second.next], [[2, 1], null]);
  });

  test("what cannot be a page is 400, and a server that is not there 404", async (t) => {
    const { ask } = await start(t);
    for (const query of [
      "limit=0",
      "limit=1001",
      "limit=x",
      "limit=1.5",
      "after=main",
      "after=main/x",
      "after=/1",
      "after=",
    ])
      assert.equal((await ask(`/clients?${query}`)).status, 400, query);
    for (const query of ["server=x", "server=", "after=x/1"])
      assert.equal((await ask(`/clients?${query}`)).status, 404, query);
  });

  test("one client is shown, and ended, by its server and id", async (t) => {
    const { ask, post, connect, outlet } = await start(t);
    connect(7, { interest: interest(["news"]), subscriber: subscriber("a", "kim") });
    const { json } = await ask("/clients/main/7");
    assert.deepEqual([json.server, json.id, json.subject], ["main", 7, "kim"]);
    assert.deepEqual((await post("/clients/main/7/disconnect")).json, { disconnected: 1 });
    assert.deepEqual(outlet.closed, [7]);
    assert.equal((await post("/clients/main/7/disconnect")).status, 404);
    for (const path of [
      "/clients/main/7",
      "/clients/x/7",
      "/clients/main/x",
      "/clients/main/-1",
      "/clients/main/7e0",
      "/clients/__proto__/7",
    ])
      assert.equal((await ask(path)).status, 404, path);
  });

  test("clients are ended by topic or by subject, and counted", async (t) => {
    const { post, connect, outlet } = await start(t);
    connect(1, { interest: interest(["https://example.com/ü x"]), subscriber: subscriber("a", "kim & co") });
    connect(2, { interest: interest(["news"]), subscriber: subscriber("b", "kim & co") });
    connect(3);
    assert.deepEqual((await post(`/disconnect?topic=${encodeURIComponent("https://example.com/ü x")}`)).json, {
      disconnected: 1,
    });
    assert.deepEqual((await post(`/disconnect?subject=${encodeURIComponent("kim & co")}`)).json, { disconnected: 1 });
    assert.deepEqual((await post("/disconnect?topic=none")).json, { disconnected: 0 });
    assert.deepEqual(outlet.closed, [1, 2]);
  });

  test("a request to disconnect without a criterion, or with two, closes no stream", async (t) => {
    const { post, connect, outlet } = await start(t);
    connect(1);
    for (const query of ["", "?topic=", "?subject=", "?topic=*&subject=kim", "?all=1"])
      assert.equal((await post(`/disconnect${query}`)).status, 400, query);
    assert.deepEqual(outlet.closed, []);
  });

  test("looking changes nothing: what ends a client is no GET", async (t) => {
    const { ask, connect, outlet } = await start(t);
    connect(1);
    for (const path of ["/clients/main/1/disconnect", "/disconnect?topic=*"])
      assert.equal((await ask(path)).status, 405, path);
    assert.deepEqual(outlet.closed, []);
  });

  test("rejects requests of another site's page", async (t) => {
    const { ask, connect, outlet } = await start(t);
    connect(1, { interest: interest(["news"]), subscriber: subscriber("a", "kim") });
    const foreign: Record<string, string>[] = [
      { Origin: "http://evil.example" },
      { Origin: "http://localhost:6767", "Sec-Fetch-Site": "same-site" },
      { Origin: "null" },
      { "Sec-Fetch-Site": "cross-site" },
    ];
    for (const headers of foreign) {
      for (const [method, path] of GUARDED) {
        // undici leaves Sec-Fetch-Site alone; a browser would not let a page set it.
        assert.equal(
          (await ask(path, { method, headers })).status,
          403,
          `${method} ${path} ${JSON.stringify(headers)}`,
        );
      }
    }
    assert.deepEqual(outlet.closed, []);
  });

  test("requires the token for operators' addresses, and not for the metrics", async (t) => {
    const { ask, url, connect, outlet } = await start(t, { token: TOKEN });
    connect(1, { interest: interest(["news"]), subscriber: subscriber("a", "kim") });
    for (const [method, path] of GUARDED) {
      assert.equal((await ask(path, { method })).status, 401, path);
      assert.equal(
        (await ask(path, { method, headers: { Authorization: "Bearer wrong-0123456789" } })).status,
        401,
        path,
      );
    }
    assert.deepEqual(outlet.closed, []);
    for (const path of ["/metrics", "/healthz", "/readyz", "/status", "/"]) {
      assert.notEqual((await fetch(url + path)).status, 401, path);
    }
    const headers = { Authorization: `Bearer ${TOKEN}` };
    assert.equal((await ask("/clients", { headers })).json.total, 1);
    assert.deepEqual((await ask("/disconnect?topic=news", { method: "POST", headers })).json, { disconnected: 1 });
  });

  test("listening for the network without a token, only the figures are served", async (t) => {
    const { ask } = await start(t, { listen: "0.0.0.0:0" });
    for (const [method, path] of GUARDED) {
      const { status, text } = await ask(path, { method });
      assert.equal(status, 403, path);
      assert.match(text, /set \[admin\] token/);
    }
    assert.equal((await ask("/status")).status, 200);
  });

  test("listening for the network with a token, operators are served", async (t) => {
    const { ask } = await start(t, { listen: "0.0.0.0:0", token: TOKEN });
    assert.equal((await ask("/clients", { headers: { Authorization: `Bearer ${TOKEN}` } })).status, 200);
    assert.equal((await ask("/clients")).status, 401);
  });

  test("the dashboard stream is an event stream, and rejects one watcher too many with Retry-After", async (t) => {
    const { url } = await start(t);
    const leaving = new AbortController();
    t.after(() => leaving.abort());
    // Kept: fetch ends the connection of a response that is garbage.
    const watching: Response[] = [];
    while (watching.length < 20) watching.push(await fetch(`${url}/events`, { signal: leaving.signal }));
    assert.equal((await fetch(`${url}/events`)).status, 503);
    for (const { status, headers } of watching) {
      assert.deepEqual([status, headers.get("content-type")], [200, "text/event-stream"]);
    }
    const head = await fetch(`${url}/events`, { method: "HEAD" });
    assert.equal(await head.text(), "");
  });
});
