import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PreviousClients, StoredClient } from "../../src/delivery/client-store.js";
import {
  type AdoptionResult,
  ConnectionAdoption,
  type ConnectionAdoptionOptions,
} from "../../src/mongrel2/connection-adoption.js";
import type { NetRow } from "../../src/protocol/control-protocol.js";
import { FileRequestRecord } from "../../src/storage/clients/file-request-record.js";
import { FakeClock } from "../support/clock.js";

const stored = (id: number): StoredClient => ({
  id,
  remote: "",
  selectors: ["*"],
  since: 0,
  acknowledgedOffset: 5,
  coveredByServerFence: true,
});
const row = (id: number, lastRead: number, bytesWritten = 500, more: Partial<NetRow> = {}): NetRow => ({
  id,
  fd: 10 + id,
  type: 1,
  lastPing: 0,
  lastRead,
  lastWrite: 0,
  bytesRead: 200,
  bytesWritten,
  ...more,
});

const legacy = (
  clients: readonly StoredClient[],
  aliveAt: number,
  more: Partial<PreviousClients> = {},
): PreviousClients => ({
  clients,
  aliveAt,
  cleanStop: false,
  isMissing: false,
  ...more,
});

function requestRecord(): FileRequestRecord {
  const options = { folder: undefined, server: "main", boot: "", monotonic: () => 0, cleanStop: false, onWrite() {} };
  return new FileRequestRecord(options);
}

