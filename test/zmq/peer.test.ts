/** One connection, byte by byte: what comes of it, what it may hold, and what ends it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { frameBytes, GREETING, readyFrame, writeFrameHead } from "../../src/protocol/zmtp.js";
import { Peer, type SocketRole } from "../../src/zmq/peer.js";
import { TickQueue } from "../../src/zmq/tick-queue.js";
import { FakeClock } from "../support/clock.js";
import { FakeNetSocket } from "../support/fake-net-socket.js";

const MORE = 1;
const COMMAND = 4;
const FIRST_GREETING_BYTES = 12;

function framed(body: Buffer | string, flags = 0): Buffer {
  const bytes = Buffer.from(body);
  const frame = Buffer.alloc(frameBytes(bytes.length));
  bytes.copy(frame, writeFrameHead(frame, 0, bytes.length, flags));
  return frame;
}

const command = (name: string, data = ""): Buffer =>
  framed(Buffer.from(`${String.fromCharCode(name.length)}${name}${data}`, "latin1"), COMMAND);

/** A peer on a fake socket, and what is told of it. A message is of use unless it is "useless". */
function open(role: Partial<SocketRole> = {}, connecting = false) {
  const clock = new FakeClock();
  const net = new FakeNetSocket({ connecting });
  const turns = new TickQueue(() => 0);
  const told: string[] = [];
  let heldBytes = 0;
  const held = (bytes: number) => {
    heldBytes += bytes;
  };
  const options: SocketRole = { type: "PULL", identity: "", maxMessageBytes: 100_000, clock, ...role };
  const peer = new Peer(
    net.socket,
    options,
    { tickQueue: turns, maxQueuedBytes: 1_000_000, unfinishedBytesChanged: held },
    {
      ready: () => told.push("ready"),
      message: (_, parts, isTruncated) => {
        told.push(`${isTruncated ? "beginning" : "message"} ${parts.join("|")}`);
        return String(parts[0]) !== "useless";
      },
      pong: () => told.push("pong"),
      protocolError: ({ code, message }) => told.push(`cut ${code}: ${message}`),
      failed: ({ message }) => told.push(`failed ${message}`),
      closed: () => told.push("closed"),
    },
  );
  const idle = async () => {
    do await new Promise(setImmediate);
    while (turns.hasBacklog);
  };
  const shakeHands = () => {
    net.receive(Buffer.concat([GREETING, readyFrame("PUSH")]));
    told.length = 0;
  };
  return { peer, net, clock, turns, told, idle, shakeHands, heldBytes: () => heldBytes };
}

/** What is told and written, the same for every cut of the stream in two, and byte by byte. */
async function outcome(stream: Buffer, role: Partial<SocketRole> = {}) {
  const of = async (pieces: readonly Buffer[]) => {
    const { net, told, idle } = open(role);
    for (const piece of pieces) net.receive(piece);
    await idle();
    return { told, written: net.written };
  };
  const whole = await of([stream]);
  for (let cut = 1; cut < stream.length; cut++) {
    assert.deepEqual(await of([stream.subarray(0, cut), stream.subarray(cut)]), whole, `cut at ${cut}`);
  }
  assert.deepEqual(await of([...stream].map((byte) => Buffer.from([byte]))), whole, "byte by byte");
  return whole;
}

const HELLO = Buffer.concat([GREETING, readyFrame("PUSH")]);

