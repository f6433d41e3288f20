import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProtocolError } from "../../../src/errors.js";
import type { Status } from "../../../src/observability/admin/status.js";
import type { Snapshot } from "../../../src/observability/metrics/snapshot.js";
import { admin, condition, publication, serverSnapshot, snapshotOf } from "../metrics/harness.js";
import { lint } from "../metrics/lint.js";

function routes(now: () => Snapshot = () => snapshotOf()) {
  const { metrics: observer, routes: table, observe, clock } = admin(now);
  const get = async (path: string, isOperator = false) => {
    const method = table.get(path)?.GET;
    assert.ok(method, path);
    const answer = await method({
      params: {},
      query: new URLSearchParams(),
      lastEventId: undefined,
      isOperator,
    });
    const { body } = answer;
    assert.ok(typeof body === "string", path);
    return { ...answer, body };
  };
  return { get, observe, table, observer, clock };
}

describe("adminRoutes", () => {
  test("serves four paths without a token, all read-only", () => {
    const { table } = routes();
    assert.deepEqual([...table.keys()], ["/metrics", "/healthz", "/readyz", "/status"]);
    for (const route of table.values()) assert.deepEqual(Object.keys(route), ["GET"]);
  });

  test("/metrics is what Prometheus reads", async () => {
    const { status, type, body } = await routes().get("/metrics");
    assert.equal(status, 200);
    assert.match(type, /version=0\.0\.4/);
    assert.deepEqual(lint(body), []);
  });

  test("/healthz answers ok in any state", async () => {
    const { get } = routes(() =>
      snapshotOf({ phase: "starting", history: undefined, servers: [serverSnapshot({ live: false })] }),
    );
    assert.deepEqual(await get("/healthz"), { status: 200, type: "text/plain; charset=utf-8", body: "ok\n" });
  });

  test("/readyz is 200 when everything does its work", async () => {
    const { status, body } = await routes().get("/readyz");
    assert.deepEqual([status, body], [200, "ready\n"]);
  });

  const UNREADY: [what: string, changes: Partial<Snapshot>, reason: RegExp][] = [
    ["the daemon starts", { phase: "starting" }, /^m2push is starting\n$/],
    ["the daemon stops", { phase: "stopping" }, /^m2push is stopping\n$/],
    ["the history is not open", { history: undefined }, /^the history is not open yet\n$/],
    ["NATS is away", { conditions: [condition("cluster_unavailable")] }, /^it happened; fix: undo it\n$/],
    [
      "a server is not fenced",
      { servers: [serverSnapshot(), serverSnapshot({ name: "b", live: false })] },
      /^server b: .* no fence .*\n$/,
    ],
  ];

  for (const [what, changes, reason] of UNREADY) {
    test(`/readyz is 503 with the reason while ${what}`, async () => {
      const { status, body } = await routes(() => snapshotOf(changes)).get("/readyz");
      assert.equal(status, 503);
      assert.match(body, reason);
    });
  }

  test("/readyz has one line for each reason", async () => {
    const { get } = routes(() =>
      snapshotOf({ phase: "starting", history: undefined, servers: [serverSnapshot({ live: false })] }),
    );
    assert.equal((await get("/readyz")).body.trimEnd().split("\n").length, 3);
  });

  test("/status is one JSON object", async () => {
    const { get, observe } = routes(() =>
      snapshotOf({
        uptime: 12.34567,
        servers: [serverSnapshot({ clients: 3, catchingUp: 1 }), serverSnapshot({ name: "b", clients: 4 })],
      }),
    );
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 1, bytes: 10, deliveries: 3, oldest: undefined },
    });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 0.1299 });
    const { type, body } = await get("/status");
    assert.equal(type, "application/json");
    const status: Status = JSON.parse(body);
    assert.equal(status.m2push, "1.2.3");
    assert.equal(status.pid, process.pid);
    assert.deepEqual([status.ready, status.notReadyReasons, status.phase], [true, [], "running"]);
    assert.deepEqual([status.clients, status.catchingUp, status.uptimeSeconds], [7, 1, 12.346]);
    assert.equal(status.startedAt, "2020-01-01T00:00:00.000Z");
    assert.deepEqual(status.history, { epoch: "e", last: 7, floor: 2, count: 5, kept: 1, bytes: 100, keys: 3 });
    const [main, other] = status.servers;
    assert.deepEqual([main?.name, main?.clients, main?.fenceRoundTripMs, main?.deliveries], ["main", 3, 0.13, 3]);
    assert.deepEqual(
      [other?.name, other?.fenceRoundTripMs, other?.publishToFenceMs, other?.silent],
      ["b", null, null, false],
    );
  });

  test("/status names topics and clients to operators only", async () => {
    const { get, observer, clock } = routes();
    observer.hotTopics.start();
    observer.hotTopics.published({ ...publication(1, "data"), topics: ["/users/7"] }, 3);
    clock.advance(10_000);
    const open: Status = JSON.parse((await get("/status")).body);
    assert.deepEqual([open.hotTopics, open.slowestClients], [null, null]);
    const full: Status = JSON.parse((await get("/status", true)).body);
    assert.deepEqual(full.hotTopics, {
      windowSeconds: 10,
      topics: [{ topic: "/users/7", publicationsPerSecond: 0.1, bytesPerSecond: 0.4, deliveriesPerSecond: 0.3 }],
    });
    assert.deepEqual(full.slowestClients, []);
  });

  test("/status has limits, losses by reason and how late events are", async () => {
    const limits = [
      { limit: "clients", used: 5, max: undefined },
      { limit: "descriptors", used: undefined, max: 1024 },
    ] as const;
    const { get, observe, clock } = routes(() => snapshotOf({ limits }));
    const server = "main";
    for (const age of [10, 10, 10, 1000]) {
      const flush = { bodies: 1, frames: 1, bytes: 10, deliveries: 3, oldest: clock.now() - age };
      observe({ type: "flushed", server, flush });
      observe({ type: "flushAcknowledged", server, milliseconds: 0.1 });
    }
    observe({ type: "gapReported", server, reason: "expired", clients: [] });
    observe({ type: "publicationRejected", source: "http", error: new ProtocolError("forbidden", "no") });
    observe({ type: "clientsFellBehind", server, reason: "queue full", clients: 4 });
    const status: Status = JSON.parse((await get("/status")).body);
    assert.deepEqual(status.limits, [{ limit: "clients", used: 5, max: null }]);
    assert.deepEqual([status.losses.gaps.expired, status.losses.gaps.unknown], [1, 0]);
    assert.deepEqual([status.losses.rejected.http?.forbidden, status.losses.rejected.zmq?.invalid], [1, 0]);
    const [main] = status.servers;
    assert.deepEqual([main?.fellBehind, main?.lateness.flushes], [4, 4]);
    const { p50Ms, p99Ms } = main?.lateness ?? assert.fail();
    assert.ok(Math.abs((p50Ms ?? 0) - 10) < 0.5 && Math.abs((p99Ms ?? 0) - 1000) < 50, `${p50Ms} ${p99Ms}`);
  });
});
