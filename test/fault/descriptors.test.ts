/** Strangers open connections until the daemon may have no more: probes are answered, and who was there before goes on. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { startDaemon } from "../support/daemon.js";
import { freePort } from "../support/ports.js";
import { Publisher } from "../support/publisher.js";

const FILES = 160;
/** What a probe waits for its answer at most, milliseconds. */
const PROBE_MS = 1000;

interface Status {
  readonly conditions: readonly { readonly code: string; readonly subject: string }[];
}

async function start(t: TestContext) {
  const ports = await Promise.all(Array.from({ length: 4 }, () => freePort()));
  const [send, recv, publish = 0, admin = 0] = ports;
  const config = `
[[mongrel2]]
name = "main"
send_spec = "tcp://127.0.0.1:${send}"
recv_spec = "tcp://127.0.0.1:${recv}"
[publish]
zmq = "tcp://127.0.0.1:${publish}"
[admin]
listen = "127.0.0.1:${admin}"
[history]
store = "memory"
[log]
level = "trace"
`;
  const daemon = startDaemon({ config, files: FILES });
  t.after(() => daemon.stop());
  await daemon.logged(({ event }) => event === "started", "the start");
  const url = `http://127.0.0.1:${admin}`;
  const isOverloaded = async (subject: string) => {
    const { conditions } = (await (await fetch(`${url}/status`)).json()) as Status;
    return conditions.some((it) => it.code === "overloaded" && it.subject === subject);
  };
  const published = (topic: string) =>
    daemon.logged(({ event, topics }) => event === "published" && String(topics) === topic, topic);
  return { daemon, url, publish, admin, published, isOverloaded };
}

/** Opens connections and leaves them; resolves when each is connected or was refused. */
async function flood(t: TestContext, port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, "127.0.0.1").on("error", () => {}));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.once("connect", resolve).once("close", resolve))),
  );
  return sockets;
}

/** The slowest of some probes, milliseconds. Each is a connection of its own, as a load balancer makes it. */
async function probe(url: string): Promise<number> {
  let slowest = 0;
  for (let at = 0; at < 20; at++) {
    const began = performance.now();
    const { status } = await fetch(`${url}/healthz`, {
      headers: { Connection: "close" },
      signal: AbortSignal.timeout(PROBE_MS),
    });
    assert.equal(status, 200);
    slowest = Math.max(slowest, performance.now() - began);
  }
  return slowest;
}

describe("Descriptors", () => {
  test("a flood of publishers' connections leaves probes answered and a publisher at work", async (t) => {
    const { url, publish, published, isOverloaded, daemon } = await start(t);
    const publisher = new Publisher(`tcp://127.0.0.1:${publish}`);
    t.after(() => publisher.close());
    await publisher.publish("x", "before");
    await published("before");
    const sockets = await flood(t, publish, 400);
    t.diagnostic(`slowest of 20 probes: ${(await probe(url)).toFixed(0)} ms`);
    await publisher.publish("x", "meanwhile");
    await published("meanwhile");
    assert.ok(await isOverloaded("publish.zmq"));
    const { fix } = await daemon.logged(({ code }) => code === "overloaded", "the condition");
    assert.match(String(fix), /LimitNOFILE/);
    for (const socket of sockets) socket.destroy();
    const late = new Publisher(`tcp://127.0.0.1:${publish}`);
    t.after(() => late.close());
    await late.publish("x", "after");
    await published("after");
  });

  test("a flood of connections to the admin address leaves probes answered", async (t) => {
    const { url, admin, isOverloaded } = await start(t);
    await flood(t, admin, 400);
    t.diagnostic(`slowest of 20 probes: ${(await probe(url)).toFixed(0)} ms`);
    assert.ok(await isOverloaded("admin"));
  });
});
