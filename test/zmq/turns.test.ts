/** Work in turns of the event loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "../../src/zmq/turns.js";

const turn = () => new Promise(setImmediate);

test("the first piece is done at once, the others one in each turn, in their order", async () => {
  const turns = new Turns(1000, () => {});
  const done: string[] = [];
  const add = (name: string) => turns.add(1, () => done.push(name));
  for (const name of ["a", "b", "c"]) add(name);
  assert.deepEqual(done, ["a"]);
  assert.ok(turns.isBehind);
  await turn();
  assert.deepEqual(done, ["a", "b"]);
  add("d");
  await turn();
  assert.deepEqual(done, ["a", "b", "c"]);
  await turn();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  assert.ok(!turns.isBehind);
  await turn();
  add("e");
  assert.deepEqual(done.at(-1), "e", "after a rest at once again");
});

test("what waits beyond the most is told, and when less than half of it does", async () => {
  const told: boolean[] = [];
  const turns = new Turns(100, (isFull) => told.push(isFull));
  for (let count = 0; count < 4; count++) turns.add(40, () => {});
  assert.deepEqual(told, [true], "120 bytes wait: the first piece does not");
  await turn();
  assert.deepEqual(told, [true]);
  await turn();
  assert.deepEqual(told, [true, false]);
});

test("a piece that fails does not take the others with it", async () => {
  const turns = new Turns(100, () => {});
  const done: string[] = [];
  assert.throws(() =>
    turns.add(1, () => {
      throw new Error("broken");
    }),
  );
  turns.add(1, () => done.push("next"));
  await turn();
  assert.deepEqual(done, ["next"]);
});

test("thousands of pieces keep their order", async () => {
  const turns = new Turns(1_000_000, () => {});
  const done: number[] = [];
  for (let count = 0; count < 5000; count++) turns.add(1, () => done.push(count));
  while (turns.isBehind) await turn();
  assert.deepEqual(
    done,
    Array.from({ length: 5000 }, (_, count) => count),
  );
});

test("while paused nothing is worked on; then all of it, in its order", async () => {
  const turns = new Turns(1000, () => {});
  const done: string[] = [];
  const add = (name: string) => turns.add(1, () => done.push(name));
  add("a");
  add("b");
  turns.isPaused = true;
  add("c");
  await turn();
  add("d");
  await turn();
  assert.deepEqual(done, ["a"]);
  turns.isPaused = false;
  while (turns.isBehind) await turn();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  await turn();
  add("e");
  assert.equal(done.at(-1), "e", "at once again");
});
