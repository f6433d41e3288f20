import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventCounter, loadData } from "../../../src/cli/load/event-counter.js";
import { encodeEvent } from "../../../src/protocol/sse.js";

type Counted = readonly [sequence: number, sentAt: number] | "other" | "gap";

function counted(pieces: Iterable<Buffer>): Counted[] {
  const found: Counted[] = [];
  const counter = new EventCounter("a1", {
    event: (sequence, sentAt) => found.push(Number.isNaN(sequence) ? "other" : [sequence, sentAt]),
    gap: () => found.push("gap"),
  });
  for (const piece of pieces) counter.push(piece);
  return found;
}

const STREAM = Buffer.concat([
  Buffer.from(":m2push\nretry: 5000\n"),
  encodeEvent({ type: "m2push-open", id: "#e.0", data: "{}" }),
  encodeEvent({ id: "#e.1", data: loadData("a1", 0, 123_456_789_012, 100) }),
  encodeEvent({ id: "#e.2", data: "one\ntwo\nload a1 7 7 " }),
  encodeEvent({ id: "#e.3", data: loadData("b2", 1, 5, 64) }),
  Buffer.from(":\n"),
  encodeEvent({ type: "m2push-heartbeat", data: "15" }),
  encodeEvent({ type: "m2push-gap", id: "#e.9", data: "{}" }),
  Buffer.from(`event: x\r\ndata: ${loadData("a1", 12, 99, 5000)}\r\n\r\n`),
  encodeEvent({ type: "m2push", data: loadData("a1", 13, 7, 0) }),
]);
const EXPECTED: Counted[] = [[0, 123_456_789_012], "other", "other", "gap", [12, 99], [13, 7]];

describe("EventCounter", () => {
  test("counts events of this run with sequence and time, others, and gaps; the hub's own events are none", () => {
    assert.deepEqual(counted([STREAM]), EXPECTED);
  });

  test("gives the same for a stream that is cut at every byte", () => {
    assert.deepEqual(counted(Array.from(STREAM, (byte) => Buffer.of(byte))), EXPECTED);
    for (let at = 1; at < STREAM.length; at += 7)
      assert.deepEqual(counted([STREAM.subarray(0, at), STREAM.subarray(at)]), EXPECTED, `cut at ${at}`);
  });

  test("an event has the size that was asked for, and at least its marker", () => {
    assert.equal(loadData("a1", 1, 2, 100).length, 100);
    assert.equal(loadData("a1", 1, 2, 1), "load a1 1 2 ");
  });
});
