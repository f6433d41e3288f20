import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoredClient } from "../../src/hub/ports.js";
import { type Recovered, Recovery } from "../../src/mongrel2/recovery.js";
import type { NetRow } from "../../src/protocol/control.js";
import { FakeClock } from "../support/clock.js";

const stored = (id: number): StoredClient => ({ id, remote: "", selectors: ["*"], since: 0, seen: 5, settled: true });
const row = (id: number, lastRead: number, bytesWritten = 500): NetRow => ({
  id,
  fd: 10 + id,
  type: 1,
  lastPing: 0,
  lastRead,
  lastWrite: 0,
  bytesRead: 200,
  bytesWritten,
});

/** A recovery whose control port answers with what `rows` returns for the time since the link became live. */
function setUp(rows: ((milliseconds: number) => NetRow[]) | undefined, taken: number[] = []) {
  const clock = new FakeClock();
  clock.advance(1_000_000);
  const liveAt = clock.monotonic();
  const seen = {
    adopted: [] as number[],
    forgotten: [] as number[],
    cancelled: [] as number[],
    settled: [] as Recovered[],
  };
  const recovery = new Recovery({
    clock,
    connections: rows && (async () => rows(clock.monotonic() - liveAt)),
    isTaken: (id) => taken.includes(id) || seen.adopted.includes(id),
    adopt: ({ id }) => seen.adopted.push(id),
    forget: (clients) => seen.forgotten.push(...clients.map(({ id }) => id)),
    cancel: (ids) => seen.cancelled.push(...ids),
    settled: (result) => seen.settled.push(result),
    failed: () => {},
  });
  /** Lets time pass in steps small enough for the answers in between. */
  const pass = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      clock.advance(50);
      await new Promise(setImmediate);
    }
  };
  return { recovery, seen, pass, liveAt };
}

test("clients are adopted when Mongrel2 has read from one of them before the last daemon died", async () => {
  const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 0)]);
  recovery.begin({ clients: [stored(1), stored(2), stored(3)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(100);
  assert.deepEqual(seen.adopted, [1, 2]);
  assert.deepEqual(seen.cancelled, []);
  assert.deepEqual(seen.forgotten, [3]);
  assert.deepEqual(seen.settled, [{ adopted: 2, cancelled: 0, gone: 1, proven: true }]);
});

test("without proof nobody is adopted, ever, and who is still connected is cancelled", async () => {
  // Another Mongrel2, started one second after the daemon died: nothing in it can be older.
  const { recovery, seen, pass, liveAt } = setUp((passed) => [row(1, Math.floor((1000 + passed) / 1000)), row(2, 0)]);
  recovery.begin({ clients: [stored(1), stored(2)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(20_000);
  assert.deepEqual(seen.adopted, []);
  assert.deepEqual(seen.cancelled, [1, 2]);
  assert.equal(seen.settled[0]?.proven, false);
});

test("the proof is waited for: Mongrel2's clock moves in steps of ten seconds", async () => {
  const { recovery, seen, pass, liveAt } = setUp((passed) => [row(1, passed < 7000 ? 1 : 14)]);
  recovery.begin({ clients: [stored(1)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(6000);
  assert.deepEqual(seen.adopted, []);
  await pass(3000);
  assert.deepEqual(seen.adopted, [1]);
});

test("an id under which somebody is connected by now is left alone", async () => {
  const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 60)], [1]);
  recovery.begin({ clients: [stored(1), stored(2)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(100);
  assert.deepEqual(seen.adopted, [2]);
  assert.deepEqual(seen.cancelled, []);
});

test("a connection whose opening was lost with the last daemon is cancelled, not adopted", async () => {
  const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 60, 0)]);
  recovery.begin({ clients: [stored(1), stored(2)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(100);
  assert.deepEqual(seen.adopted, [1]);
  assert.deepEqual([...new Set(seen.cancelled)], [2]);
});

test("a request that was lost on its way is cancelled, one that is on its way is not", async () => {
  const { recovery, seen, pass, liveAt } = setUp((passed) => [
    row(7, 30, 0),
    row(8, Math.floor(passed / 2000), 0),
    row(-1, 30, 0),
  ]);
  recovery.begin({ clients: [], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(5000);
  assert.deepEqual([...new Set(seen.cancelled)], [7]);
});

test("the control port is not asked for ever: nobody who came later can have lost a request", async () => {
  let asked = 0;
  const { recovery, seen, pass, liveAt } = setUp(() => (asked++ === 0 ? [row(1, 60)] : [row(1, 60), row(9, 0, 0)]));
  recovery.begin({ clients: [stored(1)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(10_000);
  assert.equal(asked, 1);
  assert.deepEqual(seen.adopted, [1]);
});

test("the control port is asked once where every request that was on its way has come by the next time", async () => {
  let asked = 0;
  const taken: number[] = [];
  const { recovery, seen, pass, liveAt } = setUp(() => {
    asked++;
    return [row(1, 0, 0), row(2, 0, 0)];
  }, taken);
  recovery.begin({ clients: [], aliveAt: liveAt, cleanStop: false }, "unknown");
  await pass(100);
  taken.push(1, 2);
  await pass(15_000);
  assert.equal(asked, 1);
  assert.deepEqual(seen.cancelled, []);
});

test("without a control port everybody left behind is cancelled", async () => {
  const { recovery, seen, pass, liveAt } = setUp(undefined, [2]);
  recovery.begin({ clients: [stored(1), stored(2)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  await pass(100);
  assert.deepEqual(seen, {
    adopted: [],
    forgotten: [1, 2],
    cancelled: [1],
    settled: [{ adopted: 0, cancelled: 1, gone: 0, proven: false }],
  });
});

test("a recovery that was stopped does nothing more", async () => {
  const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60)]);
  recovery.begin({ clients: [stored(1)], aliveAt: liveAt - 2000, cleanStop: false }, "unknown");
  recovery.stop();
  await pass(1000);
  assert.deepEqual(seen, { adopted: [], forgotten: [], cancelled: [], settled: [] });
});
