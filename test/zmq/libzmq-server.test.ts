/** The contract of sockets for publishers over both implementations; CURVE, which libzmq alone has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { curveKeyPair, Push, Request } from "zeromq";
import { systemClock } from "../../src/util/clock.js";
import { LibzmqServer } from "../../src/zmq/libzmq-server.js";
import { PullServer } from "../../src/zmq/pull-server.js";
import { PublishBench, publishSocketContract, reply } from "../contract/publish-socket.js";

const clock = systemClock;

publishSocketContract("PullServer", {
  open: (spec) => new PullServer(spec, clock),
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
      [{}, /the peer uses another security mechanism; fix: set CURVE at both ends/],
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
