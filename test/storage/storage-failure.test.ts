/** A history whose file can no longer be written, as those who publish and those who listen see it. */
import assert from "node:assert/strict";
import { mkdirSync, rmdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { LocalBus } from "../../src/cluster/local-bus.js";
import { Hub } from "../../src/hub/hub.js";
import { EVERYTHING_PUBLIC } from "../../src/matching/interest.js";
import { lockFolder } from "../../src/storage/folder-lock.js";
import type { EventBlock } from "../../src/storage/lmdb/block.js";
import { LmdbHistory, openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { LmdbStore, type LmdbStoreOptions } from "../../src/storage/lmdb/lmdb-store.js";
import { StorageFailure, storageConditions } from "../../src/storage/storage-failure.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { Conditions } from "../../src/util/conditions.js";
import { publication } from "../contract/history.js";
import { FakeClock } from "../support/clock.js";
import { MapStore, openStream } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const full = () => Object.assign(new Error("No space left on device: Attempting to write page at 7"), { code: 28 });

/** A store that cannot write while a test says so. */
class FailingStore extends LmdbStore {
  isFailing = false;
  probes = 0;
  override add(blocks: readonly EventBlock[]): readonly string[] {
    if (this.isFailing) throw full();
    return super.add(blocks);
  }
  override probe(pages: number): void {
    this.probes++;
    if (this.isFailing) throw full();
    super.probe(pages);
  }
  override trim(most: number): number {
    if (this.isFailing) throw full();
    return super.trim(most);
  }
  override async close(last: number): Promise<void> {
    await super.close(last);
    if (this.isFailing) throw full();
  }
}

async function opened(t: TestContext, durability: LmdbStoreOptions["durability"] = "commit") {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const clock = new FakeClock();
  const problems: string[] = [];
  const conditions = new Conditions(clock, ({ type, condition: { code, message, fix, details } }) =>
    problems.push(
      type === "conditionBegan" ? `began ${code}: ${message}; fix: ${fix}; ${details?.publications}` : `ended ${code}`,
    ),
  );
  const observer = storageConditions(conditions, durability === "memory");
  const options = { maxEvents: 1e6, maxAge: 1e15, maxBytes: 1e9, durability, path: "/data", observer };
  const store = new FailingStore(join(folder, "history.mdb"), options, clock);
  const history = new LmdbHistory(store, options, clock, await lockFolder(folder, clock, 0));
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= history.close();
    return closed;
  };
  t.after(close);
  const hub = new Hub({
    bus: new LocalBus(history, clock),
    history,
    clients: new MapStore(),
    observe: () => {},
    presenceListener: { joined() {}, adopted() {}, changed() {}, left() {} },
    clock,
    base: "http://hub.example/.well-known/mercure",
    random: () => 0.5,
  });
  await hub.start();
  const servers = ["one", "two"].map((name) => {
    const outlet = new RecordingOutlet(clock, 128);
    const server = hub.serveMongrel2(name, outlet, { keepalive: 45_000, heartbeat: 15_000 });
    server.start();
    return { server, outlet };
  });
  const connect = (id: number, lastEventId?: string) => {
    for (const { server } of servers) {
      openStream(hub, server, { id, remote: "::1", interest: EVERYTHING_PUBLIC, lastEventId });
    }
  };
  const publish = (data: string) => hub.publish({ topics: ["t"], data, private: false });
  const events = (id: number) =>
    servers.map(({ outlet }) => {
      outlet.acknowledgeAll();
      return outlet.events(id);
    });
  return { clock, problems, store, history, close, connect, publish, events };
}

const { message, fix } = conditionTexts.storageFailing(
  "No space left on device",
  "free space on the file system of /data",
);
const BEGAN = `began storage_failing: ${message}; fix: ${fix}`;

describe("A history that cannot be written", () => {
  for (const underway of [false, true]) {
    test(`rejects a publication ${underway ? "behind a flush that is under way" : "that would be sent at once"}, and nobody gets it`, async (t) => {
      const { store, connect, publish, events, problems } = await opened(t);
      connect(1);
      if (!underway) events(1);
      await publish("before");
      if (!underway) events(1);
      store.isFailing = true;
      await assert.rejects(publish("rejected"), StorageFailure);
      assert.deepEqual(events(1), [["before"], ["before"]]);
      assert.deepEqual(problems, [`${BEGAN}; rejected`]);
    });
  }

  test("gives a client that comes back what was stored, and nothing that was rejected", async (t) => {
    const { clock, store, history, connect, publish, events } = await opened(t);
    await publish("1");
    store.isFailing = true;
    const rejected = await Promise.allSettled([publish("2"), publish("3")]);
    assert.deepEqual(
      rejected.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    connect(1, "earliest");
    assert.deepEqual(events(1), [["1"], ["1"]]);
    store.isFailing = false;
    clock.advance(1000);
    const { id } = await publish("4");
    assert.deepEqual(events(1), [
      ["1", "4"],
      ["1", "4"],
    ]);
    connect(2, `#${history.epoch}.1`);
    assert.deepEqual(events(2), [["4"], ["4"]]);
    assert.equal(history.find(id), history.last);
  });

  test("gives out no offsets while it rejects, however long", async (t) => {
    const { store, history, publish } = await opened(t);
    await publish("1");
    store.isFailing = true;
    await assert.rejects(publish("2"));
    const { last } = history;
    for (let event = 0; event < 100; event++) await assert.rejects(publish("x"), { code: "storage_failed" });
    assert.equal(history.last, last);
  });

  test("finds by itself, each second, that it can be written again", async (t) => {
    const { clock, store, publish, problems } = await opened(t);
    store.isFailing = true;
    await assert.rejects(publish("1"));
    const { probes } = store;
    clock.advance(5000);
    assert.equal(store.probes - probes, 5);
    store.isFailing = false;
    clock.advance(1000);
    assert.deepEqual(problems.at(-1), "ended storage_failing");
    await publish("2");
    clock.advance(5000);
    assert.equal(store.probes - probes, 6);
  });

  test("tells of old events that cannot be removed, and of an end that cannot be written down", async (t) => {
    const { clock, store, close, problems } = await opened(t);
    store.isFailing = true;
    clock.advance(1000);
    assert.deepEqual(problems, [`${BEGAN}; rejected`]);
    store.isFailing = false;
    clock.advance(1000);
    store.isFailing = true;
    await close();
    assert.deepEqual(problems.slice(1), ["ended storage_failing", `${BEGAN}; rejected`]);
  });

  test('accepts and sends with durability "memory", and says so', async (t) => {
    const { clock, store, connect, publish, events, problems } = await opened(t, "memory");
    connect(1);
    store.isFailing = true;
    await publish("1");
    await publish("2");
    assert.deepEqual(events(1), [
      ["1", "2"],
      ["1", "2"],
    ]);
    assert.deepEqual(problems, [`${BEGAN}; accepted`]);
    store.isFailing = false;
    clock.advance(1000);
    await publish("3");
    assert.deepEqual(events(1), [
      ["1", "2", "3"],
      ["1", "2", "3"],
    ]);
  });
});

describe("A history whose file is made shorter under the running daemon", () => {
  // The kernel ended the process with SIGBUS at the next look at the file, which trimming takes each second.
  test("is told, and not looked at any more: the process goes on", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const clock = new FakeClock();
    const problems: string[] = [];
    const conditions = new Conditions(clock, ({ type, condition: { code, message, fix } }) =>
      problems.push(type === "conditionBegan" ? `${message}; fix: ${fix}` : `ended ${code}`),
    );
    const observer = storageConditions(conditions, false);
    const bounds = { maxEvents: 10, maxAge: 1e15, maxBytes: 1e9 };
    const history = await openLmdbHistory({ ...bounds, durability: "commit", path: folder, observer }, clock);
    const append = (offset: number) => history.append(publication(history, offset, { id: `own ${offset}` }));
    for (let offset = 1; offset <= 500; offset++) await append(offset);
    truncateSync(join(folder, "history.mdb"), 0);
    clock.advance(3000);
    const said = /^publications cannot be stored: the file was made shorter .*; fix: start the daemon again/;
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", said);
    assert.throws(() => append(501), StorageFailure);
    assert.throws(() => history.find("own 1"), /made shorter/);
    await history.close();
    await assert.rejects(openLmdbHistory({ ...bounds, durability: "commit", path: folder }, clock), {
      code: "storage_unusable",
    });
  });

  test("rejects a publication that comes before it is noticed", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const bounds = { maxEvents: 10, maxAge: 1e15, maxBytes: 1e9 };
    const observer = { storageFailed() {}, storageRecovered() {} };
    const clock = new FakeClock();
    const history = await openLmdbHistory({ ...bounds, durability: "commit", path: folder, observer }, clock);
    await history.append(publication(history, 1));
    truncateSync(join(folder, "history.mdb"), 0);
    await assert.rejects(async () => history.append(publication(history, 2)), /made shorter/);
    await history.close();
  });
});

describe("The lock of a data folder", () => {
  test("is held where the pid file cannot be written, with a warning", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    mkdirSync(join(folder, "daemon.pid"));
    const clock = new FakeClock();
    const lock = await lockFolder(folder, clock, 0);
    assert.match(lock.warning ?? "", /^the pid file cannot be written: .*SIGTERM/);
    await assert.rejects(lockFolder(folder, clock, 0), { code: "storage_unusable" });
    rmdirSync(join(folder, "daemon.pid"));
    await lock.release();
  });
});

describe("StorageFailure", () => {
  for (const [code, fix] of [
    ["ENOSPC", /^free space on the file system of \/data$/],
    ["EDQUOT", /quota/],
    ["EFBIG", /LimitFSIZE/],
    ["EROFS", /writable/],
    ["EIO", /disk/],
    [30, /writable/],
    ["MDB_MAP_FULL", /dmesg/],
  ] as const) {
    test(`says what to do about ${code}`, () => {
      assert.match(new StorageFailure(Object.assign(new Error("x"), { code }), "/data").fix, fix);
    });
  }
});
