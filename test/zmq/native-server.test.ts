/** The socket that publishers connect to, with real publishers. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { Push } from "zeromq";
import { GREETING, GREETING_BYTES, readyFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { NativeServer } from "../../src/zmq/native-server.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { serverReceiver } from "../support/server-receiver.js";
import { RawConnection } from "../support/sse-client.js";

/** `take`: each message, its parts joined by "|". */
const receiver = (take: (message: string) => void = () => {}, told?: (error: Error) => void) =>
  serverReceiver((parts) => take(parts.map(String).join("|")), told);

async function setUp() {
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const server = new NativeServer(spec, systemClock);
  const changes = new Changes();
  const received: string[] = [];
  const refused: string[] = [];
  const take = (what: string) => {
    received.push(what);
    changes.tell();
  };
  const refuse = ({ message }: Error) => {
    refused.push(message);
    changes.tell();
  };
  await server.start(receiver(take, refuse));
  const connect = () => {
    const push = new Push({ sendHighWaterMark: 0, linger: 0 });
    push.connect(spec);
    return push;
  };
  /** Nothing came but what the next good publisher sends; then the server ends. */
  const servesOn = async () => {
    const push = connect();
    await push.send("good");
    await changes.until(() => received.length > 0, "the good message");
    assert.deepEqual(received, ["good"]);
    await server.close();
    push.close();
  };
  return { spec, server, received, refused, changes, connect, servesOn };
}

