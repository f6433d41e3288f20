import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { PreviousClients, StoredClient } from "../../../src/delivery/client-store.js";
import { UnreadableClientRecord } from "../../../src/storage/clients/client-files.js";
import { LmdbClientStore } from "../../../src/storage/clients/lmdb-client-store.js";
import { openClientStore } from "../../../src/storage/clients/open-client-store.js";
import { Conditions } from "../../../src/util/conditions.js";
import { FakeClock } from "../../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../../support/processes.js";

const client = (id: number, more: Partial<StoredClient> = {}): StoredClient => ({
  id,
  remote: "127.0.0.1",
  selectors: ["*"],
  since: 1,
  acknowledgedOffset: 5,
  coveredByServerFence: true,
  ...more,
});

function setUp(t: TestContext) {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const clock = new FakeClock();
  clock.advance(1_000_000);
  const failures: unknown[] = [];
  const wrote = (_file: string, error: unknown) => {
    if (error !== undefined) failures.push(error);
  };
  const unreadable = (error: unknown) => failures.push(error);
  const open = (epoch = "e1", boot = "b1") =>
    new LmdbClientStore({ folder, epoch, boot, clock, onWrite: wrote, onUnreadable: unreadable });
  /** The clients of "a" that a process leaves which is killed when this turn is over. */
  const left = async () => {
    await turn();
    const copy = temporaryDirectory();
    t.after(() => removeDirectory(copy));
    for (const file of ["clients.mdb", "clients.marks"]) cpSync(join(folder, file), join(copy, file));
    const next = new LmdbClientStore({
      folder: copy,
      epoch: "e1",
      boot: "b1",
      clock,
      onWrite: wrote,
      onUnreadable: unreadable,
    });
    const { clients } = next.previousClients("a");
    await next.close();
    return clients;
  };
  return { folder, clock, open, left, failures };
}

const NOTHING: PreviousClients = { clients: [], aliveAt: 0, cleanStop: false, isMissing: false };

const turn = () => new Promise(setImmediate);