/** A recovery whose control port answers with what `rows` returns for the time since the link became live. */
function setUp(
  rows: ((milliseconds: number) => NetRow[]) | undefined,
  taken: number[] = [],
  more: Partial<ConnectionAdoptionOptions> = {},
) {
  const clock = new FakeClock();
  clock.advance(1_000_000);
  const liveAt = clock.monotonic();
  const seen = {
    adopted: [] as number[],
    forgotten: [] as number[],
    cancelled: [] as number[],
    decisions: [] as AdoptionResult[],
    swept: [] as number[],
    unknown: [] as (number | "some")[],
  };
  const recovery = new ConnectionAdoption({
    clock,
    connections: rows && (async () => rows(clock.monotonic() - liveAt)),
    isTaken: (id) => taken.includes(id) || seen.adopted.includes(id),
    adopt: ({ id }) => seen.adopted.push(id),
    forget: (clients) => seen.forgotten.push(...clients.map(({ id }) => id)),
    cancel: (ids) => seen.cancelled.push(...ids),
    decided: (result) => seen.decisions.push(result),
    queryFailed: () => {},
    sweep: {
      run(known, done) {
        seen.swept.push(known);
        done();
      },
      stop() {},
    },
    requests: requestRecord(),
    exclusivity: async () => ({ isExclusive: false, reason: "" }),
    orphanTimeoutMs: 60_000,
    report: {
      undecided() {},
      orphansUnknown(connections) {
        if (seen.unknown.at(-1) !== connections) seen.unknown.push(connections);
      },
      orphansClosed() {},
    },
    ...more,
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

describe("ConnectionAdoption", () => {
  test("clients are adopted when Mongrel2 has read from one of them before the last daemon died", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 0)]);
    recovery.begin(legacy([stored(1), stored(2), stored(3)], liveAt - 2000));
    await pass(100);
    assert.deepEqual(seen.adopted, [1, 2]);
    assert.deepEqual(seen.cancelled, []);
    assert.deepEqual(seen.forgotten, [3]);
    assert.deepEqual(seen.decisions, [{ adopted: 2, cancelled: 0, gone: 1, proven: true }]);
  });

  test("without proof nobody is adopted, ever, and who is still connected is cancelled", async () => {
    // Another Mongrel2, started one second after the daemon died: nothing in it can be older.
    const { recovery, seen, pass, liveAt } = setUp((passed) => [row(1, Math.floor((1000 + passed) / 1000)), row(2, 0)]);
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(20_000);
    assert.deepEqual(seen.adopted, []);
    assert.deepEqual(seen.cancelled, [1, 2]);
    assert.equal(seen.decisions[0]?.proven, false);
  });

  test("the proof is waited for: Mongrel2's clock moves in steps of ten seconds", async () => {
    const { recovery, seen, pass, liveAt } = setUp((passed) => [row(1, passed < 7000 ? 1 : 14)]);
    recovery.begin(legacy([stored(1)], liveAt - 2000));
    await pass(6000);
    assert.deepEqual(seen.adopted, []);
    await pass(3000);
    assert.deepEqual(seen.adopted, [1]);
  });

  test("an id under which somebody is connected by now is left alone", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 60)], [1]);
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(100);
    assert.deepEqual(seen.adopted, [2]);
    assert.deepEqual(seen.cancelled, []);
  });

  test("a connection whose opening was lost with the last daemon is cancelled, not adopted", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 60, 0)]);
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(100);
    assert.deepEqual(seen.adopted, [1]);
    assert.deepEqual([...new Set(seen.cancelled)], [2]);
  });

  test("the control port is not asked for ever: nobody who came later can have lost a request", async () => {
    let asked = 0;
    const { recovery, seen, pass, liveAt } = setUp(() => (asked++ === 0 ? [row(1, 60)] : [row(1, 60), row(9, 0, 0)]));
    recovery.begin(legacy([stored(1)], liveAt - 2000));
    await pass(10_000);
    assert.equal(asked, 1);
    assert.deepEqual(seen.adopted, [1]);
  });

  // Another application behind the same Mongrel2 that thought for 25 s lost its clients at each restart of m2push.
  test("a connection of nobody knows whom is left alone, whatever it waits for", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(7, 30, 0), row(8, 25, 900)]);
    recovery.begin(legacy([], liveAt - 2000));
    await pass(90_000);
    assert.deepEqual(seen.cancelled, []);
    assert.deepEqual(seen.unknown, [0]);
  });

  test("without a control port everybody left behind is cancelled", async () => {
    const { recovery, seen, pass, liveAt } = setUp(undefined, [2]);
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(3000);
    assert.deepEqual(seen.forgotten, [1, 2]);
    assert.deepEqual(seen.cancelled, [1]);
    assert.deepEqual(seen.decisions, [{ adopted: 0, cancelled: 1, gone: 0, proven: false }]);
    assert.deepEqual(seen.swept, [], "the database does not show that nobody else answers");
  });

  // 2,248 acknowledged events reached none of 50 old streams in 120 s.
  test("a control port that is configured and never answers is waited for no longer than for a proof", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => assert.fail("no answer"));
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(11_000);
    assert.deepEqual(seen.cancelled, []);
    await pass(3000);
    assert.deepEqual(seen.cancelled, [1, 2]);
    assert.deepEqual(seen.decisions, [{ adopted: 0, cancelled: 2, gone: 0, proven: false }]);
  });

  test("the same instance needs no proof by time; of one that was restarted every id is forgotten, none cancelled", async () => {
    const same = setUp(() => [row(1, 1), row(2, 1)]);
    same.recovery.begin(legacy([stored(1), stored(2)], same.liveAt - 2000), "same");
    await same.pass(100);
    assert.deepEqual(same.seen.adopted, [1, 2]);
    const another = setUp(() => [row(1, 60), row(2, 60)]);
    another.recovery.begin(legacy([stored(1), stored(2)], another.liveAt - 2000), "restarted");
    await another.pass(20_000);
    assert.deepEqual(another.seen.adopted, []);
    assert.deepEqual(another.seen.cancelled, []);
    assert.deepEqual(another.seen.forgotten, [1, 2]);
  });

  // 52 of 2,399 browsers that had loaded the page on the same connection hung after kill -9.
  test("an earlier answer on the connection is no proof that its stream was opened", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(2, 20, 500, { lastWrite: 30 })]);
    recovery.begin(legacy([stored(1), stored(2)], liveAt - 2000));
    await pass(100);
    assert.deepEqual(seen.adopted, [1]);
    assert.deepEqual(seen.cancelled, [2]);
  });

  describe("Recovery of requests that the last process had read", () => {
    const killed = () => {
      const requests = requestRecord();
      for (const id of [3, 4, 5]) requests.read(id);
      requests.answered(4, true);
      requests.linkLost();
      return requests;
    };

    test("those that were not answered are closed as soon as the clients of the record are decided", async () => {
      const requests = killed();
      const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(3, 2), row(4, 60)], [], { requests });
      recovery.begin(legacy([stored(1)], liveAt - 2000));
      await pass(100);
      assert.deepEqual(seen.cancelled, [3], "5 is not open any more");
      assert.equal(requests.previous, undefined);
    });

    test("a stream whose head may never have been sent is closed, although it is in the record", async () => {
      const requests = killed();
      const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60), row(3, 60)], [], { requests });
      recovery.begin(legacy([stored(1), stored(3)], liveAt - 2000));
      await pass(100);
      assert.deepEqual(seen.adopted, [1]);
      assert.deepEqual([...new Set(seen.cancelled)], [3]);
    });

    test("and by their ids where the control port does not answer", async () => {
      const requests = killed();
      const { recovery, seen, pass, liveAt } = setUp(() => assert.fail("no answer"), [5], { requests });
      recovery.begin(legacy([], liveAt - 2000));
      await pass(14_000);
      assert.deepEqual(seen.cancelled, [3]);
      assert.ok(requests.previous, "what follows for unknown connections is decided when the control port is back");
    });

    test("a process that is killed before it has decided leaves them to the next one", async () => {
      const requests = killed();
      const { recovery, pass, liveAt } = setUp(() => [row(1, 1)], [], { requests });
      recovery.begin(legacy([stored(1)], liveAt - 2000));
      await pass(5000);
      assert.equal(recovery.isDecided, false);
      recovery.stop();
      assert.deepEqual([...(requests.previous?.unanswered ?? [])].sort(), [3, 5]);
    });
  });

  describe("Recovery beside nobody else (exclusive)", () => {
    const exclusivity = async () => ({ isExclusive: true, reason: "" });

    test("closes what it has not heard of and on which nothing has moved for two seconds", async () => {
      const rows = (passed: number) => [
        row(1, 60),
        row(7, 30, 0),
        row(8, 30, 900),
        row(9, 0, passed < 1000 ? 10 : 20),
        row(-1, 30, 0),
        row(11, 5),
        ...(passed > 1000 ? [row(12, 0)] : []),
      ];
      const { recovery, seen, pass, liveAt } = setUp(rows, [11], { exclusivity });
      recovery.begin(legacy([stored(1)], liveAt - 2000));
      await pass(1500);
      assert.deepEqual(seen.cancelled, []);
      await pass(2000);
      assert.deepEqual(seen.adopted, [1]);
      assert.deepEqual(
        seen.cancelled,
        [7, 8],
        "9 is written to, -1 never came to a handler, 11 is ours, 12 came later",
      );
    });

    test("after a clean stop, connections that were answered and kept are left open", async () => {
      const requests = requestRecord();
      Object.defineProperty(requests, "previous", {
        value: { highest: 8, unanswered: new Set(), kept: new Set([7]), cleanStop: true },
      });
      const { recovery, seen, pass, liveAt } = setUp(() => [row(7, 30), row(8, 30)], [], { exclusivity, requests });
      recovery.begin(legacy([], liveAt - 2000, { cleanStop: true }));
      await pass(4000);
      assert.deepEqual(seen.cancelled, [8]);
    });

    test("sweeps all ids where the control port does not answer, and where there is none", async () => {
      const silent = setUp(() => assert.fail("no answer"), [], { exclusivity });
      silent.recovery.begin(legacy([stored(40)], silent.liveAt - 2000));
      await silent.pass(11_000);
      assert.deepEqual(silent.seen.swept, []);
      await silent.pass(4000);
      assert.deepEqual(silent.seen.swept, [40], "up to the highest id that is known");
      const none = setUp(undefined, [], { exclusivity });
      none.recovery.begin(legacy([], none.liveAt - 2000, { isMissing: true }));
      await none.pass(1900);
      assert.deepEqual(none.seen.swept, [], "requests that waited come first");
      await none.pass(200);
      assert.deepEqual(none.seen.swept, [0]);
    });

    test("waits for the database to be read", async () => {
      let tell: (it: { isExclusive: boolean; reason: string }) => void = () => {};
      const later = () =>
        new Promise<{ isExclusive: boolean; reason: string }>((resolve) => {
          tell = resolve;
        });
      const { recovery, seen, pass, liveAt } = setUp(() => [row(7, 30)], [], { exclusivity: later });
      recovery.begin(legacy([], liveAt - 2000));
      await pass(5000);
      assert.deepEqual(seen.cancelled, []);
      tell({ isExclusive: true, reason: "" });
      await pass(1000);
      assert.deepEqual(seen.cancelled, [7]);
    });
  });

  describe("Recovery with a record that is missing, beside others", () => {
    const streams = () => [row(7, 30, 900, { lastWrite: 2 }), row(8, 30, 0), row(9, 20, 900, { lastWrite: 25 })];

    test("reports its streams at once and closes them after orphan_timeout (rule S1)", async () => {
      const { recovery, seen, pass, liveAt } = setUp(streams);
      recovery.begin(legacy([], 0, { isMissing: true }));
      await pass(100);
      assert.deepEqual(seen.unknown, [1]);
      await pass(59_000);
      assert.deepEqual(seen.cancelled, []);
      await pass(2000);
      assert.deepEqual(seen.cancelled, [7], "8 and 9 wait for an answer that may yet come");
      assert.deepEqual(seen.unknown, [1, 0]);
      assert.ok(liveAt > 0);
    });

    test("closes none with orphan_timeout 0, and goes on reporting them", async () => {
      const { recovery, seen, pass } = setUp(streams, [], { orphanTimeoutMs: 0 });
      recovery.begin(legacy([], 0, { isMissing: true }));
      await pass(200_000);
      assert.deepEqual(seen.cancelled, []);
      assert.deepEqual(seen.unknown, [1]);
    });

    test("without a control port reports that there may be some, unless every id so far was heard of", async () => {
      const requests = requestRecord();
      const { recovery, seen, pass } = setUp(undefined, [], { requests });
      recovery.begin(legacy([], 0, { isMissing: true }));
      await pass(15_000);
      assert.deepEqual(seen.unknown, [], "nobody has come yet");
      requests.read(5);
      await pass(15_000);
      assert.deepEqual(seen.unknown, ["some"]);
      const first = requestRecord();
      for (const id of [2, 1]) first.read(id);
      const fresh = setUp(undefined, [], { requests: first });
      fresh.recovery.begin(legacy([], 0, { isMissing: true }));
      await fresh.pass(15_000);
      assert.deepEqual(fresh.seen.unknown, []);
    });
  });

  test("a recovery that was stopped does nothing more", async () => {
    const { recovery, seen, pass, liveAt } = setUp(() => [row(1, 60)]);
    recovery.begin(legacy([stored(1)], liveAt - 2000));
    recovery.stop();
    await pass(1000);
    assert.deepEqual(seen.adopted, []);
    assert.deepEqual(seen.decisions, []);
  });
});
