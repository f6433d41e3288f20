/** A socket of ours and its peers: who is named and cut off, what they hold together, how often it connects, what it says of errors. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { Push } from "zeromq";
import { GREETING, GREETING_BYTES, readyFrame, writeFrameHead } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { type SocketOptions, ZmqSocket } from "../../src/zmq/zmq-socket.js";
import { FakeClock } from "../support/clock.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { RawConnection } from "../support/sse-client.js";

const address = async () => `tcp://127.0.0.1:${await freePort()}`;
const portOf = (spec: string) => Number(spec.split(":").at(-1));
/** A key that is none, in the form that libzmq wants. */
const CURVE_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

/** A PULL socket and what it tells. */
async function open(t: TestContext, options: Partial<SocketOptions> = {}) {
  const spec = options.spec ?? (await address());
  const changes = new Changes();
  const told: string[] = [];
  const tell = (what: string) => {
    told.push(what);
    changes.tell();
  };
  const all: SocketOptions = {
    type: "PULL",
    identity: "",
    bind: true,
    maxMessageBytes: 16_000_000,
    clock: systemClock,
    random: () => 0,
    ...options,
    spec,
  };
  const socket = new ZmqSocket(all, {
    ready: () => tell("ready"),
    message: (_, parts) => {
      tell(`message ${parts.join("|")}`);
      return true;
    },
    pong() {},
    protocolError: ({ message }, remote) => tell(`cut ${remote}: ${message}`),
    failed: ({ message }) => tell(`failed ${message}`),
    recovered: () => tell("recovered"),
    broken: ({ message }) => tell(`broken ${message}`),
    closed: () => tell("closed"),
  });
  t.after(() => socket.close({ timeoutMs: 0 }));
  const heard = (what: RegExp) => changes.until(() => told.some((it) => what.test(it)), String(what));
  return { socket, spec, told, heard };
}

/** A connection that has said that it is a PUSH socket. */
async function publisher(spec: string): Promise<RawConnection> {
  const connection = new RawConnection(portOf(spec));
  connection.write(GREETING);
  await connection.until(({ received }) => received.length > GREETING_BYTES, "the server's READY");
  connection.write(readyFrame("PUSH"));
  return connection;
}

/** Listens, and hands over each connection. */
async function listening(
  t: TestContext,
  connected: (socket: Socket) => void,
): Promise<{ server: Server; spec: string }> {
  const server = createServer(connected);
  const spec = await address();
  await new Promise<void>((resolve) => server.listen(portOf(spec), "127.0.0.1", resolve));
  t.after(() => server.close());
  return { server, spec };
}