describe("Peer", () => {
  test("while more peers have work than a turn serves, it is read only as fast as it is handled", async () => {
    const { net, turns, told, idle, shakeHands } = open();
    shakeHands();
    let isFlooded = true;
    for (let count = 0; count < 13; count++)
      turns.add({
        hasMore: true,
        work(budget) {
          budget.messages = 0;
          return isFlooded;
        },
      });
    net.receive(framed("one"));
    assert.ok(net.isPaused);
    isFlooded = false;
    await idle();
    assert.deepEqual(told, ["message one"]);
    assert.ok(!net.isPaused);
  });

  test("a conversation is the same however its bytes are cut", async () => {
    const stream = Buffer.concat([
      HELLO,
      framed("one"),
      framed("topic", MORE),
      framed("x".repeat(300), MORE),
      framed("{}"),
      command("PING", "\0\x0ahello"),
      command("PONG", "hello"),
      command("UNKNOWN", "whatever"),
      framed(""),
      Buffer.from([0x80]),
    ]);
    const { told, written } = await outcome(stream);
    assert.deepEqual(told, [
      "ready",
      "message one",
      `message topic|${"x".repeat(300)}|{}`,
      "pong",
      "message ",
      "cut invalid: the peer sent a frame with the flags 0x80, which ZMTP 3 does not have",
    ]);
    assert.equal(written, Buffer.concat([GREETING, readyFrame("PULL"), command("PONG", "hello")]).toString("latin1"));
  });

  for (const [what, bytes, why] of [
    ["a PING before READY", [GREETING, command("PING", "\0\0")], /the command PING before READY/],
    ["an unknown command before READY", [GREETING, command("\x1b[2J")], /the command \\x1b\[2J before READY/],
    [
      "a command of more than 1 kB before READY",
      [GREETING, command("READY", "x".repeat(2000))],
      /a frame has 2006 bytes/,
    ],
    ["a second READY", [HELLO, readyFrame("PUSH")], /a second READY/],
    ["a PING with a context of 17 bytes", [HELLO, command("PING", `\0\0${"x".repeat(17)}`)], /a PING of 19 bytes/],
    ["a command without a name", [HELLO, framed("", COMMAND)], /a command without a name/],
    ["a command of 60 kB", [HELLO, command("NOPE", "x".repeat(60_000))], /a frame has 60005 bytes, the limit is 1024/],
    ["a command in two frames", [HELLO, framed("\x04PING\0\0", COMMAND | MORE)], /the flags 0x05/],
    [
      "an ERROR",
      [GREETING, command("ERROR", "\x05no\x1b[m")],
      /rejected the connection with ERROR "no\\x1b\[m"; fix: /,
    ],
    ["an ERROR after READY", [HELLO, command("ERROR", "\x03400")], /ERROR "400"; fix: /],
    ["a message of too many parts", [HELLO, ...Array(101).fill(framed("x", MORE))], /100 parts/],
    [
      "a message that is too large",
      [HELLO, framed(Buffer.alloc(100_001))],
      /a frame has 100001 bytes, the limit is 100000/,
    ],
    [
      "a message whose parts are too large together",
      [HELLO, framed(Buffer.alloc(60_000), MORE), framed(Buffer.alloc(60_000))],
      /more than 100000 bytes/,
    ],
  ] as const) {
    test(`${what} ends the connection, and nothing is held any more`, async () => {
      const { net, told, idle, heldBytes } = open();
      net.receive(Buffer.concat(bytes));
      net.receive(framed("after"));
      await idle();
      assert.match(told.at(-1) ?? "", why);
      assert.ok(told.every((it) => !it.startsWith("message")));
      assert.ok(net.isDestroyed);
      assert.equal(heldBytes(), 0);
      net.emit("close");
      assert.equal(told.at(-1), "closed");
    });
  }

  test("of a request that is too large its beginning is handed on where that is wanted, and the link stays", async () => {
    const stream = Buffer.concat([HELLO, framed("1"), framed("abc".repeat(100)), framed("2")]);
    const { told } = await outcome(stream, { maxMessageBytes: 200, truncateToBytes: 6 });
    assert.deepEqual(told, ["ready", "message 1", "beginning abcabc", "message 2"]);
  });

  test("our mechanism is told when the peer's is known: libzmq leaves at another one without telling its own", () => {
    const { net } = open();
    assert.equal(net.written.length, FIRST_GREETING_BYTES);
    net.receive(GREETING.subarray(0, 31));
    assert.equal(net.written.length, FIRST_GREETING_BYTES);
    net.receive(GREETING.subarray(31, 32));
    assert.equal(net.written, GREETING.toString("latin1"));
  });

  test("a peer that waits for our mechanism gets it after a second", () => {
    const { net, clock, told } = open();
    clock.advance(999);
    assert.equal(net.written.length, FIRST_GREETING_BYTES);
    clock.advance(1);
    assert.equal(net.written, GREETING.toString("latin1"));
    net.receive(HELLO);
    assert.deepEqual(told, ["ready"]);
    assert.equal(net.written, Buffer.concat([GREETING, readyFrame("PULL")]).toString("latin1"));
  });

  test("a handshake ends after 30 s, whatever comes meanwhile", () => {
    const { net, clock, told } = open();
    for (const byte of GREETING.subarray(0, 29)) {
      net.receive(Buffer.from([byte]));
      clock.advance(1000);
    }
    assert.deepEqual(told, []);
    clock.advance(1000);
    assert.match(told[0] ?? "", /^cut invalid: the peer did not finish the ZeroMQ handshake within 30 s; fix: /);
    assert.ok(net.isDestroyed);
  });

  test("after READY no deadline is left, and after the end no timer", () => {
    const { clock, shakeHands } = open();
    shakeHands();
    assert.equal(clock.waiting, 0);
    const early = open();
    early.net.emit("close");
    assert.equal(early.clock.waiting, 0);
  });

  test("a connection that is not made within 5 s is given up, and then the handshake has 30", () => {
    const { net, clock } = open({}, true);
    clock.advance(4999);
    assert.ok(!net.isDestroyed);
    clock.advance(1);
    assert.equal((net.destroyedWith as NodeJS.ErrnoException).code, "ETIMEDOUT");
    const made = open({}, true);
    assert.equal(made.net.written, "");
    made.clock.advance(4999);
    made.net.emit("connect");
    assert.equal(made.net.written.length, FIRST_GREETING_BYTES);
    made.clock.advance(29_999);
    assert.ok(!made.net.isDestroyed);
    made.clock.advance(1);
    assert.ok(made.net.isDestroyed);
  });

  test("a part of one byte does not hold what was read with it", async () => {
    const { net, shakeHands, idle, heldBytes } = open();
    shakeHands();
    const other = Array.from({ length: 60 }, () => command("NOPE", "x".repeat(1000)));
    for (let count = 0; count < 10; count++) net.receive(Buffer.concat([framed("x", MORE), ...other]));
    await idle();
    assert.ok(heldBytes() > 0 && heldBytes() < 10_000, `${heldBytes()} bytes are held for ten parts of one byte`);
  });

  test("a frame that comes byte by byte is held in one piece", async () => {
    const { net, shakeHands, idle, heldBytes } = open();
    shakeHands();
    net.receive(framed(Buffer.alloc(90_000)).subarray(0, 9));
    for (let count = 0; count < 20_000; count++) net.receive("x");
    await idle();
    assert.ok(heldBytes() >= 20_000 && heldBytes() < 60_000, `${heldBytes()}`);
    net.receive(Buffer.alloc(70_000, "x"));
    await idle();
    assert.equal(heldBytes(), 0);
  });

  test("reading stops while much waits, in bytes or in pieces, and goes on", async () => {
    for (const piece of [Buffer.concat(Array(20_000).fill(framed("x"))), framed("x")]) {
      const { net, shakeHands, idle, told } = open();
      shakeHands();
      let pieces = 0;
      while (!net.isPaused) {
        net.receive(piece);
        assert.ok(++pieces < 3000, "reading goes on for ever");
      }
      assert.ok(net.isPaused);
      await idle();
      assert.ok(!net.isPaused);
      assert.equal(told.length, (pieces * piece.length) / 3, "nothing is lost");
    }
  });

  test("while a stop waits for a mark, everything is read, however much and in however small pieces", async () => {
    const { peer, net, turns, shakeHands, idle, told } = open();
    shakeHands();
    while (!net.isPaused) net.receive(Buffer.concat(Array(20_000).fill(framed("x"))));
    turns.isPaused = true;
    let isSeen = false;
    peer.onMark(Buffer.from("mark"), () => {
      isSeen = true;
    });
    assert.ok(!net.isPaused, "also where it was paused before");
    for (let count = 0; count < 3000; count++) net.receive(framed("small"));
    net.receive(framed("mark"));
    assert.ok(isSeen && !net.isPaused);
    turns.isPaused = false;
    await idle();
    assert.equal(told.at(-1), "message mark");
    assert.equal(told.filter((it) => it === "message small").length, 3000);
  });

  test("a thousand frames of no use in a row end a connection", async () => {
    for (const useless of [framed("useless"), command("NOPE"), command("PING", "\0\0")]) {
      const { net, shakeHands, idle, told } = open();
      shakeHands();
      net.receive(Buffer.concat(Array(999).fill(useless)));
      await idle();
      assert.ok(!net.isDestroyed);
      net.receive(useless);
      await idle();
      assert.match(told.at(-1) ?? "", /1000 useless messages or commands in a row; fix: /);
    }
  });

  test("one message of use among them, or a slow rate, and the connection stays", async () => {
    const { net, shakeHands, idle, clock } = open();
    shakeHands();
    for (let round = 0; round < 3; round++) {
      net.receive(Buffer.concat([...Array(999).fill(framed("useless")), framed("of use")]));
      await idle();
    }
    for (let count = 0; count < 3000; count++) {
      net.receive(command("PING", "\0\0"));
      clock.advance(10);
    }
    assert.ok(!net.isDestroyed);
  });

  test("what was read before the end is handed on before the end is told", async () => {
    const { net, shakeHands, idle, told } = open();
    shakeHands();
    net.receive(Buffer.concat(Array(2000).fill(framed("x"))));
    net.emit("close");
    assert.notEqual(told.at(-1), "closed");
    await idle();
    assert.equal(told.length, 2001);
    assert.equal(told.at(-1), "closed");
  });

  test("a peer is held for a time, not at its end", async () => {
    const { peer, net, clock, told, idle, shakeHands } = open();
    shakeHands();
    peer.holdFor(100);
    net.receive(Buffer.concat([framed("1"), framed("2")]));
    clock.advance(99);
    await idle();
    assert.deepEqual(told, []);
    clock.advance(1);
    await idle();
    assert.deepEqual(told, ["message 1", "message 2"]);
    peer.holdFor(100);
    net.receive(framed("3"));
    peer.halfClose();
    peer.holdFor(100);
    await idle();
    assert.deepEqual(told.slice(2), ["message 3"]);
    assert.ok(net.isEnded);
  });

  test("a peer whose connection ends while it is held leaves no timer", async () => {
    const { peer, net, clock, told, idle, shakeHands } = open();
    shakeHands();
    peer.holdFor(100);
    net.receive(framed("1"));
    net.emit("close");
    await idle();
    assert.deepEqual(told, ["message 1", "closed"]);
    assert.equal(clock.waiting, 0);
  });

  describe("of a REQ or DEALER socket", () => {
    const dealer = () => {
      const opened = open({ type: "PULL or ROUTER" });
      opened.net.receive(Buffer.concat([GREETING, readyFrame("DEALER")]));
      opened.told.length = 0;
      const written = opened.net.written.length;
      return { ...opened, sent: () => opened.net.written.slice(written) };
    };
    const message = (text: string) => framed(Buffer.from(text));

    test("the READY of the server waits for the peer's, and has the type that fits to it", () => {
      for (const [type, announced] of [
        ["PUSH", "PULL"],
        ["REQ", "ROUTER"],
        ["DEALER", "ROUTER"],
      ] as const) {
        const { net, told } = open({ type: "PULL or ROUTER" });
        net.receive(GREETING);
        assert.equal(net.written, GREETING.toString("latin1"));
        net.receive(readyFrame(type));
        assert.equal(net.written, Buffer.concat([GREETING, readyFrame(announced)]).toString("latin1"));
        assert.deepEqual(told, ["ready"]);
      }
    });

    test("a peer that waits for the READY of the server gets that of a PULL socket after a second, once", () => {
      const { net, clock, told } = open({ type: "PULL or ROUTER" });
      net.receive(GREETING);
      clock.advance(999);
      assert.equal(net.written, GREETING.toString("latin1"));
      clock.advance(1);
      const expected = Buffer.concat([GREETING, readyFrame("PULL")]).toString("latin1");
      assert.equal(net.written, expected);
      net.receive(readyFrame("PUSH"));
      clock.advance(60_000);
      assert.equal(net.written, expected);
      assert.deepEqual(told, ["ready"]);
    });

    test("a held peer's messages are handled once it is released, in order", async () => {
      const { peer, net, told, idle } = dealer();
      peer.hold();
      net.receive(Buffer.concat([message("1"), message("2")]));
      net.receive(message("3"));
      await idle();
      assert.deepEqual(told, []);
      peer.release();
      await idle();
      assert.deepEqual(told, ["message 1", "message 2", "message 3"]);
    });

    test("a held peer is not read beyond one read", () => {
      const { peer, net } = dealer();
      net.receive(message("first"));
      peer.hold();
      net.receive(Buffer.alloc(40_000));
      assert.ok(!net.isPaused);
      net.receive(Buffer.alloc(40_000));
      assert.ok(net.isPaused);
      peer.release();
    });

    test("what a held peer had sent before its connection ended is handled", async () => {
      const { peer, net, told, idle } = dealer();
      peer.hold();
      net.receive(Buffer.concat([message("1"), message("2")]));
      net.emit("close");
      await idle();
      assert.deepEqual(told, ["message 1", "message 2", "closed"]);
    });

    test("the connection is half-closed after the owed replies, and what arrives later is dropped", async () => {
      const { peer, net, told, idle, sent } = dealer();
      net.receive(Buffer.concat([message("1"), message("2")]));
      peer.oweReply();
      peer.oweReply();
      peer.halfClose();
      assert.ok(!net.isEnded);
      net.receive(message("late"));
      peer.sendReplies([[Buffer.from("ok 1")]]);
      assert.ok(!net.isEnded);
      peer.sendReplies([[Buffer.from("ok 2")]]);
      assert.ok(net.isEnded);
      await idle();
      assert.deepEqual(told, ["message 1", "message 2"]);
      assert.equal(sent(), Buffer.concat([message("ok 1"), message("ok 2")]).toString("latin1"));
    });

    test("what was read before the half-close is handled, and answered, before it", async () => {
      const { peer, net, told, idle } = dealer();
      peer.hold();
      net.receive(Buffer.concat([message("1"), message("2")]));
      peer.halfClose();
      assert.ok(!net.isEnded);
      peer.release();
      await idle();
      assert.deepEqual(told, ["message 1", "message 2"]);
      assert.ok(net.isEnded);
    });
  });
});
