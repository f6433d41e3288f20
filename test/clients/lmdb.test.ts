import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LmdbClientStore } from "../../src/clients/lmdb.js";
import type { StoredClient } from "../../src/hub/ports.js";
import { FakeClock } from "../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const client = (id: number, more: Partial<StoredClient> = {}): StoredClient => ({
  id,
  remote: "127.0.0.1",
  selectors: ["*"],
  since: 1,
  seen: 5,
  settled: true,
  ...more,
});

function setUp(t: TestContext) {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const clock = new FakeClock();
  clock.advance(1_000_000);
  const open = (epoch = "e1") => new LmdbClientStore(folder, epoch, clock);
  /** The clients of "a" that a process leaves which is killed when this turn is over. */
  const left = async () => {
    await turn();
    const copy = temporaryDirectory();
    t.after(() => removeDirectory(copy));
    for (const file of ["clients.mdb", "clients.marks"]) cpSync(join(folder, file), join(copy, file));
    const next = new LmdbClientStore(copy, "e1", clock);
    const { clients } = next.legacy("a");
    await next.close();
    return clients;
  };
  return { folder, clock, open, left };
}

const turn = () => new Promise(setImmediate);

test("what was said of clients is there for the next process; a settled one has seen what its server has fenced", async (t) => {
  const { open } = setUp(t);
  const first = open();
  first.put("a", client(1));
  first.put("a", client(2, { settled: false, seen: 3, grants: ["exact\tx"], allowance: 1000 }));
  first.put("a", client(3));
  first.put("b", client(1, { seen: 9 }));
  first.remove("a", 3);
  first.fenced("a", 40);
  await first.close();
  const second = open();
  t.after(() => second.close());
  assert.deepEqual(second.legacy("a").clients, [
    client(1, { seen: 40 }),
    client(2, { settled: false, seen: 3, grants: ["exact\tx"], allowance: 1000 }),
  ]);
  assert.deepEqual(second.legacy("b").clients, [client(1, { seen: 9 })]);
  assert.deepEqual(second.legacy("c"), { clients: [], aliveAt: 0, cleanStop: false });
});

// Else a client that had fallen behind would be taken to have seen what only the others have.
test("a fenced position is never kept before what was said of clients earlier, nor where that cannot be", async (t) => {
  const { clock, open, left } = setUp(t);
  const store = open();
  const seen = async () => (await left()).map((it) => it.seen);
  for (const id of [1, 2]) store.put("a", client(id, { seen: 10 }));
  store.fenced("a", 20);
  assert.deepEqual(await seen(), [20, 20]);
  let isFull = true;
  const remote = { toJSON: () => (isFull ? assert.fail("no space left on device") : "127.0.0.1") };
  store.put("a", client(1, { seen: 20, settled: false, remote: remote as unknown as string }));
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

test("a process vouches for a server as long as it lives, and not after the link was lost", async (t) => {
  const { clock, open } = setUp(t);
  const store = open();
  store.vouch("a");
  store.vouch("b");
  clock.advance(10_000);
  store.doubt("b");
  const lost = clock.monotonic();
  clock.advance(10_000);
  await store.close();
  const next = open();
  t.after(() => next.close());
  assert.equal(next.legacy("a").aliveAt, clock.monotonic());
  assert.ok(next.legacy("b").aliveAt <= lost);
});

test("clients of another lifetime of the history are nobody's", async (t) => {
  const { open } = setUp(t);
  const first = open("e1");
  first.put("a", client(1));
  first.vouch("a");
  await first.close();
  const second = open("e2");
  t.after(() => second.close());
  assert.deepEqual(second.legacy("a"), { clients: [], aliveAt: 0, cleanStop: false });
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
    assert.deepEqual(store.legacy("a"), { clients: [], aliveAt: 0, cleanStop: false });
    store.fenced("a", 1);
  });
}

// LMDB would end the process with a signal, at each start again.
test("a damaged store is refused with words that say what to do", async (t) => {
  const { folder, open } = setUp(t);
  const store = open();
  for (let id = 1; id <= 1000; id++) store.put("a", client(id));
  await store.close();
  const path = join(folder, "clients.mdb");
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, 4096 * 12)); // a fraction of what it uses
  assert.throws(open, { code: "history.unusable", message: /cannot be read: .*; remove .*clients\.mdb/ });
  writeFileSync(path, bytes);
  const again = open();
  t.after(() => again.close());
  assert.equal(again.legacy("a").clients.length, 1000);
});

test("that a server was left cleanly is known to the next process, and to no later one", async (t) => {
  const { open } = setUp(t);
  const first = open();
  first.fenced("a", 7);
  first.stoppedCleanly("a");
  first.vouch("b");
  await first.close();
  const second = open();
  assert.deepEqual([second.legacy("a").cleanStop, second.legacy("b").cleanStop], [true, false]);
  assert.equal(second.legacy("a").cleanStop, true, "asked again");
  await second.close();
  const third = open();
  t.after(() => third.close());
  assert.equal(third.legacy("a").cleanStop, false);
});

test("that a server was left cleanly is gone from the disk as soon as the next process has opened the store", async (t) => {
  const { folder, clock, open } = setUp(t);
  const first = open();
  first.stoppedCleanly("a");
  await first.close();
  const second = open();
  t.after(() => second.close());
  const copy = temporaryDirectory();
  t.after(() => removeDirectory(copy));
  for (const file of ["clients.mdb", "clients.marks"]) cpSync(join(folder, file), join(copy, file));
  const afterKill = new LmdbClientStore(copy, "e1", clock);
  t.after(() => afterKill.close());
  assert.equal(afterKill.legacy("a").cleanStop, false);
});
