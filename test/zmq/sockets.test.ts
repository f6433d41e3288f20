/** What all our sockets have in common, seen from the other end of a real connection. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Pull, Push, type Socket, Subscriber } from "zeromq";
import { attach, publisherSocket, pullSocket, receiveAll, watch } from "../../src/zmq/sockets.js";
import { Changes, within } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

const SOCKETS = fileURLToPath(new URL("../../src/zmq/sockets.js", import.meta.url));
const address = async () => `tcp://127.0.0.1:${await freePort()}`;

test("nothing that waits in a socket is dropped at a limit, and no socket keeps the process for ever", () => {
  const pull = pullSocket("");
  const pub = publisherSocket("");
  assert.equal(pull.receiveHighWaterMark, 0);
  assert.equal(pub.sendHighWaterMark, 0);
  for (const socket of [pull, pub]) {
    assert.ok(socket.linger >= 0 && socket.linger <= 1000, `linger ${socket.linger}`);
    socket.close();
  }
});

/** zmq_getsockopt(3), ZMQ_ROUTING_ID: what the socket tells a peer when it connects. */
const identityOf = (socket: Socket): string =>
  (socket as unknown as { getStringOption(option: number): string | null }).getStringOption(5) ?? "";

for (const [name, make] of [
  ["PULL", pullSocket],
  ["PUB", publisherSocket],
] as const) {
  test(`a ${name} socket has its identity before it connects, or none`, () => {
    for (const identity of ["82209006-86FF-4982-B5EA-D1E29E55D481", ""]) {
      const socket = make(identity);
      assert.equal(identityOf(socket), identity);
      socket.close();
    }
  });
}

test("peers that come and go are told, on the side that binds and on the side that connects", async () => {
  const spec = await address();
  const told: string[] = [];
  const changes = new Changes();
  const tell = (what: string) => {
    told.push(what);
    changes.tell();
  };
  const follow = (name: string, socket: Socket) =>
    watch(socket, { connected: () => tell(`${name} +`), disconnected: () => tell(`${name} -`) });
  const [bound, connecting] = [pullSocket(""), publisherSocket("")];
  follow("bound", bound);
  await attach(bound, spec, true);
  const push = new Push({ linger: 0 });
  push.connect(spec);
  await changes.until(() => told.includes("bound +"), "an accept");
  push.close();
  await changes.until(() => told.includes("bound -"), "its end");
  const other = await address();
  const sub = new Subscriber({ linger: 0 });
  await sub.bind(other);
  follow("connecting", connecting);
  await attach(connecting, other, false);
  await changes.until(() => told.includes("connecting +"), "a connection");
  sub.close();
  await changes.until(() => told.includes("connecting -"), "its end");
  bound.close();
  connecting.close();
});

test("the monitor is read for ever: 3000 peers that come and go do not stop the socket", async () => {
  // Unread, a monitor blocks libzmq's I/O thread, and with it every socket of the process, after about 2000 events.
  const spec = await address();
  const pull = pullSocket("");
  const changes = new Changes();
  let [came, got] = [0, ""];
  const connected = () => {
    came++;
    changes.tell();
  };
  watch(pull, { connected, disconnected: () => {} });
  await attach(pull, spec, true);
  const received = receiveAll(pull, ([message]) => {
    got = String(message);
    changes.tell();
  });
  for (let round = 1; round <= 60; round++) {
    const peers = Array.from({ length: 50 }, () => new Push({ linger: 0 }));
    for (const peer of peers) peer.connect(spec);
    await changes.until(() => came >= round * 50, "50 more peers");
    for (const peer of peers) peer.close();
  }
  const push = new Push({ linger: 0 });
  push.connect(spec);
  await push.send("still here");
  await changes.until(() => got === "still here", "the message");
  push.close();
  pull.close();
  await received;
});

test("an address that is taken is an error that says so", async () => {
  const spec = await address();
  const first = new Pull();
  await first.bind(spec);
  const second = pullSocket("");
  await assert.rejects(attach(second, spec, true), {
    code: "link.failed",
    message: new RegExp(`^cannot bind ${spec}: .*: another program, or another m2push, has this address$`),
  });
  first.close();
  second.close();
});

test("an address that is none is an error that names it, to bind and to connect", async () => {
  for (const bind of [true, false]) {
    const socket = pullSocket("");
    await assert.rejects(attach(socket, "nonsense://x", bind), {
      code: "link.failed",
      message: new RegExp(`^cannot ${bind ? "bind" : "connect"} nonsense://x: `),
    });
    socket.close();
  }
});

test("what comes in several parts arrives in one call, in order, and the loop ends with the socket", async () => {
  const spec = await address();
  const pull = pullSocket("");
  const changes = new Changes();
  const got: string[] = [];
  await attach(pull, spec, true);
  const received = receiveAll(pull, (parts) => {
    got.push(parts.map(String).join("|"));
    changes.tell();
  });
  const push = new Push({ linger: 0 });
  push.connect(spec);
  for (const parts of [["a", "b"], [""], ["c"]]) await push.send(parts);
  await changes.until(() => got.length === 3, "three messages");
  assert.deepEqual(got, ["a|b", "", "c"]);
  pull.close();
  await within(5000, received, "the loop to end");
  push.close();
});

test("a process whose peer is gone ends, with frames still in its queue", () => {
  const script = `import { attach, publisherSocket, pullSocket } from ${JSON.stringify(SOCKETS)};
    const [pub, pull] = [publisherSocket("a"), pullSocket("b")];
    await attach(pub, "tcp://127.0.0.1:1", false);
    await attach(pull, "tcp://127.0.0.1:1", false);
    for (let count = 0; count < 1000; count++) await pub.send("x".repeat(1000));
    pub.close();
    pull.close();`;
  const { status, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
  assert.deepEqual([status, signal], [0, null]);
});
