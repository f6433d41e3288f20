import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { PullServer } from "../../src/zmq/pull-server.js";
import { PushSocket } from "../../src/zmq/push-socket.js";
import { pullReceiver } from "../support/pull-receiver.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-push-"));

describe("Push", () => {
  after(() => rmSync(folder, { recursive: true }));

  /** A clock whose waits end when the test says so. */
  function heldClock() {
    const waits: { ms: number; done: () => void }[] = [];
    const clock: Clock = {
      ...systemClock,
      after(ms, done) {
        const wait = { ms, done };
        waits.push(wait);
        return () => waits.splice(waits.indexOf(wait), 1);
      },
    };
    return { clock, waits };
  }

  /** A PULL server that resolves `complete` at the given number of messages. */
  function pullServer(spec: string, messages: number) {
    const server = new PullServer(spec, systemClock);
    const received: string[] = [];
    let take: () => void = () => undefined;
    const complete = new Promise<void>((resolve) => {
      take = () => received.length === messages && resolve();
    });
    const start = () =>
      server.start(
        pullReceiver((parts) => {
          received.push(parts.map(String).join("|"));
          take();
        }),
      );
    return { start, complete, received, close: () => server.close() };
  }

  const failed = (pattern: RegExp) => (error: unknown) =>
    error instanceof M2pushError && error.code === "link_failed" && pattern.test(error.message);

  test("messages that are sent without waiting arrive in order, also far more than the socket holds", async () => {
    const spec = `ipc://${join(folder, "many")}`;
    const server = pullServer(spec, 5_000);
    await server.start();
    const socket = new PushSocket(spec);
    const sent = Array.from({ length: 5_000 }, (_, index) =>
      socket.send([Buffer.from("t"), Buffer.from(String(index))]),
    );
    await Promise.all(sent);
    await socket.close();
    await server.complete;
    assert.deepEqual(
      server.received,
      Array.from({ length: 5_000 }, (_, index) => `t|${index}`),
    );
    await server.close();
  });

  test("a send waits for a daemon that starts later", async () => {
    const { clock, waits } = heldClock();
    const spec = `ipc://${join(folder, "later")}`;
    const socket = new PushSocket(spec, { clock });
    const sent = socket.send([Buffer.from("x")]);
    const server = pullServer(spec, 1);
    await server.start();
    await sent;
    assert.equal(waits.length, 0);
    await socket.close();
    await server.complete;
    await server.close();
  });

  test("a send without a daemon fails after the timeout, and the socket then closes at once", async () => {
    const { clock, waits } = heldClock();
    const spec = `ipc://${join(folder, "nobody")}`;
    const socket = new PushSocket(spec, { clock, timeoutMs: 2_000 });
    const sent = socket.send([Buffer.from("x")]);
    await Promise.resolve();
    assert.deepEqual(
      waits.map(({ ms }) => ms),
      [2_000],
    );
    waits[0]?.done();
    await assert.rejects(sent, failed(/nobody did not answer within 2 s; fix: start `m2push serve`/));
    await socket.close();
  });

  test("a socket of another type is reported differently from no answer", async () => {
    const { clock, waits } = heldClock();
    const path = join(folder, "http");
    let connections = 0;
    const server = createServer((connection) => {
      connection.on("error", () => undefined).resume();
      connection.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      // The socket receives its first connection before it makes the second.
      if (++connections === 2) waits[0]?.done();
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const socket = new PushSocket(`ipc://${path}`, { clock });
    await assert.rejects(socket.send([Buffer.from("x")]), failed(/http is not a ZeroMQ PULL socket/));
    await socket.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test("an address that cannot be one is refused at once", () => {
    assert.throws(() => new PushSocket("nonsense"), failed(/cannot connect nonsense/));
    assert.throws(
      () => new PushSocket(`ipc:///${"x".repeat(200)}`),
      failed(/the path is too long; fix: choose a path/),
    );
  });

  test("closing a socket that sent nothing does not wait", async () => {
    await new PushSocket(`ipc://${join(folder, "unused")}`).close();
  });
});
