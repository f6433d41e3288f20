/** The wire protocol of ZeroMQ: bytes in any pieces, bytes that a real libzmq wrote, and bytes that nobody should send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  FrameReader,
  frameBytes,
  GREETING,
  GREETING_BYTES,
  isGreeting,
  pong,
  ready,
  typeIn,
  writeHead,
} from "../../src/protocol/zmtp.js";

/** A message in one part, as we write it; with `flags` what libzmq may. */
function framed(body: Buffer, flags = 0): Buffer {
  const frame = Buffer.alloc(frameBytes(body.length));
  body.copy(frame, writeHead(frame, 0, body.length, flags));
  return frame;
}

function read(pieces: readonly Buffer[], limit?: number): { isCommand: boolean; more: boolean; body: string }[] {
  const reader = new FrameReader(limit);
  const frames: { isCommand: boolean; more: boolean; body: string }[] = [];
  for (const piece of pieces) {
    reader.push(piece, ({ body, ...rest }) => frames.push({ ...rest, body: body.toString("latin1") }));
  }
  return frames;
}

/** The body of a frame. */
const bodyOf = (frame: Buffer): Buffer => Buffer.from(read([frame])[0]?.body ?? "", "latin1");

const message = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 250, maxLength: 260 }));

test("frames that are written are read again, in whatever pieces they come", () => {
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
        bodies.map((body) => ({ isCommand: false, more: false, body: Buffer.from(body).toString("latin1") })),
      );
    }),
  );
});

test("a frame that is larger than is taken is refused as soon as its size is known, and those before it are handed on", () => {
  const before = framed(Buffer.from("before"));
  const frames: string[] = [];
  const reader = new FrameReader(1000);
  const head = Buffer.alloc(9);
  writeHead(head, 0, 1001);
  const push = () => reader.push(Buffer.concat([before, head]), ({ body }) => frames.push(String(body)));
  assert.throws(push, { code: "limit.exceeded", message: /1001 bytes, at most 1000/ });
  assert.deepEqual(frames, ["before"]);
  assert.equal(read([framed(Buffer.alloc(1000))], 1000).length, 1);
});

// What libzmq 4.3.4 writes as a PUSH socket, and as a SUB socket that subscribes to "us ".
const LIBZMQ_GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from("NULL"),
  Buffer.alloc(48),
]);
const LIBZMQ_READY = Buffer.from("\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH", "latin1");

test("libzmq's greeting is one, and each of its beginnings can be", () => {
  assert.equal(LIBZMQ_GREETING.length, GREETING_BYTES);
  for (const greeting of [LIBZMQ_GREETING, GREETING]) {
    for (let end = 0; end <= GREETING_BYTES; end++) assert.ok(isGreeting(greeting.subarray(0, end)), `${end} bytes`);
  }
});

for (const [what, at, byte] of [
  ["text", 0, 0x47],
  ["ZMTP 1", 9, 0],
  ["ZMTP 2", 10, 1],
  ["another mechanism", 12, 0x50],
] as const) {
  test(`${what} is no greeting of ZMTP 3 with the mechanism NULL`, () => {
    const greeting = Buffer.from(LIBZMQ_GREETING);
    greeting[at] = byte;
    assert.ok(!isGreeting(greeting));
    assert.ok(!isGreeting(greeting.subarray(0, at + 1)), "and that is known at once");
  });
}

test("READY tells the type of the socket, wherever it stands among the properties, in any case", () => {
  assert.equal(typeIn(bodyOf(LIBZMQ_READY)), "PUSH");
  assert.equal(typeIn(bodyOf(ready("PULL"))), "PULL");
  assert.equal(typeIn(bodyOf(ready("PUB", "somebody"))), "PUB");
  assert.equal(typeIn(Buffer.from("\x05READY\x08Identity\0\0\0\x01x\x0bsocket-type\0\0\0\x03SUB", "latin1")), "SUB");
  assert.match(ready("PUB", "somebody").toString("latin1"), /Identity\0\0\0\x08somebody$/);
});

test("a command that is no READY, or a broken one, tells no type and breaks nothing", () => {
  const body = bodyOf(LIBZMQ_READY);
  for (let end = 0; end < body.length; end++) assert.equal(typeIn(body.subarray(0, end)), undefined, `${end} bytes`);
  assert.equal(typeIn(Buffer.from("\x05ERROR\x03why")), undefined);
  assert.equal(typeIn(Buffer.from("\x05READY\x0bSocket-Type\xff\xff\xff\xffPUSH", "latin1")), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      typeIn(Buffer.concat([Buffer.from("\x05READY"), bytes]));
    }),
  );
});

test("a PING is answered with what it asks to be said, and nothing else is", () => {
  assert.deepEqual(bodyOf(pong(Buffer.from("\x04PING\0\x0ahello")) ?? Buffer.alloc(0)), Buffer.from("\x04PONGhello"));
  assert.deepEqual(read([pong(Buffer.from("\x04PING\0\x0a")) ?? Buffer.alloc(0)]), [
    { isCommand: true, more: false, body: "\x04PONG" },
  ]);
  for (const other of ["", "\x04PONGx", "\x05READY", "\x04PIN"]) assert.equal(pong(Buffer.from(other)), undefined);
});

test("any bytes are frames, or the beginning of one, or too large", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (pieces) => {
      try {
        read(
          pieces.map((piece) => Buffer.from(piece)),
          10_000,
        );
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }),
  );
});
