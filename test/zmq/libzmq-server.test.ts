/** The contract of sockets for publishers over both implementations; CURVE, which libzmq alone has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { curveKeyPair, Push, Request } from "zeromq";
import { partsFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { LibzmqServer } from "../../src/zmq/libzmq-server.js";
import { NativeServer } from "../../src/zmq/native-server.js";
import { PublishBench, publishSocketContract, reply } from "../contract/publish-socket.js";
import { RawConnection } from "../support/sse-client.js";

const clock = systemClock;

publishSocketContract("NativeServer", {
  open: (spec) => new NativeServer(spec, clock),
  ...{ isPull: true, isRouter: true },
});
publishSocketContract("LibzmqServer, PULL", {
  open: (spec) => new LibzmqServer({ spec, type: "PULL", clock }),
  ...{ isPull: true, isRouter: false },
});
publishSocketContract("LibzmqServer, ROUTER", {
  open: (spec) => new LibzmqServer({ spec, type: "ROUTER", clock }),
  ...{ isPull: false, isRouter: true },
});

describe("LibzmqServer", () => {
  test("serves a PUSH socket of ZMTP 2.0 (ZeroMQ 3, JeroMQ 0.3.6), which native sockets refuse", async (t) => {
    const bench = await PublishBench.start(t, (spec) => new LibzmqServer({ spec, type: "PULL", clock }));
    const peer = new RawConnection(Number(bench.spec.split(":").at(-1)));
    t.after(() => peer.close());
    // Signature, revision 1, type 8 (PUSH), an empty identity; then frames as in ZMTP 3.
    const greeting = Buffer.from("ff00000000000000017f01080000", "hex");
    peer.write(Buffer.concat([greeting, partsFrame([Buffer.from("news"), Buffer.from("old")])]));
    await bench.changes.until(() => bench.pushed.length > 0, "the message");
    assert.deepEqual(bench.pushed, ["news|old"]);
  });
});

describe("LibzmqServer with CURVE", () => {
  const [server, client, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
  const curve = { serverSecretKey: server.secretKey, clientPublicKey: client.publicKey };
  const keysOf = ({ publicKey, secretKey }: typeof client, serverKey = server.publicKey) => {
    return { linger: 0, curvePublicKey: publicKey, curveSecretKey: secretKey, curveServerKey: serverKey };
  };

  test("admits the configured key, for PUSH and for REQ sockets", async (t) => {
    const pull = await PublishBench.start(t, (spec) => new LibzmqServer({ spec, type: "PULL", clock, curve }));
    await pull.connect(new Push(keysOf(client))).send(["t", "encrypted"]);
    await pull.changes.until(() => pull.pushed.length > 0, "the message");
    assert.deepEqual(pull.pushed, ["t|encrypted"]);
    const router = await PublishBench.start(t, (spec) => new LibzmqServer({ spec, type: "ROUTER", clock, curve }));
    const request = router.connect(new Request(keysOf(client)));
    await request.send(["t", "and answered"]);
    assert.equal(await reply(request), "t|and answered");
  });

  test("rejects another key, a wrong server key and a publisher without keys, and serves on", async (t) => {
    const bench = await PublishBench.start(t, (spec) => new LibzmqServer({ spec, type: "PULL", clock, curve }));
    const options = { sendHighWaterMark: 10, linger: 0 };
    const rejected: [options: object, reason: RegExp][] = [
      [keysOf(stranger), /the peer's key is not admitted; fix: compare its public key/],
      [keysOf(client, stranger.publicKey), /the CURVE handshake failed; fix: compare the server's public key/],
      // Either side may be the first to see that the mechanisms differ.
      [{}, /(?:the peer uses another security mechanism|without a handshake of ZMTP 3); fix: .*set CURVE at both ends/],
    ];
    for (const [keys, reason] of rejected) {
      const push = bench.connect(new Push({ ...options, ...keys }));
      await push.send(["t", "rejected"]);
      await bench.changes.until(() => bench.refused.some((message) => reason.test(message)), String(reason));
      push.close();
    }
    await bench.connect(new Push(keysOf(client))).send(["t", "admitted"]);
    await bench.changes.until(() => bench.pushed.length > 0, "the message");
    assert.deepEqual(bench.pushed, ["t|admitted"]);
  });
});
