/** The first bytes of a connection: the greeting in two steps, and the deadlines. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GREETING } from "../../src/protocol/zmtp.js";
import { Handshake } from "../../src/zmq/handshake.js";
import { FakeClock } from "../support/clock.js";
import { FakeNetSocket } from "../support/fake-net-socket.js";

const FIRST_STEP_BYTES = 12;
const MECHANISM_END_BYTES = 32;
const WHOLE = GREETING.toString("latin1");
const FIRST_STEP = WHOLE.slice(0, FIRST_STEP_BYTES);

function setUp({ connecting = false } = {}) {
  const clock = new FakeClock();
  const net = new FakeNetSocket({ connecting });
  const timeouts: string[] = [];
  const handshake = new Handshake(net.socket, clock, ({ message }) => timeouts.push(message));
  return { clock, net, timeouts, handshake };
}

const greetingOf = (version: readonly number[]): Buffer => {
  const greeting = Buffer.from(GREETING);
  greeting.set(version, 10);
  return greeting;
};

describe("Handshake", () => {
  test("sends the remainder of the greeting once the peer's mechanism is known", () => {
    const { net, handshake } = setUp();
    assert.equal(net.written, FIRST_STEP);
    handshake.readGreeting(GREETING.subarray(0, MECHANISM_END_BYTES - 1));
    assert.equal(net.written, FIRST_STEP);
    handshake.readGreeting(GREETING.subarray(MECHANISM_END_BYTES - 1, MECHANISM_END_BYTES));
    assert.equal(net.written, WHOLE);
    assert.ok(!handshake.hasGreeting);
    handshake.readGreeting(GREETING.subarray(MECHANISM_END_BYTES));
    assert.ok(handshake.hasGreeting);
    assert.equal(net.written, WHOLE);
  });

  test("sends the greeting at once where it is told so", () => {
    const net = new FakeNetSocket();
    new Handshake(net.socket, new FakeClock(), () => {}, false);
    assert.equal(net.written, WHOLE);
  });

  test("returns the bytes behind the greeting, wherever it is cut", () => {
    const bytes = Buffer.concat([GREETING, Buffer.from("READY")]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { handshake } = setUp();
      const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
      assert.equal(parts.map((part) => handshake.readGreeting(part)).join(""), "READY", `cut at ${cut}`);
    }
  });

  test("rejects a greeting of another protocol, and sends no remainder", () => {
    const { net, handshake } = setUp();
    assert.throws(() => handshake.readGreeting(Buffer.from("GET / HTTP/1.1\r\n")), { code: "invalid" });
    assert.equal(net.written, FIRST_STEP);
  });

  test("knows whether the peer supports PING from its version", () => {
    for (const [version, supported] of [
      [[3, 0], false],
      [[3, 1], true],
      [[4, 0], true],
    ] as const) {
      const { handshake } = setUp();
      handshake.readGreeting(greetingOf(version));
      assert.equal(handshake.supportsPing, supported, `ZMTP ${version.join(".")}`);
    }
  });

  test("sends the remainder after 1 s to a peer that waits for it", () => {
    const { clock, net } = setUp();
    clock.advance(999);
    assert.equal(net.written, FIRST_STEP);
    clock.advance(1);
    assert.equal(net.written, WHOLE);
  });

  test("times out 30 s after the connection, whatever has arrived", () => {
    const { clock, timeouts, handshake } = setUp();
    handshake.readGreeting(GREETING);
    clock.advance(29_999);
    assert.deepEqual(timeouts, []);
    clock.advance(1);
    assert.match(timeouts.join(), /^the peer did not finish the ZeroMQ handshake within 30 s; fix: /);
  });

  test("stop() ends the deadlines", () => {
    const { clock, timeouts, handshake, net } = setUp();
    handshake.stop();
    clock.advance(60_000);
    assert.deepEqual([timeouts, net.written], [[], FIRST_STEP]);
  });

  test("sends nothing before the connection is established, and starts the 30 s then", () => {
    const { clock, net, timeouts } = setUp({ connecting: true });
    clock.advance(4999);
    assert.equal(net.written, "");
    net.emit("connect");
    assert.equal(net.written, FIRST_STEP);
    clock.advance(29_999);
    assert.ok(!net.isDestroyed);
    assert.deepEqual(timeouts, []);
    clock.advance(1);
    assert.equal(timeouts.length, 1);
  });

  test("destroys a connection that is not established within 5 s, with ETIMEDOUT", () => {
    const { clock, net } = setUp({ connecting: true });
    clock.advance(5000);
    assert.equal((net.destroyedWith as NodeJS.ErrnoException).code, "ETIMEDOUT");
  });
});
