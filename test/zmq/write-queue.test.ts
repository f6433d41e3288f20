/** Messages of one tick in one write. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WriteQueue } from "../../src/zmq/write-queue.js";
import { FakeNetSocket } from "../support/fake-net-socket.js";

/** A socket that records each write. */
class WriteLog extends FakeNetSocket {
  readonly writes: Buffer[] = [];

  override write(bytes: Buffer): boolean {
    this.writes.push(bytes);
    return super.write(bytes);
  }
}

function setUp() {
  const net = new WriteLog();
  return { net, queue: new WriteQueue(net.socket) };
}

const tick = () => new Promise<void>((resolve) => process.nextTick(resolve));

describe("WriteQueue", () => {
  test("writes all messages of a tick at once, in order, each as a frame of head and body", async () => {
    const { net, queue } = setUp();
    queue.push(Buffer.from("us "), Buffer.from("one"));
    queue.push(Buffer.from("us "), Buffer.from("two"));
    assert.equal(net.writes.length, 0, "nothing before the end of the tick");
    await tick();
    assert.deepEqual(
      net.writes.map((bytes) => bytes.toString("latin1")),
      ["\0\x06us one\0\x06us two"],
    );
    queue.push(Buffer.from("us "), Buffer.from("three"));
    await tick();
    assert.equal(net.writes.length, 2);
  });

  test("encodes a message of more than 255 bytes with a long size", async () => {
    const { net, queue } = setUp();
    queue.push(Buffer.alloc(100, "h"), Buffer.alloc(200, "b"));
    await tick();
    assert.equal(net.written.slice(0, 9), "\x02\0\0\0\0\0\0\x01\x2c");
    assert.equal(net.written.slice(9), "h".repeat(100) + "b".repeat(200));
  });

  test("writes at once at 128 kB", async () => {
    const { net, queue } = setUp();
    queue.push(Buffer.from("us "), Buffer.alloc(127_000));
    assert.equal(net.writes.length, 0);
    queue.push(Buffer.from("us "), Buffer.alloc(2000));
    assert.equal(net.writes.length, 1);
    await tick();
    assert.equal(net.writes.length, 1, "and not again at the end of the tick");
  });

  test("flush() writes at once, and nothing if the queue is empty", async () => {
    const { net, queue } = setUp();
    queue.flush();
    queue.push(Buffer.from("us "), Buffer.from("one"));
    queue.flush();
    assert.equal(net.writes.length, 1);
    await tick();
    assert.equal(net.writes.length, 1);
  });

  test("drops the messages if the socket is closed", async () => {
    const { net, queue } = setUp();
    queue.push(Buffer.from("us "), Buffer.from("one"));
    net.writable = false;
    await tick();
    net.writable = true;
    queue.flush();
    assert.equal(net.written, "");
  });
});