describe("NativeServer", () => {
  test("messages of several publishers arrive whole, those of each in order", async () => {
    const { server, received, changes, connect } = await setUp();
    const publishers = Array.from({ length: 4 }, connect);
    await Promise.all(
      publishers.map(async (push, who) => {
        for (let count = 0; count < 1000; count++) await push.send([`${who}`, `${count}`, "{}"]);
      }),
    );
    await changes.until(() => received.length === 4000, "all messages");
    for (const who of [0, 1, 2, 3]) {
      assert.deepEqual(
        received.filter((it) => it.startsWith(`${who}|`)),
        Array.from({ length: 1000 }, (_, count) => `${who}|${count}|{}`),
      );
    }
    await server.close();
    for (const push of publishers) push.close();
  });

  test("what publishers had sent before the server closes is taken in", async () => {
    const { server, received, changes, connect } = await setUp();
    const push = connect();
    await push.send("first");
    await changes.until(() => received.length === 1, "the first message");
    for (let count = 0; count < 20_000; count++) await push.send(`${count}`);
    await server.close();
    assert.equal(received.length, 20_001);
    push.close();
  });

  // libzmq closes a connection whatever is on its way: of 16 daemons that were stopped under load 5 had lost an event.
  test("what is published while one server closes and the next one begins arrives, in order, once", async () => {
    const { spec, server, received, changes, connect } = await setUp();
    const push = connect();
    let [count, isOver] = [0, false];
    const publishing = (async () => {
      for (; !isOver; await new Promise((resolve) => setTimeout(resolve, 1))) await push.send(`${count++}`);
    })();
    let last = server;
    for (let round = 0; round < 5; round++) {
      await changes.until(() => received.length > round * 50, "what is published");
      await last.close();
      last = new NativeServer(spec, systemClock);
      await last.start(
        receiver((message) => {
          received.push(message);
          changes.tell();
        }),
      );
    }
    isOver = true;
    await publishing;
    await changes.until(() => received.length >= count, "all messages");
    assert.deepEqual(
      received,
      Array.from({ length: count }, (_, number) => `${number}`),
    );
    await last.close();
    push.close();
  });

  /** A connection that has said that it is a PUSH socket, and says what it is told. */
  async function shakeHands(spec: string): Promise<RawConnection> {
    const connection = new RawConnection(Number(spec.split(":").at(-1)));
    connection.write(GREETING);
    connection.write(readyFrame("PUSH"));
    await connection.until(({ received }) => received.length > GREETING_BYTES, "the server's READY");
    return connection;
  }

  test("a peer that waits for the READY of the server gets that of a PULL socket", async () => {
    const { spec, server, received, changes } = await setUp();
    const peer = new RawConnection(Number(spec.split(":").at(-1)));
    peer.write(GREETING);
    await peer.until(({ text }) => text.endsWith("Socket-Type\0\0\0\x04PULL"), "the server's READY");
    peer.write(Buffer.concat([readyFrame("PUSH"), Buffer.from("\0\x05hello")]));
    await changes.until(() => received.length === 1, "the message");
    peer.close();
    await server.close();
  });

  test("a peer that does not leave when it is let go is cut off", async () => {
    const { spec, server, received, changes } = await setUp();
    const stranger = await shakeHands(spec);
    stranger.write("\0\x05hello\0\x09half");
    await changes.until(() => received.length === 1, "the message");
    stranger.pause();
    await server.close();
    stranger.resume();
    await stranger.over();
    assert.deepEqual(received, ["hello"]);
  });

  test("a peer that is connected but not ready does not delay the end", async () => {
    const { spec, server } = await setUp();
    const stranger = new RawConnection(Number(spec.split(":").at(-1)));
    await stranger.until(({ received }) => received.length > 0, "the greeting");
    await server.close();
    await stranger.over();
  });

  test("a peer that asks whether we are there is answered", async () => {
    const { spec, server } = await setUp();
    const peer = await shakeHands(spec);
    peer.write("\x04\x0c\x04PING\0\x0ahello");
    await peer.until(({ text }) => text.endsWith("\x04PONGhello"), "the answer");
    peer.close();
    await server.close();
  });

  for (const [what, bytes, why] of [
    [
      "is no PUSH socket",
      Buffer.concat([GREETING, readyFrame("SUB")]),
      /a SUB socket is connected to the PULL or ROUTER socket of m2push; fix: connect a PUSH, REQ or DEALER socket/,
    ],
    [
      "sends a message before it is ready",
      Buffer.concat([GREETING, Buffer.from("\0\x05hello")]),
      /sent a message before READY/,
    ],
    [
      "says something else than READY",
      Buffer.concat([GREETING, Buffer.from("\x04\x06\x05ERROR")]),
      /ERROR "no reason given"/,
    ],
    ["is older than ZMTP 3", Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1]), /speaks ZMTP 2 \(ZeroMQ 3\); fix: /],
  ] as const) {
    test(`a peer that ${what} is cut off, and the next one is served`, async () => {
      const { spec, refused, servesOn } = await setUp();
      const stranger = new RawConnection(Number(spec.split(":").at(-1)));
      stranger.write(Buffer.concat([bytes, Buffer.from("\0\x05hello")]));
      await stranger.over();
      assert.equal(refused.length, 1);
      assert.match(refused[0] ?? "", why);
      await servesOn();
    });
  }

  test("a message of endlessly many parts ends with its connection", async () => {
    const { spec, servesOn } = await setUp();
    const stranger = await shakeHands(spec);
    const parts = Buffer.alloc(2 * 200_000);
    for (let at = 0; at < parts.length; at += 2) parts[at] = 1;
    stranger.write(parts);
    await stranger.over();
    await servesOn();
  });

  test("the file of a process that was killed is no obstacle, one that is in use is", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const spec = `ipc://${folder}/publish`;
    const script = `require("node:net").createServer().listen(${JSON.stringify(`${folder}/publish`)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script]);
    assert.ok(existsSync(`${folder}/publish`));
    const server = new NativeServer(spec, systemClock);
    await server.start(receiver());
    const second = new NativeServer(spec, systemClock);
    await assert.rejects(second.start(receiver()), {
      code: "link_failed",
      message: /cannot bind .* another m2push, has this address/,
    });
    await second.close();
    await server.close();
    assert.ok(!existsSync(`${folder}/publish`));
  });

  test("all forms of addresses are bound", async (t) => {
    const received: string[] = [];
    const changes = new Changes();
    const port = await freePort();
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const specs = [`tcp://*:${port}`, `tcp://lo:${port}`, `tcp://[::1]:${port}`, `ipc://${folder}/publish`];
    if (Number(process.versions.node.split(".")[0]) >= 22) specs.push(`ipc://@m2push-test-${port}`);
    for (const spec of specs) {
      const server = new NativeServer(spec, systemClock);
      await server.start(
        receiver((message) => {
          received.push(message);
          changes.tell();
        }),
      );
      const push = new Push({ linger: 0, ipv6: true });
      push.connect(spec.replace(/\*|lo(?=:)/, "127.0.0.1"));
      await push.send(spec);
      await changes.until(() => received.at(-1) === spec, spec);
      push.close();
      await server.close();
    }
  });

  test("a publisher without end does not hold the server up", async () => {
    const { server, received, changes, connect } = await setUp();
    const push = connect();
    let isOver = false;
    const flood = (async () => {
      while (!isOver) {
        await push.send("x");
        await new Promise(setImmediate);
      }
    })();
    await changes.until(() => received.length > 0, "the flood");
    await server.close();
    isOver = true;
    const after = received.length;
    await flood;
    assert.equal(received.length, after);
    push.close();
  });

  test("a message that no memory should hold is not taken in, and what its publisher sends next is", async () => {
    const { server, received, changes, connect } = await setUp();
    const push = connect();
    await push.send("first");
    await push.send(["t", Buffer.alloc(16_000_001)]);
    await push.send("after");
    await changes.until(() => received.includes("after"), "the next message");
    assert.deepEqual(received, ["first", "after"]);
    await server.close();
    push.close();
  });

  test("what speaks another language at the publishers' address is no publisher, and disturbs none", async () => {
    const { spec, servesOn } = await setUp();
    const port = Number(spec.split(":").at(-1));
    for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\0".repeat(100_000), "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL", ""]) {
      const stranger = new RawConnection(port);
      stranger.write(Buffer.from(bytes, "latin1"));
      stranger.halfClose();
      await stranger.over();
    }
    await servesOn();
  });

  test("two servers cannot have one address, and the second says so", async () => {
    const { spec, server } = await setUp();
    const second = new NativeServer(spec, systemClock);
    await assert.rejects(second.start(receiver()), {
      code: "link_failed",
      message: /cannot bind .* another m2push, has this address/,
    });
    await second.close();
    await server.close();
  });

  test("as many publishers as may be are connected; one more is closed, and those who are there go on", async () => {
    const spec = `tcp://127.0.0.1:${await freePort()}`;
    const changes = new Changes();
    let refused = 0;
    const reached = () => {
      refused++;
      changes.tell();
    };
    const server = new NativeServer(spec, systemClock, { maxConnections: 2, limitReached: reached });
    const received: string[] = [];
    await server.start(
      receiver((message) => {
        received.push(message);
        changes.tell();
      }),
    );
    const publishers = [new Push({ linger: 0 }), new Push({ linger: 0 })];
    for (const [at, push] of publishers.entries()) {
      push.connect(spec);
      await push.send(`${at}`);
    }
    await changes.until(() => received.length === 2, "both");
    const third = new Push({ linger: 0 });
    third.connect(spec);
    await changes.until(() => refused > 0, "the third to be refused");
    await publishers[0]?.send("on");
    await changes.until(() => received.includes("on"), "the first to go on");
    publishers[1]?.close();
    await third.send("third");
    await changes.until(() => received.includes("third"), "the third in the place of the second");
    await server.close();
    for (const push of [...publishers, third]) push.close();
  });
});
