/** Work in turns of the event loop: how much of it in one, and whose. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type TickBudget, TickQueue, type TickWorker } from "../../src/zmq/tick-queue.js";

const turn = () => new Promise(setImmediate);

/** A source of `count` messages of `bytes` bytes; `done` is called for each. */
function worker(messages: number, bytes: number, done: () => void = () => {}): TickWorker & { readonly left: number } {
  let left = messages;
  return {
    get left() {
      return left;
    },
    get hasMore() {
      return left > 0;
    },
    work(budget: TickBudget): boolean {
      do {
        budget.messages--;
        if (left === 0) return false;
        budget.bytes -= bytes;
        left--;
        done();
      } while (budget.messages > 0 && budget.bytes > 0);
      return left > 0;
    },
  };
}

describe("TickQueue", () => {
  test("a little is done at once", () => {
    const turns = new TickQueue(() => 0);
    const one = worker(3, 10);
    turns.add(one);
    assert.equal(one.left, 0);
    assert.ok(!turns.hasBacklog);
  });

  test("has a backlog while a message waits, and none while the last one is handled", async () => {
    const queue = new TickQueue(() => 0);
    const seen: boolean[] = [];
    const see = () => seen.push(queue.hasBacklog);
    queue.add(worker(3, 10, see));
    assert.deepEqual(seen, [true, true, false]);
    queue.add(worker(2000, 0));
    assert.ok(queue.hasBacklog);
    seen.length = 0;
    queue.add(worker(1, 10, see));
    await turn();
    assert.deepEqual(seen, [true], "another worker has more");
  });

  test("a turn does 768 messages and no more, of all workers together, however small they are", async () => {
    const turns = new TickQueue(() => 0);
    let done = 0;
    const workers = Array.from({ length: 5 }, () => worker(1000, 0, () => done++));
    for (const it of workers) turns.add(it);
    assert.ok(done <= 768 && done > 750, `${done}`);
    for (let last = done; turns.hasBacklog; last = done) {
      await turn();
      assert.ok(done - last <= 768, `${done - last} in one turn`);
    }
    assert.equal(done, 5000);
  });

  test("a turn does 80 kB, and one message that is larger", async () => {
    const turns = new TickQueue(() => 0);
    const large = worker(4, 1_000_000);
    const medium = worker(100, 10_000);
    turns.add(large);
    turns.add(medium);
    assert.deepEqual([large.left, medium.left], [3, 100]);
    await turn();
    assert.deepEqual(
      [large.left, medium.left],
      [2, 96],
      "four of the new worker, which does not wait for the other one",
    );
    await turn();
    assert.deepEqual([large.left, medium.left], [2, 87], "then they take turns: nine times 10 kB");
    await turn();
    assert.deepEqual([large.left, medium.left], [1, 87]);
  });

  test("a worker with much work is served after those with a little", async () => {
    const queue = new TickQueue(() => 0);
    const order: string[] = [];
    queue.add(worker(800, 0));
    queue.addToBacklog(worker(1, 0, () => order.push("much")));
    queue.add(worker(1, 0, () => order.push("little")));
    await turn();
    assert.deepEqual(order, ["little", "much"]);
  });

  test("of connections that arrive two are taken in each turn, whatever others have to do, and all when nothing else is", async () => {
    const queue = new TickQueue(() => 0);
    const flood = worker(5000, 0);
    queue.add(flood);
    let arrivedCount = 0;
    for (let count = 0; count < 10; count++)
      queue.addArrival(
        worker(1, 0, () => {
          arrivedCount++;
        }),
      );
    assert.equal(arrivedCount, 0);
    await turn();
    assert.equal(arrivedCount, 2);
    await turn();
    assert.equal(arrivedCount, 4);
    while (flood.left > 0) await turn();
    await turn();
    assert.equal(arrivedCount, 10);
  });

  test("a turn ends after 5 ms, half of them for workers that had nothing before", async () => {
    let now = 0;
    const queue = new TickQueue(() => now);
    const slow = () => {
      now += 1;
    };
    const workers = Array.from({ length: 20 }, () => worker(1, 0, slow));
    const left = () => workers.filter((it) => it.left > 0).length;
    for (const it of workers) queue.add(it);
    assert.equal(left(), 15);
    await turn();
    assert.equal(left(), 10);
  });

  test("is crowded while more workers wait than a turn serves", () => {
    const queue = new TickQueue(() => 0);
    queue.isPaused = true;
    for (let count = 0; count < 12; count++) queue.add(worker(1, 0));
    assert.ok(!queue.isCrowded);
    queue.add(worker(1, 0));
    assert.ok(queue.isCrowded);
  });

  test("a worker that had nothing before is served in the next turn, whatever the others have", async () => {
    const turns = new TickQueue(() => 0);
    const floods = Array.from({ length: 100 }, () => worker(100_000, 2));
    for (const flood of floods) turns.add(flood);
    while (floods.some(({ left }) => left === 100_000)) await turn();
    const little = worker(1, 100);
    turns.add(little);
    await turn();
    assert.equal(little.left, 0);
  });

  test("sources that join again in every turn leave half of it to the others", async () => {
    const turns = new TickQueue(() => 0);
    const flood = worker(10_000, 2);
    turns.add(flood);
    for (let count = 0; count < 10; count++) {
      for (let fresh = 0; fresh < 100; fresh++) turns.add(worker(4, 2));
      const before = flood.left;
      await turn();
      assert.ok(before - flood.left >= 64, `${before - flood.left}`);
    }
  });

  test("a worker that throws keeps its place, and the others go on", async () => {
    const turns = new TickQueue(() => 0);
    let isBroken = true;
    const next = worker(1, 1);
    const after = worker(1, 1);
    const broken: TickWorker = {
      hasMore: false,
      work: (budget) => {
        if (!isBroken) return after.work(budget);
        isBroken = false;
        throw new Error("broken");
      },
    };
    assert.throws(() => turns.add(broken), /broken/);
    turns.add(next);
    assert.equal(next.left, 0);
    await turn();
    assert.equal(after.left, 0, "the one that threw, again");
  });

  test("while paused nobody works; then everybody does", async () => {
    const turns = new TickQueue(() => 0);
    const [first, second] = [worker(900, 0), worker(3, 0)];
    turns.add(first);
    turns.isPaused = true;
    turns.add(second);
    const left = first.left;
    assert.ok(left > 0);
    await turn();
    await turn();
    assert.deepEqual([first.left, second.left], [left, 3]);
    turns.isPaused = false;
    while (turns.hasBacklog) await turn();
    assert.deepEqual([first.left, second.left], [0, 0]);
    await turn();
    const third = worker(1, 0);
    turns.add(third);
    assert.equal(third.left, 0, "at once again");
  });
});
