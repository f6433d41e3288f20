import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Snapshot } from "../../../src/observability/metrics/snapshot.js";
import { BEHIND, CLIENT, condition, metrics, serverSnapshot, snapshotOf } from "./harness.js";
import { lint, parseMetrics, sampleOf } from "./lint.js";

describe("Exposition", () => {
  test("the text keeps every rule of the format, before anything has happened", async () => {
    const { exposition } = metrics();
    const text = await exposition.text();
    assert.deepEqual(lint(text), []);
    assert.match(exposition.contentType, /^text\/plain; version=0\.0\.4/);
  });

  test("every name has the prefix, and labels come from closed sets", async () => {
    const { observe, exposition } = metrics();
    observe({ type: "requestCompleted", server: "main", route: "/esupdates", status: 200, reason: undefined });
    for (const { name, samples } of parseMetrics(await exposition.text()).values()) {
      assert.match(name, /^(?:m2push|process)_/);
      for (const { labels } of samples) {
        for (const label of labels.keys())
          assert.match(label, /^(?:server|source|reason|kind|route|status|limit|version|node|le)$/);
      }
    }
  });

  test("a server's series are there as zeros before anything happens, so that the first event is seen as a rise", async () => {
    const { exposition } = metrics();
    const text = await exposition.text();
    const of = { server: "main" };
    for (const name of ["connects_total", "deliveries_total", "frames_total", "fence_round_trip_seconds_count"]) {
      assert.equal(sampleOf(text, `m2push_${name}`, of), 0, name);
    }
    assert.equal(sampleOf(text, "m2push_disconnects_total", { ...of, reason: "server lost" }), 0);
    assert.equal(sampleOf(text, "m2push_gaps_total", { ...of, reason: "expired" }), 0);
  });

  test("limits have their use and their value; one that is switched off has no value, one that is unknown no use", async () => {
    const limits = [
      { limit: "clients", used: 5, max: undefined },
      { limit: "publish_keys", used: 3, max: 1000 },
      { limit: "descriptors", used: 21, max: 1024 },
    ] as const;
    const text = await metrics(() => snapshotOf({ limits })).exposition.text();
    const value = (name: string, limit: string) => sampleOf(text, `m2push_limit_${name}`, { limit });
    assert.deepEqual([value("used", "clients"), value("max", "clients")], [5, undefined]);
    assert.deepEqual([value("used", "publish_keys"), value("max", "publish_keys")], [3, 1000]);
    assert.deepEqual([sampleOf(text, "process_open_fds"), sampleOf(text, "process_max_fds")], [21, 1024]);
    assert.equal(value("used", "history_bytes"), undefined);
  });

  test("the process has the names that every client library gives it, and m2push its version", async () => {
    const text = await metrics().exposition.text();
    assert.equal(sampleOf(text, "process_start_time_seconds"), Date.UTC(2020, 0, 1) / 1000);
    assert.ok((sampleOf(text, "process_resident_memory_bytes") ?? 0) > 1e7);
    assert.ok((sampleOf(text, "process_cpu_seconds_total") ?? 0) > 0);
    assert.equal(sampleOf(text, "m2push_build_info", { version: "1.2.3", node: process.versions.node }), 1);
  });

  test("slow clients are counted: those that fall behind by reason, those that connect with something to replay", async () => {
    const { observe, exposition } = metrics(() => snapshotOf({ servers: [serverSnapshot({ maxBehindEvents: 12 })] }));
    const server = "main";
    observe({ type: "clientConnected", server, client: CLIENT, clients: 1 });
    observe({ type: "clientConnected", server, client: BEHIND, clients: 2 });
    observe({ type: "clientsFellBehind", server, reason: "no credit", clients: 2 });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_connects_total", { server }), 2);
    assert.equal(sampleOf(text, "m2push_replays_total", { server }), 1);
    assert.equal(sampleOf(text, "m2push_clients_fell_behind_total", { server, reason: "no credit" }), 2);
    assert.equal(sampleOf(text, "m2push_clients_fell_behind_total", { server, reason: "queue full" }), 0);
    assert.equal(sampleOf(text, "m2push_clients_behind_max_events", { server }), 12);
  });

  test("gauges are those of the moment, and a server that is gone is shown no more", async () => {
    let now: Snapshot = snapshotOf({
      servers: [serverSnapshot({ clients: 3, catchingUp: 1, audiences: 2, queuedBodies: 4 })],
    });
    const { exposition } = metrics(() => now);
    const before = await exposition.text();
    assert.equal(sampleOf(before, "m2push_clients", { server: "main" }), 3);
    assert.equal(sampleOf(before, "m2push_clients_catching_up", { server: "main" }), 1);
    assert.equal(sampleOf(before, "m2push_audiences", { server: "main" }), 2);
    assert.equal(sampleOf(before, "m2push_queued_bodies", { server: "main" }), 4);
    assert.equal(sampleOf(before, "m2push_link_up", { server: "main" }), 1);
    assert.equal(sampleOf(before, "m2push_history_events"), 5);
    assert.equal(sampleOf(before, "m2push_history_kept_events"), 1);
    assert.equal(sampleOf(before, "m2push_history_last_offset"), 7);
    now = snapshotOf({ servers: [serverSnapshot({ name: "other", live: false })] });
    const after = await exposition.text();
    assert.equal(sampleOf(after, "m2push_clients", { server: "main" }), undefined);
    assert.equal(sampleOf(after, "m2push_link_up", { server: "other" }), 0);
  });

  test("bus_up is 0 while publications are rejected, whatever the cause", async () => {
    const rejected = { publications: "rejected" };
    const accepted = { publications: "accepted" };
    for (const [conditions, up] of [
      [[], 1],
      [[condition("cluster_unavailable")], 0],
      [[condition("storage_failing", { details: rejected })], 0],
      [[condition("storage_failing", { details: accepted })], 1],
      [[condition("history_read_failing")], 1],
    ] as const) {
      const text = await metrics(() => snapshotOf({ conditions })).exposition.text();
      assert.equal(sampleOf(text, "m2push_publishing_up"), up, JSON.stringify(conditions));
    }
  });

  test("escapes the values of labels", async () => {
    const { exposition } = metrics(() => snapshotOf({ servers: [serverSnapshot({ name: 'a"b\\c\nd' })] }));
    assert.deepEqual(lint(await exposition.text()), []);
  });

  for (const file of ["config/grafana-dashboard.json", "config/alerts.yml"]) {
    test(`${file} asks for nothing that is not there`, async () => {
      const { observe, exposition } = metrics();
      observe({ type: "requestCompleted", server: "main", route: "/esupdates", status: 200, reason: undefined });
      const names = new Set(
        [...parseMetrics(await exposition.text()).values()].flatMap((family) => [
          family.name,
          ...family.samples.map(({ name }) => name),
        ]),
      );
      const asked = readFileSync(file, "utf8").match(/\b(?:m2push|process)_[a-z_]+\b/g) ?? [];
      assert.ok(asked.length > 10);
      assert.deepEqual(
        [...new Set(asked)].filter((name) => !names.has(name)),
        [],
      );
    });
  }
});
