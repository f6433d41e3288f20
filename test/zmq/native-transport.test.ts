/** The contract of Transport over the native sockets, and what only these do: PING, foreign protocols, a second peer. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { GREETING, readyFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { NativeTransport } from "../../src/zmq/native-transport.js";
import { TransportBench, type TransportSpec, transportContract } from "../contract/transport.js";
import { RawConnection } from "../support/sse-client.js";

const open = (spec: TransportSpec) => new NativeTransport({ ...spec, identity: "us", clock: systemClock });

transportContract("NativeTransport", { open, canHalfClose: true });

const create = (t: TestContext, options?: { bind: boolean }) => TransportBench.create(t, open, options);
const portOf = (spec: string): number => Number(spec.split(":").at(-1));

describe("NativeTransport", () => {
  test("libzmq answers a PING on both connections, though the greeting announces ZMTP 3.0", async (t) => {
    const bench = await create(t);
    await bench.start();
    const peer = await bench.openPeer();
    await bench.logged("in +");
    await bench.untilSubscribed(peer);
    await bench.logged("out +");
    assert.equal(bench.transport.ping(), true);
    await bench.logged("in pong");
    await bench.logged("out pong");
    await peer.push.send("after");
    await bench.logged("message after");
  });

  test("sends no PING to a peer of ZMTP 3.0, and answers that of the peer", async (t) => {
    const bench = await create(t, { bind: true });
    await bench.start();
    const peer = new RawConnection(portOf(bench.spec.sendSpec));
    peer.write(Buffer.concat([GREETING, readyFrame("PUSH")]));
    await bench.logged("in +");
    assert.equal(bench.transport.ping(), false);
    peer.write("\x04\x07\x04PING\0\0");
    await peer.until(({ text }) => text.endsWith("\x04PONG"), "an answer to its own PING");
    assert.ok(!peer.text.includes("PING"));
    peer.close();
  });

  test("disconnects a peer of another protocol, and serves the others", async (t) => {
    const bench = await create(t, { bind: true });
    await bench.start();
    const { push } = await bench.openPeer();
    await bench.logged("in +");
    await push.send("one");
    await bench.logged("message one");
    const stranger = new RawConnection(portOf(bench.spec.sendSpec));
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    await stranger.over();
    await push.send("two");
    await bench.logged("message two");
    assert.deepEqual(
      bench.log.filter((line) => /^(?:in|error)/.test(line)),
      ["in +", "error invalid"],
    );
  });

  test("sends a peer only what it subscribes to, until it unsubscribes", async (t) => {
    const bench = await create(t, { bind: true });
    await bench.start();
    const peer = new RawConnection(portOf(bench.spec.recvSpec));
    peer.write(Buffer.concat([GREETING, readyFrame("SUB"), Buffer.from("\0\x07\x01other ")]));
    await bench.logged("out +");
    const send = (head: string, body: string) => bench.transport.send(Buffer.from(head), Buffer.from(body));
    send("us ", "one");
    send("oth", "er two: the head alone is compared");
    send("other ", "three");
    await peer.until(({ text }) => text.endsWith("other three"), "the subscribed message");
    peer.write(Buffer.from("\0\x07\0other \0\x06\0never\0\x04\x01us \x04\x07\x04PING\0\0"));
    await peer.until(({ text }) => text.endsWith("PONG"), "the subscriptions to be read");
    send("other ", "four");
    send("us ", "five");
    await peer.until(({ text }) => text.endsWith("us five"), "the newly subscribed message");
    assert.ok(!/one|two|four/.test(peer.text), peer.text);
    peer.close();
  });

  test("limits subscriptions of a peer, and disconnects one that sends only useless ones", async (t) => {
    const bench = await create(t, { bind: true });
    await bench.start();
    const peer = new RawConnection(portOf(bench.spec.recvSpec));
    const subscription = Buffer.from("\0\x04\x01us ");
    peer.write(Buffer.concat([GREETING, readyFrame("SUB"), ...Array.from({ length: 2000 }, () => subscription)]));
    await peer.over();
    await bench.logged("error invalid");
    assert.equal(bench.log.filter((line) => line === "out +").length, 1);
  });
});
