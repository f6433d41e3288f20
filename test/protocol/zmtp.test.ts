/** Greetings and commands of ZeroMQ's wire protocol: those that a real libzmq wrote, and those that nobody should send. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  errorReason,
  GREETING,
  GREETING_BYTES,
  greetingFault,
  parseCommand,
  pongFrame,
  readyFrame,
  socketTypeOf,
  supportsPing,
} from "../../src/protocol/zmtp.js";

/** The body of a short frame. */
const bodyOf = (frame: Buffer): Buffer => frame.subarray(2);

// What libzmq 4.3.4 writes as a PUSH socket, and as a SUB socket that subscribes to "us ".
const LIBZMQ_GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from("NULL"),
  Buffer.alloc(48),
]);
const LIBZMQ_READY = Buffer.from("\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH", "latin1");

describe("ZMTP", () => {
  test("libzmq's greeting is one, and each of its beginnings can be", () => {
    assert.equal(LIBZMQ_GREETING.length, GREETING_BYTES);
    for (const greeting of [LIBZMQ_GREETING, GREETING]) {
      for (let end = 0; end <= GREETING_BYTES; end++) {
        assert.equal(greetingFault(greeting.subarray(0, end)), undefined, `${end} bytes`);
      }
    }
  });

  const withMechanism = (name: string) => `${LIBZMQ_GREETING.toString("latin1", 0, 12)}${name.padEnd(20, "\0")}`;

  /** `known`: bytes after which it is known. */
  for (const [what, bytes, known, fault] of [
    ["text", "GET / HTTP/1.1", 2, /does not speak ZeroMQ; fix: /],
    ["zeros", "\0\0\0\0", 2, /does not speak ZeroMQ; fix: /],
    ["ZMTP 1 without an identity", "\x01\0", 2, /ZMTP 1 \(ZeroMQ 2\); fix: use ZeroMQ 4/],
    ["ZMTP 1 with an identity", "\x05\0abcd", 2, /ZMTP 1 \(ZeroMQ 2\); fix: use ZeroMQ 4/],
    ["no signature", "\xff\0\0\0\0\0\0\0\x01\0", 10, /does not speak ZeroMQ; fix: /],
    ["ZMTP 2", "\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08", 11, /ZMTP 2 \(ZeroMQ 3\); fix: use ZeroMQ 4/],
    ["CURVE", withMechanism("CURVE"), 32, /mechanism CURVE.*fix: remove the CURVE keys/],
    ["PLAIN", withMechanism("PLAIN"), 32, /mechanism PLAIN.*fix: remove the user name and the password/],
    ["GSSAPI", withMechanism("GSSAPI"), 32, /mechanism GSSAPI.*fix: set the security mechanism NULL/],
    ["an escape sequence", withMechanism("\x1b[31m\\"), 32, /mechanism \\x1b\[31m\\x5c,/],
  ] as const) {
    test(`a greeting with ${what} is named, with the fix, after the same number of bytes however it is cut`, () => {
      const greeting = Buffer.concat([Buffer.from(bytes, "latin1"), Buffer.alloc(64)]).subarray(0, 64);
      for (let end = 0; end < known; end++) assert.equal(greetingFault(greeting.subarray(0, end)), undefined);
      for (let end = known; end <= 64; end++) assert.match(greetingFault(greeting.subarray(0, end)) ?? "", fault);
    });
  }

  test("PING is for peers of ZMTP 3.1 or later", () => {
    const greeting = (version: string) => Buffer.concat([GREETING.subarray(0, 10), Buffer.from(version)]);
    for (const version of ["\x03\x01", "\x03\x02", "\x04\0"]) assert.ok(supportsPing(greeting(version)));
    assert.ok(!supportsPing(greeting("\x03\0")));
  });

  test("reads the type of the socket from READY, at any place among the properties and in any case", () => {
    assert.equal(socketTypeOf(bodyOf(LIBZMQ_READY)), "PUSH");
    assert.equal(socketTypeOf(bodyOf(readyFrame("PULL"))), "PULL");
    assert.equal(socketTypeOf(bodyOf(readyFrame("PUB", "somebody"))), "PUB");
    assert.equal(
      socketTypeOf(Buffer.from("\x05READY\x08Identity\0\0\0\x01x\x0bsocket-type\0\0\0\x03SUB", "latin1")),
      "SUB",
    );
    assert.match(readyFrame("PUB", "somebody").toString("latin1"), /Identity\0\0\0\x08somebody$/);
  });

  test("reads no type from another or a malformed command", () => {
    const body = bodyOf(LIBZMQ_READY);
    for (let end = 0; end < body.length; end++)
      assert.equal(socketTypeOf(body.subarray(0, end)), undefined, `${end} bytes`);
    assert.equal(socketTypeOf(Buffer.from("\x05ERROR\x03why")), undefined);
    assert.equal(socketTypeOf(Buffer.from("\x05READY\x0bSocket-Type\xff\xff\xff\xffPUSH", "latin1")), undefined);
    const twice = (type: string) => Buffer.concat([body, Buffer.from(`\x0bSocket-Type\0\0\0\x04${type}`)]);
    assert.equal(socketTypeOf(twice("PUSH")), "PUSH");
    assert.equal(socketTypeOf(twice("PULL")), undefined);
    for (const more of ["\0", "\x01x", "\x01x\0\0\0\x02y"])
      assert.equal(socketTypeOf(Buffer.concat([body, Buffer.from(more)])), undefined, "bytes behind the last property");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        socketTypeOf(Buffer.concat([Buffer.from("\x05READY"), bytes]));
      }),
    );
  });

  test("a PING is answered with its context", () => {
    const data = (context: string) => Buffer.from(`\0\x0a${context}`);
    assert.equal(String(pongFrame(data("hello"))), "\x04\x0a\x04PONGhello");
    assert.equal(String(pongFrame(data(""))), "\x04\x05\x04PONG");
    assert.equal(String(pongFrame(data("0123456789abcdef"))), "\x04\x15\x04PONG0123456789abcdef");
  });

  test("a PING without its two bytes of time, or with a context of more than 16 bytes, is refused", () => {
    for (const data of ["", "\0", `\0\0${"x".repeat(17)}`]) {
      assert.throws(() => pongFrame(Buffer.from(data)), { code: "invalid", message: /2 to 18 are allowed/ });
    }
  });

  test("a command has a name, and it is fit to be printed", () => {
    const { name, data } = parseCommand(Buffer.from("\x04PING\0\x0ahello"));
    assert.deepEqual([name, String(data)], ["PING", "\0\x0ahello"]);
    assert.equal(parseCommand(Buffer.from("\x03a\x1b\n")).name, "a\\x1b\\x0a");
    for (const body of ["", "\0", "\x05PING"]) {
      assert.throws(() => parseCommand(Buffer.from(body)), { code: "invalid", message: /without a name/ });
    }
  });

  test("the reason of an ERROR is fit to be printed, whatever its size says", () => {
    assert.equal(errorReason(Buffer.from("\x03400")), "400");
    assert.equal(errorReason(Buffer.from('\x09no\x1b[2J\x9b"', "latin1")), 'no\\x1b[2J\\x9b"');
    assert.equal(errorReason(Buffer.from("\xffshort", "latin1")), "short");
    for (const nothing of ["", "\0", "\0text"]) assert.equal(errorReason(Buffer.from(nothing)), "no reason given");
  });

  test("any bytes are a command, or throw the error of the protocol", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const { name, data } = parseCommand(Buffer.from(bytes));
          assert.match(name + errorReason(data), /^[ -~]*$/);
          pongFrame(data);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
    );
  });
});
