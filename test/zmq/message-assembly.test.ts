/** The parts of a message until its last one: limits, and the memory that they retain. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MessageAssembly } from "../../src/zmq/message-assembly.js";

/** Memory of a Buffer object in addition to its bytes. */
const OVERHEAD_BYTES = 400;

describe("MessageAssembly", () => {
  test("returns the parts in order, and is empty for the next message", () => {
    const assembly = new MessageAssembly(100);
    assert.ok(assembly.isEmpty);
    assembly.add(Buffer.from("topic"));
    assembly.add(Buffer.from("data"));
    assert.ok(!assembly.isEmpty);
    assert.deepEqual(assembly.take().map(String), ["topic", "data"]);
    assert.ok(assembly.isEmpty);
    assert.equal(assembly.heldBytes, 0);
    assert.deepEqual(assembly.take(), []);
  });

  test("allows exactly the limit of bytes, over all parts", () => {
    const assembly = new MessageAssembly(10);
    assembly.add(Buffer.alloc(4));
    assembly.add(Buffer.alloc(6));
    assert.throws(() => assembly.add(Buffer.alloc(1)), {
      code: "too_large",
      message: "a message has more than 10 bytes or 100 parts",
    });
  });

  test("allows 100 parts, also empty ones", () => {
    const assembly = new MessageAssembly(10);
    for (let part = 0; part < 100; part++) assembly.add(Buffer.alloc(0));
    assert.throws(() => assembly.add(Buffer.alloc(0)), { code: "too_large" });
  });

  test("starts the limits again with each message", () => {
    const assembly = new MessageAssembly(10);
    for (let message = 0; message < 3; message++) {
      assembly.add(Buffer.alloc(10));
      assert.equal(assembly.take().length, 1);
    }
  });

  test("counts the bytes of its parts and their objects", () => {
    const assembly = new MessageAssembly(100);
    assembly.add(Buffer.alloc(3));
    assembly.add(Buffer.alloc(4));
    assert.equal(assembly.heldBytes, 7 + 2 * OVERHEAD_BYTES);
  });

  test("copyParts() copies parts out of a large read, once", () => {
    const assembly = new MessageAssembly(100_000);
    const read = Buffer.alloc(65_536, "x");
    assembly.add(read.subarray(10, 15));
    assembly.copyParts();
    assembly.add(read.subarray(20, 23));
    assembly.copyParts();
    assembly.copyParts();
    const parts = assembly.take();
    assert.deepEqual(parts.map(String), ["xxxxx", "xxx"]);
    assert.deepEqual(
      parts.map(({ buffer }) => buffer.byteLength),
      [5, 3],
    );
  });

  test("copyParts() keeps a part that shares its memory with no more than its frame head", () => {
    const assembly = new MessageAssembly(100);
    const part = Buffer.allocUnsafeSlow(29).subarray(9);
    assembly.add(part);
    assembly.copyParts();
    assert.equal(assembly.take()[0], part);
  });
});
