import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { curveKeyPair, Request } from "zeromq";
import { PublishSockets } from "../../src/daemon/publish-sockets.js";
import type { M2pushError } from "../../src/errors.js";
import type { PublishRequest } from "../../src/publishing/publish-request.js";
import { systemClock } from "../../src/util/clock.js";
import type { ConnectionCap } from "../../src/util/descriptors.js";
import { load } from "../config/harness.js";
import { freePort } from "../support/ports.js";

const cap = { maxConnections: 10, limitReached() {} } as unknown as ConnectionCap;
const address = async () => `tcp://127.0.0.1:${await freePort()}`;
const keys = curveKeyPair();

const curveTable = (spec: string, topics: readonly string[]) => `[[publish.curve]]
name = "sensors"
address = "${spec}"
server_secret_key = "${keys.secretKey}"
client_public_key = "${curveKeyPair().publicKey}"
topics = ${JSON.stringify(topics)}
`;

const socketsOf = (toml: string) => new PublishSockets(load(toml).config, systemClock, cap);

/** Binds the sockets of a configuration; every event gets the id "1". */
async function start(t: TestContext, toml: string) {
  const requests: PublishRequest[] = [];
  const rejected: M2pushError[] = [];
  const sockets = socketsOf(toml);
  t.after(() => sockets.close());
  await sockets.start(
    {
      post: () => undefined,
      publisher: {
        async publish(request) {
          requests.push(request);
          return request.drafts.map(() => ({ id: "1" }));
        },
      },
      rates: { pauseAfter: () => 0 },
      batchLimits: { maxEvents: 10, maxBytes: 1000 },
      isReserved: () => false,
      rejected: (error) => rejected.push(error),
    },
    () => ({ refused() {}, failed() {}, recovered() {}, broken() {} }),
  );
  return { sockets, requests, rejected };
}

/** The reply to one message of a REQ socket. */
async function ask(t: TestContext, spec: string, ...parts: string[]): Promise<unknown> {
  const socket = new Request({ linger: 0 });
  t.after(() => socket.close());
  socket.connect(spec);
  await socket.send(parts);
  return JSON.parse(`${(await socket.receive())[0]}`);
}

describe("PublishSockets", () => {
  test("has an address for each one of [publish] and [[publish.curve]], and none where they are empty", async () => {
    assert.deepEqual(socketsOf('[publish]\nzmq = ""\n').addresses, []);
    const [zmq, acknowledged, curved] = [await address(), await address(), await address()];
    const toml = `[zmq]\nimplementation = "libzmq"\n[publish]\nzmq = "${zmq}"\nzmq_acknowledged = "${acknowledged}"\n`;
    const sockets = socketsOf(toml + curveTable(curved, ["sensors/{id}"]));
    assert.deepEqual(sockets.addresses, [zmq, acknowledged, curved]);
    assert.equal(sockets.hasBacklog, false);
  });

  test("publishes what arrives over either implementation, for the publisher of that address", async (t) => {
    const [zmq, acknowledged] = [await address(), await address()];
    const native = await start(t, `[publish]\nzmq = "${zmq}"\n`);
    assert.deepEqual(await ask(t, zmq, "t", "x"), { id: "1" });
    const { requests } = await start(
      t,
      `[zmq]\nimplementation = "libzmq"\n[publish]\nzmq = ""\nzmq_acknowledged = "${acknowledged}"\n`,
    );
    assert.deepEqual(await ask(t, acknowledged, "t", "x"), { id: "1" });
    assert.deepEqual(
      [...native.requests, ...requests].map(({ publisher, drafts }) => [publisher, drafts[0]?.data]),
      [
        ["zmq", "x"],
        ["zmq", "x"],
      ],
    );
  });

  test("refuses an address that is in use, and names it", async (t) => {
    const zmq = await address();
    await start(t, `[publish]\nzmq = "${zmq}"\n`);
    await assert.rejects(start(t, `[publish]\nzmq = "${zmq}"\n`), { code: "link_failed", message: new RegExp(zmq) });
  });

  test("refuses a topic with an invisible character, and names its publisher", async () => {
    const curved = await address();
    assert.throws(() => socketsOf(`[publish]\nzmq = ""\n${curveTable(curved, ["sensors/\u{202e}"])}`), {
      code: "config_invalid",
      message: /^\[\[publish\.curve\]\] "sensors": invalid topic .*U\+202E/,
    });
  });
});
