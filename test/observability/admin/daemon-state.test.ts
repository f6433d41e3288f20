/** A snapshot is what the hub is at that moment (P7: registry and gauges agree). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DaemonState } from "../../../src/observability/admin/daemon-state.js";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { type AdminOptions, startAdmin } from "../../../src/observability/admin/start-admin.js";
import { MetricsObserver } from "../../../src/observability/metrics/metrics-observer.js";
import { FakeClock } from "../../support/clock.js";
import { bench } from "../../support/hub.js";

describe("DaemonState", () => {
  test("a snapshot before the start has empty values", () => {
    const observed = new DaemonState(new FakeClock());
    const { phase, history, servers, conditions } = observed.snapshot();
    assert.deepEqual(
      { phase, history, servers, conditions },
      { phase: "starting", history: undefined, servers: [], conditions: [] },
    );
  });

  test("servers, clients, queues and the history are those of the hub", async () => {
    const { server, history, connect, publish, outlet, clock } = await bench();
    const observed = new DaemonState(clock);
    const link = { live: true };
    observed.history = history;
    observed.servers.push({ server, sendSpec: "tcp://a:1", recvSpec: "tcp://a:2", link });
    connect(1);
    publish("one");
    connect(2, { lastEventId: "earliest" });
    publish("two");
    const look = () => observed.snapshot().servers[0];
    assert.deepEqual(look(), {
      name: "main",
      sendSpec: "tcp://a:1",
      recvSpec: "tcp://a:2",
      live: true,
      silent: false,
      clients: 2,
      catchingUp: 1,
      audiences: 1,
      queuedBodies: 1,
      maxBehindEvents: 2,
    });
    outlet.acknowledgeAll();
    link.live = false;
    assert.deepEqual([look()?.catchingUp, look()?.queuedBodies, look()?.live], [0, 0, false]);
    const { epoch, last, floor, keyCount: keys, count, bytes } = history;
    assert.deepEqual(observed.snapshot().history, { epoch, last, floor, keys, count, kept: 0, bytes });
  });

  test("uptime does not follow the wall clock", () => {
    const clock = new FakeClock();
    const observed = new DaemonState(clock);
    const began = clock.now();
    clock.advance(5000);
    clock.setNow(0);
    assert.deepEqual([observed.snapshot().uptime, observed.snapshot().startedAt], [5, began]);
  });

  const adminOptions = (clock: FakeClock, listen: string): AdminOptions => ({
    listen,
    token: "",
    version: "1",
    metrics: new MetricsObserver(clock),
    droppedLogLines: () => 0,
    recentConnections: new RecentConnections(clock),
    state: new DaemonState(clock),
    hub: { end() {} },
    revocations: { revoke: async () => 0 },
    base: "http://hub.example/.well-known/mercure",
    clock,
    documents: { hub: () => undefined, asyncApi: () => ({}), configSchema: () => ({}) },
    failed() {},
  });

  test("the admin side that is switched off starts nothing", async () => {
    const clock = new FakeClock();
    const admin = await startAdmin(adminOptions(clock, ""));
    assert.deepEqual([admin.url, clock.waiting], [undefined, 0]);
    await admin.close();
  });

  test("after close nothing remains", async () => {
    const clock = new FakeClock();
    const admin = await startAdmin(adminOptions(clock, "127.0.0.1:0"));
    assert.equal((await fetch(`${admin.url}/healthz`)).status, 200);
    const watched = await fetch(`${admin.url}/events`);
    assert.equal(watched.status, 200);
    await admin.close();
    await assert.rejects(watched.text());
    assert.equal(clock.waiting, 0);
    await assert.rejects(fetch(`${admin.url}/healthz`));
  });
});
