/** Chunks of a socket that wait to be handled, and the pause of the socket above a limit. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ReadQueue } from "../../src/zmq/read-queue.js";
import { FakeNetSocket } from "../support/fake-net-socket.js";

/** Memory of a chunk in addition to its bytes. */
const OVERHEAD_BYTES = 400;

function setUp() {
  const net = new FakeNetSocket();
  return { net, queue: new ReadQueue(net.socket) };
}

describe("ReadQueue", () => {
  test("returns the chunks in order", () => {
    const { queue } = setUp();
    for (const chunk of ["a", "b"]) queue.push(Buffer.from(chunk));
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift()].map(String), ["a", "b", "undefined"]);
  });

  test("pauses the socket above the limit, and resumes it at half of it", () => {
    const { net, queue } = setUp();
    const limit = 4 * (OVERHEAD_BYTES + 100);
    for (let chunk = 0; chunk < 4; chunk++) queue.push(Buffer.alloc(100));
    queue.adjust(limit);
    assert.ok(!net.isPaused, "exactly the limit");
    queue.push(Buffer.alloc(0));
    queue.adjust(limit);
    assert.ok(net.isPaused);
    const states: boolean[] = [];
    while (queue.shift()) {
      queue.adjust(limit);
      states.push(net.isPaused);
    }
    // The chunk that was taken last still counts: it is being handled.
    assert.deepEqual(states, [true, true, true, false, false]);
  });

  test("pauses the socket above 1000 chunks, however small they are", () => {
    const { net, queue } = setUp();
    for (let chunk = 0; chunk < 1000; chunk++) queue.push(Buffer.alloc(0));
    queue.adjust(Number.POSITIVE_INFINITY);
    assert.ok(!net.isPaused);
    queue.push(Buffer.alloc(0));
    queue.adjust(Number.POSITIVE_INFINITY);
    assert.ok(net.isPaused);
  });

  test("resume() reads on above the limit, until the next adjustment", () => {
    const { net, queue } = setUp();
    queue.push(Buffer.alloc(1000));
    queue.adjust(10);
    assert.ok(net.isPaused);
    queue.resume();
    assert.ok(!net.isPaused);
    queue.adjust(10);
    assert.ok(net.isPaused);
  });

  test("clear() drops the chunks and their bytes", () => {
    const { net, queue } = setUp();
    queue.push(Buffer.alloc(1000));
    queue.adjust(10);
    queue.clear();
    queue.adjust(10);
    assert.ok(!net.isPaused);
    assert.equal(queue.shift(), undefined);
  });
});
