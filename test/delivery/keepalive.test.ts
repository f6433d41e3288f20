/** The sweep that keeps every connection alive in Mongrel2's books, and the heartbeat for proxies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Keepalive } from "../../src/delivery/keepalive.js";
import { Registry } from "../../src/delivery/registry.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

const KEEPALIVE = 45_000;
/** One step of the sweep. */
const STEP = KEEPALIVE / 90;

/** Writes down when each connection was kept alive last, and the longest it ever had to wait. */
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

  /** It has come, or is kept alive, now. */
  seen(id: number): void {
    const since = this.last.get(id);
    if (since !== undefined) this.longest = Math.max(this.longest, this.#now() - since);
    this.last.set(id, this.#now());
  }
}

function setUp({ keepalive = KEEPALIVE, heartbeat = 0 } = {}) {
  const clock = new FakeClock();
  const outlet = new WatchedOutlet(clock);
  const registry = new Registry(outlet, "http://hub.example/");
  const sweep = new Keepalive({ outlet, registry, clock }, { keepalive, heartbeat });
  sweep.start();
  let next = 1;
  return {
    clock,
    outlet,
    registry,
    sweep,
    come(count: number, interest: Interest = EVERYTHING_PUBLIC): void {
      for (const last = next + count; next < last; next++) {
        const client = registry.add({ id: next, remote: "", interest, since: clock.monotonic() });
        client.audience.add(client);
        outlet.seen(next);
      }
    },
    go(id: number): void {
      const client = registry.clients.get(id);
      if (!client) return;
      client.audience.remove(client);
      registry.remove(client);
      outlet.last.delete(id);
    },
    /** Everyone who is there has been kept alive lately enough. */
    check(): void {
      for (const id of outlet.last.keys()) outlet.seen(id);
      assert.ok(outlet.longest <= KEEPALIVE + STEP, `${outlet.longest} ms without a keep-alive`);
    },
  };
}

test("every client is kept alive within 45 s, the work spread over the time, in frames of at most 128", () => {
  const { clock, outlet, come, check } = setUp();
  come(20_000);
  for (let step = 1; step <= 90; step++) {
    clock.advance(STEP);
    assert.ok(outlet.keptAlive.length <= 223 * step, `${outlet.keptAlive.length} after ${step} steps`);
  }
  assert.equal(outlet.last.size, 20_000);
  assert.equal(outlet.largest, 128);
  check();
});

test("who stays is not forgotten while many others come and go", () => {
  // 1000 visitors, 20 s each: a sweep that began anew after the newest one never came to the oldest again.
  const { clock, outlet, come, go, check } = setUp();
  come(10);
  for (let second = 0; second < 300; second++) {
    come(50);
    for (let id = 10 + 50 * (second - 20); id < 10 + 50 * (second - 19); id++) if (id > 10) go(id);
    clock.advance(1000);
  }
  for (let id = 1; id <= 10; id++) assert.ok(outlet.last.has(id));
  check();
});

test("who stays is not forgotten when a crowd leaves", () => {
  const { clock, come, go, check } = setUp();
  come(1000);
  clock.advance(44_000);
  for (let id = 1; id <= 975; id++) go(id);
  clock.advance(200_000);
  check();
});

test("whatever crowds come and go, nobody waits longer than that", () => {
  const step = fc.record({
    come: fc.oneof(fc.constant(0), fc.nat(300)),
    go: fc.constantFrom(0, 0, 0.1, 0.5, 1),
    from: fc.constantFrom("old", "new"),
    wait: fc.integer({ min: 1, max: 60_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
      const it = setUp();
      for (const { come, go, from, wait } of steps) {
        it.come(come);
        const ids = [...it.outlet.last.keys()];
        if (from === "new") ids.reverse();
        for (const id of ids.slice(0, Math.round(ids.length * go))) it.go(id);
        it.clock.advance(wait);
      }
      it.check();
    }),
    { numRuns: 100 },
  );
});

test("only who is connected is kept alive, and after close nobody is, and no timer is left", () => {
  const { clock, outlet, sweep, come, go } = setUp({ heartbeat: 15_000 });
  clock.advance(KEEPALIVE);
  assert.deepEqual(outlet.keptAlive, []);
  come(3);
  go(2);
  clock.advance(KEEPALIVE);
  assert.deepEqual(new Set(outlet.keptAlive), new Set([1, 3]));
  sweep.close();
  const before = outlet.keptAlive.length;
  clock.advance(10 * KEEPALIVE);
  assert.equal(outlet.keptAlive.length, before);
  assert.equal(clock.waiting, 0);
});

test("after a new life of the server the sweep begins with the clients of that one", () => {
  const { clock, outlet, registry, sweep, come } = setUp();
  come(500);
  clock.advance(10_000);
  registry.clear();
  sweep.reset();
  outlet.last.clear();
  outlet.keptAlive.length = 0;
  come(50);
  clock.advance(KEEPALIVE);
  assert.deepEqual(
    [...new Set(outlet.keptAlive)].sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, index) => 501 + index),
  );
});

test("other times count from the next start on, and a heartbeat of 0 is none", () => {
  const { clock, outlet, sweep, come } = setUp({ heartbeat: 4_000 });
  come(2);
  clock.advance(5_000);
  assert.equal(outlet.received.get(1), ":\n");
  sweep.start({ keepalive: 9_000, heartbeat: 0 });
  outlet.keptAlive.length = 0;
  clock.advance(9_000);
  assert.equal(outlet.received.get(1), ":\n");
  assert.ok(outlet.keptAlive.length >= 90);
});

test("heartbeats of many small audiences share their frames", () => {
  const { clock, outlet, come } = setUp({ heartbeat: 15_000 });
  for (let topic = 0; topic < 300; topic++) {
    come(1, { selectors: [{ kind: "exact", value: `t${topic}` }], grants: [] });
  }
  const frames = outlet.frames;
  clock.advance(19_000);
  assert.equal(outlet.frames - frames, 3);
  for (let id = 1; id <= 300; id++) assert.equal(outlet.received.get(id), ":\n");
});
