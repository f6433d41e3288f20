/** The dashboard's stream: a report at once and each second, while somebody watches. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { DashboardStream, type StatusEvent } from "../../../src/observability/admin/dashboard-stream.js";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { type StatusParts, statusOf } from "../../../src/observability/admin/status.js";
import { decodeEvents } from "../../../src/protocol/sse.js";
import { metrics, rateSampler, snapshotOf } from "../metrics/harness.js";
import { operated } from "./harness.js";

/** Reads what it is sent, or does not: then it waits. */
class Watcher extends Writable {
  text = "";
  readonly #reads: boolean;

  constructor(reads = true) {
    super();
    this.#reads = reads;
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.text += bytes.toString();
    if (this.#reads) done();
  }

  get reports(): (StatusEvent & { readonly id: string | undefined })[] {
    return decodeEvents(this.text).flatMap(({ type, id, data }) =>
      type === "m2push-status" && data !== undefined ? [{ id, ...(JSON.parse(data) as StatusEvent) }] : [],
    );
  }
}

async function start() {
  const { clock, metrics: observer } = metrics();
  const recentConnections = new RecentConnections(clock);
  const sampler = rateSampler(clock, observer);
  let looks = 0;
  const parts: StatusParts = {
    version: "1.2.3",
    metrics: observer,
    sampler,
    snapshot: () => snapshotOf(),
    slowestClients: () => [],
  };
  const status = () => {
    looks++;
    return statusOf(parts, true);
  };
  const { connect, server } = await operated();
  connect(1);
  const client = server.clients.get(1);
  assert.ok(client);
  const observe = recentConnections.observe;
  const come = () => observe({ type: "clientConnected", server: "main", client, clients: 1 });
  return {
    clock,
    recentConnections,
    come,
    feed: new DashboardStream({ clock, recentConnections, status, lastHour: () => HOUR }),
    looks: () => looks,
  };
}

const HOUR = { figures: ["clients"], samples: [[1, 7]] } as const;

const gone = (watcher: Watcher) => new Promise((resolve) => watcher.once("close", resolve).destroy());

describe("DashboardStream", () => {
  test("a watcher gets an event at once, then one each second", async () => {
    const { feed, clock } = await start();
    const watcher = new Watcher();
    feed.watch(watcher);
    assert.equal(watcher.reports.length, 1);
    assert.equal(watcher.reports[0]?.status.m2push, "1.2.3");
    assert.deepEqual(watcher.reports[0]?.hour, HOUR);
    clock.advance(3000);
    assert.equal(watcher.reports.length, 4);
    assert.ok(watcher.reports.slice(1).every(({ hour }) => hour === undefined));
    feed.close();
  });

  test("encodes nothing without a watcher", async () => {
    const { feed, clock, looks } = await start();
    clock.advance(10_000);
    assert.deepEqual([looks(), clock.waiting], [0, 0]);
    const watcher = new Watcher();
    feed.watch(watcher);
    clock.advance(1000);
    assert.equal(looks(), 2);
    await gone(watcher);
    clock.advance(10_000);
    assert.deepEqual([looks(), clock.waiting], [2, 0]);
  });

  test("encodes one snapshot for all watchers", async () => {
    const { feed, clock, looks } = await start();
    const watchers = [new Watcher(), new Watcher(), new Watcher()];
    for (const watcher of watchers) feed.watch(watcher);
    clock.advance(1000);
    assert.equal(looks(), 4);
    assert.equal(new Set(watchers.map(({ reports }) => JSON.stringify(reports[1]))).size, 1);
    feed.close();
  });

  test("every watcher gets each connection once, whenever it began to watch", async () => {
    const { feed, clock, come } = await start();
    come();
    const early = new Watcher();
    feed.watch(early);
    come();
    const late = new Watcher();
    feed.watch(late);
    come();
    clock.advance(2000);
    assert.deepEqual(
      early.reports.map(({ connections: recentConnections }) => recentConnections.length),
      [1, 2, 0],
    );
    assert.deepEqual(
      late.reports.map(({ connections: recentConnections }) => recentConnections.length),
      [2, 1, 0],
    );
    feed.close();
  });

  test("a watcher that reconnects with the id of its last event gets only what happened since", async () => {
    const { feed, come } = await start();
    come();
    const first = new Watcher();
    feed.watch(first);
    come();
    come();
    const again = new Watcher();
    feed.watch(again, first.reports[0]?.id);
    assert.equal(again.reports[0]?.connections.length, 2);
    const other = new Watcher();
    feed.watch(other, "of another life.7");
    assert.equal(other.reports[0]?.connections.length, 3);
    feed.close();
  });

  test("reports the number of dropped events, but not to a new watcher", async () => {
    const { feed, clock, come } = await start();
    const watcher = new Watcher();
    feed.watch(watcher);
    for (let count = 0; count < 80; count++) come();
    clock.advance(1000);
    assert.deepEqual([watcher.reports[1]?.connections.length, watcher.reports[1]?.skipped], [50, 30]);
    const late = new Watcher();
    feed.watch(late);
    assert.deepEqual([late.reports[0]?.connections.length, late.reports[0]?.skipped], [50, 0]);
    feed.close();
  });

  test("disconnects a watcher that does not read before much is queued, and no other one", async () => {
    const { feed, clock } = await start();
    const [stuck, reader] = [new Watcher(false), new Watcher()];
    feed.watch(stuck);
    feed.watch(reader);
    let seconds = 0;
    for (; !stuck.destroyed; seconds++) {
      clock.advance(1000);
      assert.ok(stuck.writableLength < 1_010_000, `${stuck.writableLength} bytes wait`);
    }
    assert.equal(reader.reports.length, seconds + 1);
    feed.close();
  });

  test("20 watchers are served, and one more when one has left", async () => {
    const { feed } = await start();
    const watchers = Array.from({ length: 20 }, () => new Watcher());
    for (const watcher of watchers) {
      assert.equal(feed.isFull, false);
      feed.watch(watcher);
    }
    assert.equal(feed.isFull, true);
    for (const watcher of watchers.slice(0, 1)) await gone(watcher);
    assert.equal(feed.isFull, false);
    feed.close();
  });

  test("keeps no watcher that left before the first snapshot, and none after close()", async () => {
    const { feed, clock } = await start();
    const watcher = new Watcher();
    await gone(watcher);
    feed.watch(watcher);
    assert.equal(clock.waiting, 0);
    const [one, two] = [new Watcher(), new Watcher()];
    feed.watch(one);
    feed.watch(two);
    feed.close();
    assert.deepEqual([clock.waiting, one.destroyed, two.destroyed], [0, true, true]);
  });
});
