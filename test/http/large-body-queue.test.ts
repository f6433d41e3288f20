import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LargeBodyQueue } from "../../src/http/large-body-queue.js";
import { FakeClock } from "../support/clock.js";

const LARGE_BYTES = 10_000;
const turn = () => new Promise(setImmediate);

function setUp() {
  const clock = new FakeClock();
  const queue = new LargeBodyQueue(clock);
  const done: string[] = [];
  /** A request whose work takes `ms`. */
  const request = (name: string, ms: number, bytes = LARGE_BYTES) =>
    queue.run(bytes, async () => {
      clock.advance(ms);
      done.push(name);
      return name;
    });
  return { queue, done, request };
}

describe("LargeBodyQueue", () => {
  test("begins no further body in a turn after 5 ms, and the others in later turns, in order", async () => {
    const { done, request } = setUp();
    const results = [request("a", 3), request("b", 3), request("c", 30), request("d", 1), request("e", 1)];
    assert.deepEqual(done, ["a", "b"]);
    await turn();
    assert.deepEqual(done, ["a", "b", "c"]);
    await turn();
    assert.deepEqual(done, ["a", "b", "c", "d", "e"]);
    assert.deepEqual(await Promise.all(results), ["a", "b", "c", "d", "e"]);
    await request("f", 30);
    assert.equal(done.at(-1), "f", "at once again");
  });

  test("small bodies are never queued", async () => {
    const { done, request } = setUp();
    void request("large", 30);
    void request("queued", 30);
    await request("small", 1, 4096);
    assert.deepEqual(done, ["large", "small"]);
    await turn();
    assert.deepEqual(done, ["large", "small", "queued"]);
  });

  test("passes errors on, and rejects requests when too many are queued", async () => {
    const { queue, request } = setUp();
    const broken = queue.run(LARGE_BYTES, () => Promise.reject(new Error("broken")));
    await assert.rejects(broken, /broken/);
    const results = Array.from({ length: 251 }, () => request("x", 30));
    await assert.rejects(request("late", 30), { code: "unavailable", message: /fix: / });
    await Promise.all(results);
  });
});