describe("ZmqSocket", () => {
  // With 300 connections in one turn an event of another publisher was 307 ms late.
  test("takes in 16 connections a turn, however many arrive at once", async (t) => {
    const { socket, spec, told, heard } = await open(t, { clock: new FakeClock() });
    await socket.start();
    const connections = Array.from({ length: 100 }, () => new RawConnection(portOf(spec)));
    for (const connection of connections) connection.write(Buffer.concat([GREETING, readyFrame("PUSH")]));
    let most = 0;
    for (let before = 0; told.length < connections.length; before = told.length) {
      await new Promise(setImmediate);
      most = Math.max(most, told.length - before);
    }
    assert.ok(most <= 16, `${most} in a turn`);
    connections[0]?.close();
    await heard(/^closed/);
    for (const connection of connections) connection.close();
  });

  for (const [mechanism, options] of [
    ["CURVE", { curveServerKey: CURVE_KEY, curvePublicKey: CURVE_KEY, curveSecretKey: CURVE_KEY }],
    ["PLAIN", { plainUsername: "user", plainPassword: "password" }],
  ] as const) {
    test(`a publisher of libzmq that uses ${mechanism} is named with its address and the fix`, async (t) => {
      const { socket, spec, heard, told } = await open(t);
      await socket.start();
      const push = new Push({ linger: 0, ...options });
      t.after(() => push.close());
      push.connect(spec);
      await heard(/^cut /);
      assert.match(
        told[0] ?? "",
        new RegExp(`^cut 127.0.0.1:\\d+: the peer uses .* ${mechanism},.*; fix: remove the `),
      );
    });
  }

  test("a bound socket of libzmq that uses CURVE is reported to each peer that connects to it, once", async (t) => {
    const spec = await address();
    const push = new Push({ linger: 0, curveServer: true, curveSecretKey: CURVE_KEY });
    await push.bind(spec);
    const clock = new FakeClock();
    const { socket, heard, told } = await open(t, { spec, bind: false, clock });
    await socket.start();
    await heard(/^failed at tcp:.*mechanism CURVE,.*; fix: remove the CURVE keys/);
    for (let attempt = 0; attempt < 3; attempt++) {
      clock.advance(1000);
      await new Promise(setImmediate);
    }
    assert.equal(told.length, 1);
    push.close();
  });

  test("ZMTP 1 and 2 are named at both kinds of socket", async (t) => {
    for (const [bytes, name] of [
      ["\x01\0", "ZMTP 1 (ZeroMQ 2)"],
      ["\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0", "ZMTP 2 (ZeroMQ 3)"],
    ] as const) {
      const bound = await open(t);
      await bound.socket.start();
      new RawConnection(portOf(bound.spec)).write(Buffer.from(bytes, "latin1"));
      await bound.heard(/^cut /);
      assert.ok(bound.told[0]?.includes(`the peer speaks ${name}; fix: use ZeroMQ 4.0 or later`));
      const { spec } = await listening(t, (socket) => socket.on("error", () => {}).write(Buffer.from(bytes, "latin1")));
      const connected = await open(t, { spec, bind: false });
      await connected.socket.start();
      await connected.heard(/^failed /);
      assert.ok(connected.told[0]?.includes(`${spec}: the peer speaks ${name}; fix: use ZeroMQ 4.0 or later`));
    }
  });

  test("what peers leave unfinished is limited in sum: the one with the most is cut off, the others stay", async (t) => {
    const { socket, spec, told, heard } = await open(t);
    await socket.start();
    const innocent = await publisher(spec);
    const head = Buffer.alloc(9);
    writeFrameHead(head, 0, 15_000_000);
    innocent.write(Buffer.concat([Buffer.from([0, 5]), Buffer.from("he")]));
    const attackers: RawConnection[] = [];
    for (let count = 0; count < 4; count++) {
      const attacker = await publisher(spec);
      attacker.write(Buffer.concat([head, Buffer.alloc(5_000_000)]));
      attackers.push(attacker);
    }
    await heard(/^cut .*take more than 16000000 bytes, and this peer has the largest one/);
    innocent.write("llo");
    await heard(/^message hello$/);
    assert.ok(attackers.filter(({ isClosed }) => !isClosed).length >= 2, "only as many as had to");
    assert.equal(told.filter((it) => it === "closed").length <= 2, true);
    for (const connection of [innocent, ...attackers]) connection.close();
  });

  test("connections that do not finish their handshake are limited: the oldest one goes", async (t) => {
    const { socket, spec, heard } = await open(t, { maxHandshakes: 3 });
    await socket.start();
    const good = await publisher(spec);
    await heard(/^ready$/);
    const idle: RawConnection[] = [];
    for (let count = 0; count < 4; count++) {
      const connection = new RawConnection(portOf(spec));
      await connection.until(({ received }) => received.length > 0 || connection.isClosed, "the greeting");
      idle.push(connection);
    }
    await heard(/^cut .*more than 3 connections have not completed the ZeroMQ handshake, and this is the oldest one/);
    await idle[0]?.over();
    assert.deepEqual(
      idle.map(({ isClosed }) => isClosed),
      [true, false, false, false],
    );
    good.write("\0\x05hello");
    await heard(/^message hello$/);
    for (const connection of [good, ...idle]) connection.close();
  });

  test("attempts to connect come after 100 ms, then less and less often, at least once a second", async (t) => {
    const changes = new Changes();
    let [attempts, waits] = [0, 0];
    const { spec } = await listening(t, (socket) => {
      attempts++;
      socket.on("error", () => {}).destroy();
      changes.tell();
    });
    const random = () => {
      waits++;
      changes.tell();
      return 0;
    };
    const clock = new FakeClock();
    const { socket } = await open(t, { spec, bind: false, clock, random });
    await socket.start();
    for (const [index, wait] of [100, 200, 400, 800, 1000, 1000].entries()) {
      await changes.until(() => attempts === index + 1 && waits === index + 1, `attempt ${index + 1} to be over`);
      await new Promise(setImmediate);
      clock.advance(wait - 1);
      assert.equal(clock.waiting, 1, `not before ${wait} ms`);
      clock.advance(1);
    }
  });

  test("each error names the address, what happened and what to do", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    writeFileSync(`${folder}/file`, "precious");
    const refused = await address();
    for (const [spec, pattern] of [
      ["tcp://no-such-host.invalid:9997", /the host name does not resolve \(E\w+\); fix: correct the name/],
      [`ipc://${folder}/socket`, /the socket file does not exist; fix: start Mongrel2/],
      [`ipc://${folder}/missing/socket`, /the directory \S+\/missing does not exist; fix: compare/],
      [`ipc://${folder}/file/socket`, /a part of the path is not a directory; fix: correct the path/],
      [refused, /connection refused: nothing listens there; fix: start Mongrel2/],
    ] as const) {
      const clock = new FakeClock();
      const { socket, told, heard } = await open(t, { spec, bind: false, clock });
      await socket.start();
      for (let attempt = 0; told.length === 0 && attempt < 10_000; attempt++) {
        await new Promise(setImmediate);
        clock.advance(1);
      }
      await heard(pattern);
      assert.ok(told[0]?.startsWith(`failed cannot connect ${spec}: `), told[0]);
    }
  });

  test("a path that is too long is an error at once, not the beginning of it used", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    for (const bind of [true, false]) {
      const { socket } = await open(t, { spec: `ipc://${folder}/${"x".repeat(200)}`, bind });
      await assert.rejects(socket.start(), {
        code: "link_failed",
        message: /too long; fix: choose a path of at most 107/,
      });
    }
    assert.deepEqual(readdirSync(folder), []);
  });

  test("a peer that is not there is told of once, after a second of grace, and that it is back", async (t) => {
    const spec = await address();
    const { socket, told, heard } = await open(t, { spec, bind: false });
    const began = systemClock.monotonic();
    await socket.start();
    await heard(/^failed .*connection refused/);
    assert.ok(systemClock.monotonic() - began >= 1000);
    const push = new Push({ linger: 0 });
    await push.bind(spec);
    await heard(/^ready$/);
    assert.deepEqual(told.slice(1), ["recovered", "ready"]);
    push.close();
  });

  test("a connection that is reset is told of with the peer's address", async (t) => {
    const { socket, spec, heard } = await open(t);
    await socket.start();
    const connection = await publisher(spec);
    await heard(/^ready$/);
    connection.reset();
    await heard(/^broken the connection with 127.0.0.1:\d+ at tcp:\S+ broke: .*ECONNRESET/);
  });

  test("a file that is no socket is never removed, and the error says so", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    writeFileSync(`${folder}/file`, "precious");
    symlinkSync(`${folder}/file`, `${folder}/link`);
    mkdirSync(`${folder}/directory`);
    for (const name of ["file", "link", "directory"]) {
      const { socket } = await open(t, { spec: `ipc://${folder}/${name}` });
      await assert.rejects(socket.start(), {
        code: "link_failed",
        message: new RegExp(
          `cannot bind ipc://\\S+/${name}: the path is that of a file other than a socket; fix: remove `,
        ),
      });
      assert.ok(existsSync(`${folder}/${name}`));
    }
    assert.equal(readFileSync(`${folder}/file`, "utf8"), "precious");
  });

  test("what cannot be bound is told with its cause: a missing directory is no missing permission", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    for (const [spec, message] of [
      [`ipc://${folder}/missing/socket`, /: \S+\/missing does not exist; fix: create it/],
      ["tcp://192.0.2.1:0", /: this machine has no such address; fix: /],
      ["tcp://no-such-host.invalid:9997", /: the host name does not resolve \(E\w+\); fix: /],
    ] as const) {
      const { socket } = await open(t, { spec });
      await assert.rejects(socket.start(), { code: "link_failed", message });
    }
  });
});
