/** The contract of Transport over the zeromq package, and how it reports what libzmq does in its own thread. */
import assert from "node:assert/strict";
import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { curveKeyPair, Push, Subscriber } from "zeromq";
import { systemClock } from "../../src/util/clock.js";
import { LibzmqTransport } from "../../src/zmq/libzmq-transport.js";
import type { TransportObserver } from "../../src/zmq/transport.js";
import { TransportBench, type TransportSpec, transportContract } from "../contract/transport.js";
import { Changes } from "../support/deadline.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const open = (spec: TransportSpec) => new LibzmqTransport({ ...spec, clock: systemClock });

transportContract("LibzmqTransport", { open, canHalfClose: false });

/** What an observer is told, as lines. */
class Reports implements TransportObserver {
  readonly lines: string[] = [];
  readonly #changes = new Changes();

  unreachable({ message }: Error): void {
    this.#add(`unreachable: ${message}`);
  }

  reached(address: string): void {
    this.#add(`reached ${address}`);
  }

  broken({ message }: Error): void {
    this.#add(`broken: ${message}`);
  }

  until(pattern: RegExp): Promise<unknown> {
    return this.#changes.until(() => this.lines.some((line) => pattern.test(line)), String(pattern));
  }

  #add(line: string): void {
    this.lines.push(line);
    this.#changes.tell();
  }
}

describe("LibzmqTransport", () => {
  test("reports once that nothing listens, and that the peer was reached", async (t) => {
    const reports = new Reports();
    const observed = (spec: TransportSpec) => new LibzmqTransport({ ...spec, clock: systemClock, observer: reports });
    const bench = await TransportBench.create(t, observed);
    await bench.start();
    const { sendSpec, recvSpec } = bench.spec;
    for (const spec of [sendSpec, recvSpec])
      await reports.until(new RegExp(`unreachable: cannot connect ${spec}: no connection .*; fix: start Mongrel2`));
    await bench.openPeer();
    for (const spec of [sendSpec, recvSpec]) await reports.until(new RegExp(`reached ${spec}`));
    assert.equal(reports.lines.length, 4);
  });

  test("names a peer of the wrong type and the fix", async (t) => {
    const reports = new Reports();
    const bench = await TransportBench.create(t, open);
    const { sendSpec, recvSpec } = bench.spec;
    await bench.openPeer();
    const swapped = new LibzmqTransport({
      ...bench.spec,
      ...{ sendSpec: recvSpec, recvSpec: sendSpec, clock: systemClock, observer: reports },
    });
    t.after(() => swapped.close());
    await swapped.start({ message() {}, protocolError() {}, connected() {}, disconnected() {} });
    await reports.until(
      /unreachable: at \S+: the ZeroMQ handshake failed: the peer is a socket of the wrong type, .*; fix: check whether two addresses/,
    );
  });

  test("connects again after a peer of the wrong type has gone", async (t) => {
    const reports = new Reports();
    const observed = (spec: TransportSpec) => new LibzmqTransport({ ...spec, clock: systemClock, observer: reports });
    const bench = await TransportBench.create(t, observed);
    const wrong = new Subscriber({ linger: 0 });
    await wrong.bind(bench.spec.sendSpec);
    await bench.start();
    await reports.until(/the peer is a socket of the wrong type/);
    await wrong.unbind(bench.spec.sendSpec);
    wrong.close();
    const { push } = await bench.openPeer();
    await push.send("after");
    await bench.logged("message after");
  });

  test("a peer of the wrong type at a bound address does not count as the end of the link", async (t) => {
    const bench = await TransportBench.create(t, open, { bind: true });
    await bench.start();
    const { push } = await bench.openPeer();
    await bench.logged("in +");
    const wrong = new Subscriber({ linger: 0 });
    t.after(() => wrong.close());
    wrong.connect(bench.spec.sendSpec);
    await bench.logged("error invalid");
    await push.send("after");
    await bench.logged("message after");
    assert.ok(!bench.log.includes("in -"));
  });

  test("with CURVE it serves the proxy's key, and no peer without keys", async (t) => {
    const [server, proxy] = [curveKeyPair(), curveKeyPair()];
    const curve = { serverSecretKey: server.secretKey, clientPublicKey: proxy.publicKey };
    const secure = (spec: TransportSpec) => new LibzmqTransport({ ...spec, clock: systemClock, curve });
    const bench = await TransportBench.create(t, secure, { bind: true });
    await bench.start();
    await bench.openPeer();
    await bench.logged("error invalid");
    const { publicKey: curvePublicKey, secretKey: curveSecretKey } = proxy;
    const push = new Push({ linger: 0, curvePublicKey, curveSecretKey, curveServerKey: server.publicKey });
    t.after(() => push.close());
    push.connect(bench.spec.sendSpec);
    await push.send("encrypted");
    await bench.logged("message encrypted");
    assert.ok(!bench.log.includes("out +"));
  });

  test("binds an ipc path that a dead process has left, and no other file", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const [sendSpec, recvSpec] = [`ipc://${join(folder, "send")}`, `ipc://${join(folder, "recv")}`];
    const receiver = { message() {}, protocolError() {}, connected() {}, disconnected() {} };
    writeFileSync(join(folder, "send"), "a file of somebody else");
    const refused = open({ sendSpec, recvSpec, bind: true });
    await assert.rejects(refused.start(receiver), { code: "link_failed", errno: "EEXIST" });
    await refused.close();
    unlinkSync(join(folder, "send"));
    const first = open({ sendSpec, recvSpec, bind: true });
    await first.start(receiver);
    const second = open({ sendSpec, recvSpec, bind: true });
    await assert.rejects(second.start(receiver), { code: "link_failed", errno: "EADDRINUSE" });
    await second.close();
    await first.close();
  });
});
