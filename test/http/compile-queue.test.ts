import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CompileQueue } from "../../src/http/compile-queue.js";
import type { CompileWork } from "../../src/matching/compile-work.js";
import { FakeClock } from "../support/clock.js";

/** A request that costs 400,000 units: 80 % of a window. */
const costly = (name: string, done: string[]) => (work: CompileWork) => {
  work.spend("pattern", 400);
  done.push(name);
  return name;
};

describe("CompileQueue", () => {
  test("compiles at once while little was compiled, and the next requests one window after the other, in order", async () => {
    const clock = new FakeClock();
    const queue = new CompileQueue(clock);
    const done: string[] = [];
    const results = ["a", "b", "c", "d"].map((name) => queue.compile(costly(name, done)));
    assert.deepEqual(done, ["a", "b"]);
    clock.advance(20);
    assert.deepEqual(done, ["a", "b", "c"]);
    clock.advance(20);
    assert.deepEqual(done, ["a", "b", "c", "d"]);
    assert.deepEqual(await Promise.all(results), ["a", "b", "c", "d"]);
  });

  test("compiles at most 50 windows in a second", () => {
    const clock = new FakeClock();
    const queue = new CompileQueue(clock);
    const done: string[] = [];
    for (let ms = 0; ms < 1000; ms++) {
      void Promise.resolve(queue.compile(costly("x", done))).catch(() => {});
      clock.advance(1);
    }
    assert.ok(done.length * 400_000 <= 51 * 500_000 + 400_000, `${done.length} requests`);
    assert.ok(done.length > 50, `${done.length} requests`);
  });

  test("rejects requests above its queue limit, and accepts them again when the queue is empty", async () => {
    const clock = new FakeClock();
    const queue = new CompileQueue(clock);
    const done: string[] = [];
    const results = Array.from({ length: 252 }, () => queue.compile(costly("x", done)));
    await assert.rejects(async () => queue.compile(costly("late", done)), { code: "unavailable", message: /fix: / });
    clock.advance(20 * 252);
    await Promise.all(results);
    clock.advance(20);
    assert.equal(queue.compile(costly("again", done)), "again");
  });

  test("rejects only the request with the fault", async () => {
    const clock = new FakeClock();
    const queue = new CompileQueue(clock);
    const done: string[] = [];
    void queue.compile(costly("a", done));
    void queue.compile(costly("b", done));
    const failed = queue.compile((work) => work.spend("pattern", 100_000));
    const next = queue.compile(costly("c", done));
    const rejected = assert.rejects(async () => failed, { code: "too_large" });
    clock.advance(1000 * 20);
    clock.advance(1000 * 20);
    await rejected;
    assert.equal(await next, "c");
  });
});
