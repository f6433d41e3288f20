/** Frames of ZeroMQ's wire protocol: bytes in any pieces, and bytes that nobody should send. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import { FrameReader } from "../../src/protocol/frame-reader.js";
import { frameBytes, writeFrameHead } from "../../src/protocol/zmtp.js";

/** A message in one part, as we write it; with `flags` what libzmq may. */
function framed(body: Buffer, flags = 0): Buffer {
  const frame = Buffer.alloc(frameBytes(body.length));
  body.copy(frame, writeFrameHead(frame, 0, body.length, flags));
  return frame;
}

interface Read {
  readonly isCommand: boolean;
  readonly more: boolean;
  readonly isTruncated: boolean;
  readonly body: string;
}

function read(pieces: readonly Buffer[], reader = new FrameReader()): Read[] {
  const frames: Read[] = [];
  for (const piece of pieces) {
    reader.feed(piece);
    for (let frame = reader.next(); frame; frame = reader.next()) {
      frames.push({ ...frame, body: frame.body.toString("latin1") });
    }
  }
  return frames;
}

const message = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 250, maxLength: 260 }));

describe("FrameReader", () => {
  test("reads written frames in pieces of any size", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), fc.array(fc.nat({ max: 400 })), (bodies, cuts) => {
        const whole = Buffer.concat(bodies.map((body) => framed(Buffer.from(body))));
        const pieces: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(whole.subarray(at, at + cut));
          at += cut;
        }
        pieces.push(whole.subarray(at));
        assert.deepEqual(
          read(pieces),
          bodies.map((body) => ({
            isCommand: false,
            more: false,
            isTruncated: false,
            body: Buffer.from(body).toString("latin1"),
          })),
        );
      }),
    );
  });

  /** What comes of a stream: the frames, and the error that ends it; the same wherever it is cut in two, and byte by byte. */
  function outcome(stream: Buffer, make: () => FrameReader): { bodies: string[]; error: string } {
    const of = (pieces: readonly Buffer[]) => {
      const bodies: string[] = [];
      const reader = make();
      try {
        for (const piece of pieces) {
          reader.feed(piece);
          for (let frame = reader.next(); frame; frame = reader.next()) {
            bodies.push(`${frame.isTruncated ? "begins " : ""}${frame.body}`);
          }
        }
        return { bodies, error: "" };
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
        return { bodies, error: `${error.code}: ${error.message}` };
      }
    };
    const whole = of([stream]);
    for (let cut = 1; cut < stream.length; cut++) {
      assert.deepEqual(of([stream.subarray(0, cut), stream.subarray(cut)]), whole, `cut at ${cut}`);
    }
    assert.deepEqual(of([...stream].map((byte) => Buffer.from([byte]))), whole, "byte by byte");
    return whole;
  }

  function head(bytes: number, flags = 0): Buffer {
    const nine = Buffer.alloc(9);
    return nine.subarray(0, writeFrameHead(nine, 0, bytes, flags));
  }

  test("a frame that is larger than is taken is refused as soon as its size is known, and those before it are handed on", () => {
    const stream = Buffer.concat([framed(Buffer.from("before")), head(1001)]);
    assert.deepEqual(
      outcome(stream, () => new FrameReader(1000)),
      { bodies: ["before"], error: "too_large: a frame has 1001 bytes, the limit is 1000" },
    );
    assert.equal(read([framed(Buffer.alloc(1000))], new FrameReader(1000)).length, 1);
  });

  test("limits a command to 1024 bytes, whatever the limit of messages is", () => {
    const stream = Buffer.concat([framed(Buffer.alloc(1024, "x"), 4), head(1025, 4)]);
    const { bodies, error } = outcome(stream, () => new FrameReader(1_000_000, 100));
    assert.equal(bodies.length, 1);
    assert.equal(error, "too_large: a frame has 1025 bytes, the limit is 1024");
  });

  test("rejects reserved flags, and a command of several frames", () => {
    for (const flags of [5, 7, 8, 0x10, 0x20, 0x40, 0x80, 0xff]) {
      const stream = Buffer.concat([framed(Buffer.from("before")), Buffer.from([flags, 1, 0])]);
      const { bodies, error } = outcome(stream, () => new FrameReader());
      assert.deepEqual(bodies, ["before"]);
      assert.match(error, new RegExp(`flags 0x${flags.toString(16).padStart(2, "0")}`));
    }
    for (const flags of [0, 1, 4]) assert.equal(read([framed(Buffer.from("x"), flags)]).length, 1);
  });

  test("where no message may come the first one ends the stream, whatever its size", () => {
    for (const message of [Buffer.alloc(0), Buffer.alloc(300)]) {
      const { error } = outcome(framed(message), () => new FrameReader(-1, 100));
      assert.match(error, /sent a message before READY/);
    }
  });

  test("of a frame that is larger than is taken the beginning is handed on and the rest skipped, where that is wanted", () => {
    const large = Buffer.alloc(600, "abcdefghij");
    const stream = Buffer.concat([framed(Buffer.from("1")), framed(large), framed(large), framed(Buffer.from("2"))]);
    assert.deepEqual(
      outcome(stream, () => new FrameReader(500, 12)),
      { bodies: ["1", "begins abcdefghijab", "begins abcdefghijab", "2"], error: "" },
    );
  });

  test("an unfinished frame takes memory for what has come, not for what was announced or was read with it", () => {
    const reader = new FrameReader(20_000_000);
    read([Buffer.concat([framed(Buffer.alloc(60_000)), head(15_000_000), Buffer.from("x")])], reader);
    assert.ok(reader.heldBytes > 10 && reader.heldBytes < 6000, `${reader.heldBytes}`);
    for (let count = 0; count < 20_000; count++) read([Buffer.from("x")], reader);
    assert.ok(reader.heldBytes > 20_000 && reader.heldBytes < 60_000, `${reader.heldBytes} for 20,001 bytes`);
    reader.clear();
    assert.equal(reader.heldBytes, 0);
  });

  test("a truncated frame takes memory for its beginning alone", () => {
    const reader = new FrameReader(500, 12);
    const pieces = Array.from({ length: 100 }, () => Buffer.alloc(1000));
    assert.equal(read([head(100_000), ...pieces], reader).length, 1);
    assert.equal(reader.heldBytes, 0);
  });

  test("any bytes are frames, or the beginning of one, or too large", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (pieces) => {
        try {
          read(
            pieces.map((piece) => Buffer.from(piece)),
            new FrameReader(10_000),
          );
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
    );
  });
});
