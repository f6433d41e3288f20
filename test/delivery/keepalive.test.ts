import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Keepalive } from "../../src/delivery/keepalive.js";
import { Registry } from "../../src/delivery/registry.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

const KEEPALIVE_MS = 45_000;
const HEARTBEAT_EVENT = "event: m2push-heartbeat\ndata: 16\n\n";
/** One step of the sweep. */
const STEP_MS = KEEPALIVE_MS / 90;

/** Records the last keep-alive of each connection, and the longest time between two. */
class WatchedOutlet extends RecordingOutlet {
  readonly #now: () => number;
  readonly last = new Map<number, number>();
  longest = 0;
  largest = 0;

  constructor(clock: FakeClock) {
    super(clock);
    this.#now = () => clock.monotonic();
  }

  override keepAlive(ids: readonly number[]): void {
    super.keepAlive(ids);
    this.largest = Math.max(this.largest, ids.length);
    for (const id of ids) this.seen(id);
  }

  /** It connects, or is kept alive, now. */
  seen(id: number): void {
    const since = this.last.get(id);
    if (since !== undefined) this.longest = Math.max(this.longest, this.#now() - since);
    this.last.set(id, this.#now());
  }
}

function setUp({ keepalive = KEEPALIVE_MS, heartbeat = 0 } = {}) {
  const clock = new FakeClock();
  const outlet = new WatchedOutlet(clock);
  const registry = new Registry(outlet, "http://hub.example/");
  const sweep = new Keepalive({ outlet, registry, clock });
  sweep.start({ keepalive, heartbeat });
  let next = 1;
  return {
    clock,
    outlet,
    registry,
    sweep,
    connect(count: number, interest: Interest = EVERYTHING_PUBLIC): void {
      for (const last = next + count; next < last; next++) {
        const client = registry.add({ id: next, remote: "", interest, since: clock.monotonic() });
        client.audience.add(client);
        outlet.seen(next);
      }
    },
    disconnect(id: number): void {
      const client = registry.clients.get(id);
      if (!client) return;
      client.audience.remove(client);
      registry.remove(client);
      outlet.last.delete(id);
    },
    /** No connected client has waited too long for a keep-alive. */
    check(): void {
      for (const id of outlet.last.keys()) outlet.seen(id);
      assert.ok(outlet.longest <= KEEPALIVE_MS + STEP_MS, `${outlet.longest} ms without a keep-alive`);
    },
  };
}

describe("Keepalive", () => {
  test("reaches every client within 45 s, in even steps, in frames of at most 128 ids", () => {
    const { clock, outlet, connect, check } = setUp();
    connect(20_000);
    for (let step = 1; step <= 90; step++) {
      clock.advance(STEP_MS);
      assert.ok(outlet.keptAlive.length <= 223 * step, `${outlet.keptAlive.length} after ${step} steps`);
    }
    assert.equal(outlet.last.size, 20_000);
    assert.equal(outlet.largest, 128);
    check();
  });

  test("reaches old clients while many others connect and disconnect", () => {
    // 1000 clients, 20 s each: a sweep that restarted after the newest one never reached the oldest again.
    const { clock, outlet, connect, disconnect, check } = setUp();
    connect(10);
    for (let second = 0; second < 300; second++) {
      connect(50);
      for (let id = 10 + 50 * (second - 20); id < 10 + 50 * (second - 19); id++) if (id > 10) disconnect(id);
      clock.advance(1000);
    }
    for (let id = 1; id <= 10; id++) assert.ok(outlet.last.has(id));
    check();
  });

  test("reaches the remaining clients after most of the others disconnect", () => {
    const { clock, connect, disconnect, check } = setUp();
    connect(1000);
    clock.advance(44_000);
    for (let id = 1; id <= 975; id++) disconnect(id);
    clock.advance(200_000);
    check();
  });

  test("reaches every client in time under any sequence of connects and disconnects", () => {
    const step = fc.record({
      connecting: fc.oneof(fc.constant(0), fc.nat(300)),
      disconnecting: fc.constantFrom(0, 0, 0.1, 0.5, 1),
      from: fc.constantFrom("old", "new"),
      waitMs: fc.integer({ min: 1, max: 60_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
        const it = setUp();
        for (const { connecting, disconnecting, from, waitMs } of steps) {
          it.connect(connecting);
          const ids = [...it.outlet.last.keys()];
          if (from === "new") ids.reverse();
          for (const id of ids.slice(0, Math.round(ids.length * disconnecting))) it.disconnect(id);
          it.clock.advance(waitMs);
        }
        it.check();
      }),
      { numRuns: 100 },
    );
  });

  test("reaches connected clients only, and none after stop(), which leaves no timer", () => {
    const { clock, outlet, sweep, connect, disconnect } = setUp({ heartbeat: 15_000 });
    clock.advance(KEEPALIVE_MS);
    assert.deepEqual(outlet.keptAlive, []);
    connect(3);
    disconnect(2);
    clock.advance(KEEPALIVE_MS);
    assert.deepEqual(new Set(outlet.keptAlive), new Set([1, 3]));
    sweep.stop();
    const before = outlet.keptAlive.length;
    clock.advance(10 * KEEPALIVE_MS);
    assert.equal(outlet.keptAlive.length, before);
    assert.equal(clock.waiting, 0);
  });

  test("starts with the new clients after the link was lost", () => {
    const { clock, outlet, registry, sweep, connect } = setUp();
    connect(500);
    clock.advance(10_000);
    registry.clear();
    sweep.reset();
    outlet.last.clear();
    outlet.keptAlive.length = 0;
    connect(50);
    clock.advance(KEEPALIVE_MS);
    assert.deepEqual(
      [...new Set(outlet.keptAlive)].sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, index) => 501 + index),
    );
  });

  test("applies other times at the next start, and sends no heartbeat at 0", () => {
    const { clock, outlet, sweep, connect } = setUp({ heartbeat: 4_000 });
    connect(2);
    clock.advance(5_000);
    assert.equal(outlet.received.get(1), ":\n");
    sweep.start({ keepalive: 9_000, heartbeat: 0 });
    outlet.keptAlive.length = 0;
    clock.advance(9_000);
    assert.equal(outlet.received.get(1), ":\n");
    assert.ok(outlet.keptAlive.length >= 90);
  });

  test("sends heartbeats of many small audiences in shared frames", () => {
    const { clock, outlet, connect } = setUp({ heartbeat: 15_000 });
    for (let topic = 0; topic < 300; topic++) {
      connect(1, { selectors: [{ kind: "exact", value: `t${topic}` }], grants: [] });
    }
    const frames = outlet.frames;
    clock.advance(19_000);
    assert.equal(outlet.frames - frames, 3);
    for (let id = 1; id <= 300; id++) assert.equal(outlet.received.get(id), ":\n");
  });

  test("sends heartbeat events at their interval to who asked for them, whatever else they get, and comments to others", () => {
    const { clock, outlet, registry, connect } = setUp({ heartbeat: 16_000 });
    connect(1);
    connect(200, { ...EVERYTHING_PUBLIC, hasHeartbeatEvents: true });
    const [comments, events] = [registry.clients.get(1)?.audience, registry.clients.get(2)?.audience];
    assert.notEqual(comments, events);
    const sentAt: number[] = [];
    for (let second = 1; second <= 60; second++) {
      clock.advance(1000);
      if (outlet.received.has(2)) sentAt.push(second);
      if (outlet.received.has(2)) assert.equal(outlet.received.get(201), HEARTBEAT_EVENT);
      outlet.received.delete(2);
      outlet.received.delete(201);
      if (events) events.lastSent = clock.monotonic();
    }
    assert.deepEqual(sentAt, [4, 20, 36, 52]);
    assert.equal(outlet.received.get(1), ":\n:\n:\n");
  });

  test("tells clients with heartbeat events at once of another interval, and that there is none", () => {
    const { outlet, sweep, connect } = setUp({ heartbeat: 16_000 });
    connect(1);
    connect(1, { ...EVERYTHING_PUBLIC, hasHeartbeatEvents: true });
    for (const heartbeat of [2_500, 0]) sweep.start({ keepalive: KEEPALIVE_MS, heartbeat });
    assert.equal(outlet.received.get(2), [2.5, 0].map((it) => HEARTBEAT_EVENT.replace("16", String(it))).join(""));
    assert.equal(outlet.received.has(1), false);
  });
});