describe("LmdbClientStore", () => {
  test("written() resolves when a client is on disk, without waiting for the interval of commits", async (t) => {
    const { open, left } = setUp(t);
    const store = open();
    t.after(() => store.close());
    const control = { name: "n", dialect: "0.x", pending: { notice: "{}" } } as const;
    store.put("a", client(1, { control }));
    await store.written();
    assert.deepEqual(await left(), [client(1, { control, acknowledgedOffset: 5 })]);
    await store.written();
  });

  test("reports a file that became shorter, which LMDB must not read", async (t) => {
    const { open, folder, failures } = setUp(t);
    const store = open();
    t.after(() => store.close());
    truncateSync(join(folder, "clients.mdb"), 0);
    store.put("a", client(1));
    await store.written().catch(() => {}); // the failure is also reported
    assert.match(String(failures[0]), /made shorter/);
  });

  test("the next process finds the clients; those that a fence covers have the acknowledged offset of their server", async (t) => {
    const { open } = setUp(t);
    const first = open();
    first.put("a", client(1));
    first.put(
      "a",
      client(2, { coveredByServerFence: false, acknowledgedOffset: 3, grants: ["exact\tx"], creditLimit: 1000 }),
    );
    first.put("a", client(3));
    first.put("b", client(1, { acknowledgedOffset: 9 }));
    first.remove("a", 3);
    first.fenced("a", 40);
    await first.close();
    const second = open();
    t.after(() => second.close());
    assert.deepEqual(second.previousClients("a").clients, [
      client(1, { acknowledgedOffset: 40 }),
      client(2, { coveredByServerFence: false, acknowledgedOffset: 3, grants: ["exact\tx"], creditLimit: 1000 }),
    ]);
    assert.deepEqual(second.previousClients("b").clients, [client(1, { acknowledgedOffset: 9 })]);
    assert.deepEqual(second.previousClients("c"), { ...NOTHING, isMissing: true });
  });

  // Else a client that had fallen behind would be taken to have seen what only the others have.
  test("a fenced position is never kept before what was said of clients earlier, nor where that cannot be", async (t) => {
    const { clock, open, left } = setUp(t);
    const store = open();
    const seen = async () => (await left()).map((it) => it.acknowledgedOffset);
    for (const id of [1, 2]) store.put("a", client(id, { acknowledgedOffset: 10 }));
    store.fenced("a", 20);
    assert.deepEqual(await seen(), [20, 20]);
    let isFull = true;
    const remote = { toJSON: () => (isFull ? assert.fail("no space left on device") : "127.0.0.1") };
    store.put(
      "a",
      client(1, { acknowledgedOffset: 20, coveredByServerFence: false, remote: remote as unknown as string }),
    );
    store.fenced("a", 77);
    assert.deepEqual(await seen(), [20, 20]);
    isFull = false;
    clock.advance(1000);
    store.fenced("a", 78);
    assert.deepEqual(await seen(), [20, 78], "there is room again");
    await store.close();
  });

  // In a storm of connects a transaction for each turn was a twentieth of the daemon's processor time.
  test("clients that come turn after turn are kept together, within 50 ms; a mark is not, and takes them along", async (t) => {
    const { clock, open, left } = setUp(t);
    const store = open();
    t.after(() => store.close());
    const kept = async () => (await left()).map(({ id }) => id);
    store.put("a", client(1));
    assert.deepEqual(await kept(), [1], "the first at the end of its turn");
    store.put("a", client(2));
    await turn();
    store.put("a", client(3));
    assert.deepEqual(await kept(), [1]);
    clock.advance(50);
    assert.deepEqual(await kept(), [1, 2, 3]);
    store.put("a", client(4));
    store.remove("a", 1);
    store.fenced("a", 9);
    assert.deepEqual(await kept(), [2, 3, 4], "with the mark");
  });

  test("a process trusts its record of a server until the link is lost", async (t) => {
    const { clock, open } = setUp(t);
    const store = open();
    store.markTrusted("a");
    store.markTrusted("b");
    clock.advance(10_000);
    store.markUntrusted("b");
    const lost = clock.monotonic();
    clock.advance(10_000);
    await store.close();
    const next = open();
    t.after(() => next.close());
    assert.equal(next.previousClients("a").aliveAt, clock.monotonic());
    assert.ok(next.previousClients("b").aliveAt <= lost);
  });

  // history.mdb was moved away, and every stream stayed open and silent.
  test("clients of another epoch of the history are kept, and have seen nothing of the present one", async (t) => {
    const { clock, open } = setUp(t);
    const first = open("e1");
    first.put("a", client(1));
    first.fenced("a", 40);
    first.markTrusted("a");
    await first.close();
    const second = open("e2");
    const { clients, aliveAt, isMissing } = second.previousClients("a");
    assert.deepEqual(clients, [client(1, { acknowledgedOffset: -1, coveredByServerFence: false })]);
    assert.equal(aliveAt, clock.monotonic());
    assert.equal(isMissing, false);
    second.put("a", client(2, { acknowledgedOffset: 3 }));
    await second.close();
    const third = open("e2");
    t.after(() => third.close());
    assert.deepEqual(third.previousClients("a").clients, [
      client(1, { acknowledgedOffset: -1, coveredByServerFence: false }),
      client(2, { acknowledgedOffset: 3 }),
    ]);
  });

  test("an epoch that ends while the process runs leaves the clients, without their positions", async (t) => {
    const { open } = setUp(t);
    const first = open("e1");
    first.put("a", client(1));
    first.fenced("a", 40);
    first.renew("e2");
    first.put("a", client(2, { acknowledgedOffset: 2 }));
    await first.close();
    const next = open("e2");
    t.after(() => next.close());
    assert.deepEqual(next.previousClients("a").clients, [
      client(1, { acknowledgedOffset: -1, coveredByServerFence: false }),
      client(2, { acknowledgedOffset: 2 }),
    ]);
  });

  test("clients of another boot of the machine are nobody's, and their record counts as missing", async (t) => {
    const { open } = setUp(t);
    const first = open("e1", "b1");
    first.put("a", client(1));
    first.markTrusted("a");
    await first.close();
    const second = open("e1", "b2");
    t.after(() => second.close());
    assert.deepEqual(second.previousClients("a"), { ...NOTHING, isMissing: true });
  });

  test("the record is missing where it was removed, and where it never was, but not after a run without clients", async (t) => {
    const { folder, open } = setUp(t);
    const first = open();
    assert.equal(first.previousClients("a").isMissing, true);
    first.markTrusted("a");
    await first.close();
    const second = open();
    assert.equal(second.previousClients("a").isMissing, false);
    assert.equal(second.previousClients("b").isMissing, true, "another server");
    await second.close();
    rmSync(join(folder, "clients.mdb"));
    const third = open();
    t.after(() => third.close());
    assert.equal(third.previousClients("a").isMissing, true);
  });

  test("a clean stop is known to the next process, and not to the one after it", async (t) => {
    const { open } = setUp(t);
    const first = open();
    first.stoppedCleanly("a");
    await first.close();
    const second = open();
    assert.equal(second.previousClients("a").cleanStop, true);
    assert.equal(second.previousClients("b").cleanStop, false);
    await second.close();
    const third = open();
    t.after(() => third.close());
    assert.equal(third.previousClients("a").cleanStop, false);
  });

  test("a folder that is removed while the process runs is made again, with all that is known", async (t) => {
    const { folder, clock, open, failures } = setUp(t);
    const store = open();
    store.put("a", client(1));
    store.markTrusted("a");
    store.requests("a").read(7);
    await turn();
    rmSync(folder, { recursive: true });
    store.put("a", client(2));
    await turn();
    clock.advance(2000);
    store.put("a", client(3));
    await store.close();
    const next = open();
    t.after(() => next.close());
    assert.deepEqual(
      next.previousClients("a").clients.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual([...(next.requests("a").previous?.unanswered ?? [])], [7]);
    assert.deepEqual(failures, []);
  });

  test("a stream counts as an unanswered request until its client is on disk, and its head sent for certain", async (t) => {
    const { clock, open } = setUp(t);
    const store = open();
    t.after(() => store.close());
    const requests = store.requests("a");
    requests.read(1);
    store.put("a", client(1));
    assert.equal(requests.has(1), true);
    await turn();
    assert.equal(requests.has(1), true);
    clock.advance(50);
    assert.equal(requests.has(1), false);
  });

  for (const [what, text] of [
    ["empty", ""],
    ["something else", '{"life": 7, "marks": 3}'],
    ["cut off", '{"life":"e1'],
  ] as const) {
    test(`marks that are ${what} are as good as none`, async (t) => {
      const { folder, open } = setUp(t);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "clients.marks"), text);
      const store = open();
      t.after(() => store.close());
      assert.deepEqual(store.previousClients("a"), { ...NOTHING, isMissing: true });
      store.fenced("a", 1);
    });
  }

  // Its streams were adopted with an unknown offset after an upgrade, and stayed open without an event.
  test("the record of an earlier development version is understood, and one of an unknown version is unreadable", async (t) => {
    const { open, failures } = setUp(t);
    const first = open();
    const { acknowledgedOffset: _, coveredByServerFence: __, ...rest } = client(1);
    first.put("a", { ...rest, seen: 7, settled: true, allowance: 1000 } as unknown as StoredClient);
    first.put("b", { ...rest, offset: 7 } as unknown as StoredClient);
    await first.close();
    const second = open();
    t.after(() => second.close());
    assert.deepEqual(second.previousClients("a").clients, [client(1, { acknowledgedOffset: 7, creditLimit: 1000 })]);
    const { clients, isMissing } = second.previousClients("b");
    assert.deepEqual([clients, isMissing], [[], true]);
    assert.ok(failures.at(-1) instanceof UnreadableClientRecord);
  });

  // LMDB would end the process with a signal, at each start again.
  test("a damaged store is not opened", async (t) => {
    const { folder, open } = setUp(t);
    const store = open();
    for (let id = 1; id <= 1000; id++) store.put("a", client(id));
    await store.close();
    const path = join(folder, "clients.mdb");
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, 4096 * 12)); // a fraction of what it uses
    assert.throws(() => open(), UnreadableClientRecord);
    writeFileSync(path, bytes);
    const again = open();
    t.after(() => again.close());
    assert.equal(again.previousClients("a").clients.length, 1000);
  });

  describe("Client record at the start", () => {
    const openReported = async (t: TestContext, folder: string) => {
      const clock = new FakeClock();
      const warnings: string[] = [];
      const conditions = new Conditions(clock, () => {});
      const warn = (warning: string) => warnings.push(warning);
      const store = await openClientStore({ folder, epoch: "e1", clock, conditions, warn });
      t.after(() => store.close());
      return { store, conditions, warnings };
    };

    test("one that cannot be read is set aside, and reported with what follows", async (t) => {
      const { folder } = setUp(t);
      const rubbish = Buffer.alloc(40_960, 7);
      writeFileSync(join(folder, "clients.mdb"), rubbish);
      const { store, conditions, warnings } = await openReported(t, folder);
      assert.deepEqual(readFileSync(join(folder, "clients.mdb.unreadable")), rubbish);
      assert.equal(store.previousClients("a").isMissing, true);
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? "",
        /cannot be read \(.+\): moved to .*clients\.mdb\.unreadable; streams of the last run are closed/,
      );
      assert.deepEqual(conditions.active, []);
    });

    test("where nothing can be written the daemon serves without one, and says so", async (t) => {
      const { folder } = setUp(t);
      const file = join(folder, "a file");
      writeFileSync(file, "");
      const { store, conditions } = await openReported(t, join(file, "data"));
      store.put("a", client(1));
      store.requests("a").read(1);
      assert.equal(store.previousClients("a").isMissing, true);
      assert.deepEqual(
        conditions.active.map(({ code }) => code),
        ["client_record_failing"],
      );
    });
  });
});
