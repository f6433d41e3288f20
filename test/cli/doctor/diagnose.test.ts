/** Why no fence returns, on sockets of libzmq and of other programs in the place of Mongrel2's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { Push, Reply, Subscriber } from "zeromq";
import { databaseFindings } from "../../../src/cli/doctor/database-findings.js";
import { diagnose } from "../../../src/cli/doctor/diagnose.js";
import { liveFindings } from "../../../src/cli/doctor/live-findings.js";
import { loadConfig } from "../../../src/config/load-config.js";
import { systemClock } from "../../../src/util/clock.js";
import { freePort } from "../../support/ports.js";

const { config } = loadConfig({ cwd: "/home/x" });
const [defaults] = config.mongrel2;

const find = (send_spec: string, recv_spec: string, bind = false) =>
  diagnose({ ...defaults, send_spec, recv_spec, send_ident: "ours", bind }, systemClock);

const absent = async () => `tcp://127.0.0.1:${await freePort()}`;

async function bound(t: TestContext, socket: Push | Subscriber | Reply): Promise<string> {
  const spec = await absent();
  await socket.bind(spec);
  t.after(() => socket.close());
  return spec;
}

const push = (t: TestContext) => bound(t, new Push({ linger: 0 }));

function subscriber(t: TestContext, prefix: string) {
  const socket = new Subscriber({ linger: 0 });
  socket.subscribe(prefix);
  const spec = bound(t, socket);
  // libzmq sends the subscription to a new peer only while the socket is used; the end of the test closes it.
  socket.receive().then(
    () => assert.fail("a PUB socket of the doctor sends nothing"),
    () => {},
  );
  return spec;
}

/** A program that is no ZeroMQ socket. */
async function program(t: TestContext, connected: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {}); // the probe disconnects
    t.after(() => socket.destroy());
    connected(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("diagnose", () => {
  test("probes nothing behind a proxy, whose sockets are not Mongrel2's", async () => {
    assert.deepEqual(await find(await absent(), await absent(), true), liveFindings.noFenceThroughProxy());
  });

  test("finds that nothing listens at either address, or at one of them", async (t) => {
    const [send, recv] = [await absent(), await absent()];
    assert.deepEqual(await find(send, recv), liveFindings.nothingListens(send, recv, "ECONNREFUSED"));
    assert.deepEqual(
      await find(send, await subscriber(t, "ours ")),
      liveFindings.oneAbsent("send_spec", send, "ECONNREFUSED"),
    );
    assert.deepEqual(await find(await push(t), recv), liveFindings.oneAbsent("recv_spec", recv, "ECONNREFUSED"));
  });

  test("finds that the two addresses are swapped", async (t) => {
    const [theirPush, theirSubscriber] = [await push(t), await subscriber(t, "ours ")];
    assert.deepEqual(await find(theirSubscriber, theirPush), liveFindings.specsSwapped(theirSubscriber, theirPush));
  });

  test("finds a socket of another type", async (t) => {
    const reply = await bound(t, new Reply({ linger: 0 }));
    const [theirPush, theirSubscriber] = [await push(t), await subscriber(t, "ours ")];
    assert.deepEqual(await find(reply, theirSubscriber), liveFindings.wrongType("send_spec", reply, "REP", "PUSH"));
    assert.deepEqual(await find(theirPush, reply), liveFindings.wrongType("recv_spec", reply, "REP", "SUB"));
  });

  test("finds a program that does not speak ZeroMQ, and one that says nothing", async (t) => {
    const theirSubscriber = await subscriber(t, "ours ");
    const web = await program(t, (socket) => socket.write(`HTTP/1.1 400 Bad Request\r\n${"\r\n".repeat(64)}`));
    assert.deepEqual(await find(web, theirSubscriber), liveFindings.foreign("send_spec", web));
    const stopped = await program(t, () => {});
    assert.deepEqual(await find(await push(t), stopped), liveFindings.mute("recv_spec", stopped));
  });

  test("finds that Mongrel2 accepts the messages of another ident", async (t) => {
    const theirPush = await push(t);
    const finding = await find(theirPush, await subscriber(t, "theirs "));
    assert.deepEqual(finding, liveFindings.prefixDiffers("theirs ", "ours ", "theirs"));
    const odd = await find(theirPush, await subscriber(t, "a/b"));
    assert.deepEqual(odd, databaseFindings.recvIdentWrong("a/b", "ours "));
  });

  test("finds no fault of the sockets where another handler may receive the notices", async (t) => {
    for (const prefix of ["ours ", "ou"]) {
      assert.deepEqual(await find(await push(t), await subscriber(t, prefix)), liveFindings.noFence());
    }
  });
});
