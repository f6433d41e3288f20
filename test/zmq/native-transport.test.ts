/** A link on real sockets: connecting or binding, messages in order both ways, peers that come and go. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Push, Subscriber } from "zeromq";
import { GREETING, readyFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { NativeTransport } from "../../src/zmq/native-transport.js";
import { Changes, within } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { RawConnection } from "../support/sse-client.js";

/** The head of what is sent: the peers subscribe to it. */
const US = Buffer.from("us ");

const address = async () => `tcp://127.0.0.1:${await freePort()}`;

/** A link, what it is told, and the two sockets that Mongrel2 has on the other side. */
async function setUp({ bind = false } = {}) {
  const [sendSpec, recvSpec] = [await address(), await address()];
  const changes = new Changes();
  const told: string[] = [];
  const tell = (what: string) => {
    told.push(what);
    changes.tell();
  };
  const link = new NativeTransport({ sendSpec, recvSpec, identity: "us", bind, clock: systemClock });
  const start = () =>
    link.start({
      message: (bytes) => tell(`message ${bytes}`),
      protocolError: ({ code }) => tell(`refused ${code}`),
      connected: (direction) => tell(`${direction} +`),
      disconnected: (direction) => tell(`${direction} -`),
      pong: (direction) => tell(`${direction} pong`),
    });
  const open = async () => {
    const push = new Push({ linger: 0 });
    const sub = new Subscriber({ linger: 0, receiveHighWaterMark: 0 });
    sub.subscribe("us ");
    for (const [socket, spec] of [
      [push, sendSpec],
      [sub, recvSpec],
    ] as const) {
      if (bind) socket.connect(spec);
      else await socket.bind(spec);
    }
    return { push, sub };
  };
  const heard = (what: string) => changes.until(() => told.includes(what), what);
  return { link, sendSpec, start, open, told, heard };
}

/** Sends until something arrives: a PUB socket loses what is sent before its peer has subscribed. */
async function untilHeard(link: NativeTransport, sub: Subscriber): Promise<void> {
  const again = setInterval(() => link.send(US, Buffer.from("probe")), 5);
  await within(10_000, sub.receive(), "a first frame");
  clearInterval(again);
}

/** The frames after those of untilHeard(). */
async function frames(sub: Subscriber, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) {
    const [frame] = await within(10_000, sub.receive(), "a frame");
    if (String(frame) !== "us probe") got.push(String(frame));
  }
  return got;
}

for (const bind of [false, true]) {
  test(`messages come and go in their order where the link ${bind ? "binds" : "connects"}`, async () => {
    const { link, start, open, told, heard } = await setUp({ bind });
    await start();
    const { push, sub } = await open();
    await heard("in +");
    await untilHeard(link, sub);
    const numbers = Array.from({ length: 5000 }, (_, index) => index);
    for (const number of numbers) link.send(US, Buffer.from(`${number}`));
    for (const number of numbers) await push.send(`${number}`);
    assert.deepEqual(
      await frames(sub, 5000),
      numbers.map((number) => `us ${number}`),
    );
    await heard("message 4999");
    assert.deepEqual(
      told.filter((it) => it.startsWith("message")),
      numbers.map((number) => `message ${number}`),
    );
    await link.close();
    push.close();
    sub.close();
  });
}

test("a link that is there first finds Mongrel2 when it comes, and again when it comes back", async () => {
  const { link, start, open, told, heard } = await setUp();
  await start();
  link.send(US, Buffer.from("lost: nobody is there"));
  const first = await open();
  await heard("in +");
  await untilHeard(link, first.sub);
  await heard("out +");
  await first.push.send("one");
  await heard("message one");
  first.push.close();
  first.sub.close();
  await heard("in -");
  await heard("out -");
  told.length = 0;
  const second = await open();
  await heard("in +");
  await second.push.send("two");
  await heard("message two");
  await untilHeard(link, second.sub);
  await link.close();
  second.push.close();
  second.sub.close();
});

test("libzmq answers a PING on both connections, though the link greets as ZMTP 3.0", async () => {
  const { link, start, open, heard } = await setUp();
  await start();
  assert.equal(link.ping(), false, "nobody is connected");
  const { push, sub } = await open();
  await heard("in +");
  await untilHeard(link, sub);
  await heard("out +");
  assert.equal(link.ping(), true);
  await heard("in pong");
  await heard("out pong");
  await push.send("after");
  await heard("message after");
  await link.close();
  assert.equal(link.ping(), false, "the link is closed");
  push.close();
  sub.close();
});

test("a peer of ZMTP 3.0 is sent no PING", async () => {
  const { link, sendSpec, start, heard } = await setUp({ bind: true });
  await start();
  const peer = new RawConnection(Number(sendSpec.split(":").at(-1)));
  peer.write(Buffer.concat([GREETING, readyFrame("PUSH")]));
  await heard("in +");
  assert.equal(link.ping(), false);
  peer.write("\x04\x07\x04PING\0\0");
  await peer.until(({ text }) => text.endsWith("\x04PONG"), "an answer to its own PING");
  assert.ok(!peer.text.includes("PING"));
  await link.close();
  peer.close();
});

test("a message in several parts is told as such and not taken for one", async () => {
  const { link, start, open, told, heard } = await setUp();
  await start();
  const { push, sub } = await open();
  await push.send(["a", "b"]);
  await push.send("after");
  await heard("message after");
  assert.deepEqual(
    told.filter((it) => !/[+-]$/.test(it)),
    ["refused invalid", "message after"],
  );
  await link.close();
  push.close();
  sub.close();
});

test("what speaks another language where the link binds is no peer, and disturbs none", async () => {
  const { link, sendSpec, start, open, told, heard } = await setUp({ bind: true });
  await start();
  const { push, sub } = await open();
  await heard("in +");
  await push.send("one");
  await heard("message one");
  const stranger = new RawConnection(Number(sendSpec.split(":").at(-1)));
  stranger.write("GET / HTTP/1.1\r\n\r\n");
  await stranger.over();
  await push.send("two");
  await heard("message two");
  assert.deepEqual(
    told.filter((it) => it.startsWith("in") || it.startsWith("refused")),
    ["in +", "refused protocol.zmtp"],
  );
  await link.close();
  push.close();
  sub.close();
});

test("where the link binds, a second peer is told to have come and to have gone", async () => {
  const { link, start, open, told, heard } = await setUp({ bind: true });
  await start();
  const first = await open();
  await heard("in +");
  const second = await open();
  await second.push.send("second");
  await heard("message second");
  second.push.close();
  second.sub.close();
  await heard("in -");
  assert.equal(told.filter((it) => it === "in +").length, 2);
  await first.push.send("first");
  await heard("message first");
  await link.close();
  first.push.close();
  first.sub.close();
});

test("what was sent before close arrives, and after it nothing is received or sent", async () => {
  const { link, start, open, told, heard } = await setUp();
  await start();
  const { push, sub } = await open();
  await heard("in +");
  await untilHeard(link, sub);
  for (let count = 0; count < 1000; count++) link.send(US, Buffer.from(`${count}`));
  const closed = link.close();
  link.send(US, Buffer.from("late"));
  assert.equal((await frames(sub, 1000)).at(-1), "us 999");
  await within(10_000, closed, "the link to close");
  const before = told.length;
  sub.receiveTimeout = 50;
  await assert.rejects(sub.receive(), { code: "EAGAIN" });
  assert.equal(told.slice(before).filter((it) => it.startsWith("message")).length, 0);
  push.close();
  sub.close();
});

test("a link with nobody at the other end closes at once", async () => {
  const { link, start } = await setUp();
  await start();
  link.send(US, Buffer.from("x"));
  await within(10_000, link.close(), "the link to close");
});

test("an address that is taken, where the link binds, is an error, and the link can still be closed", async () => {
  const { link, start, open } = await setUp({ bind: false });
  const { push, sub } = await open();
  const taken = new NativeTransport({
    sendSpec: push.lastEndpoint ?? "",
    recvSpec: await address(),
    identity: "",
    bind: true,
    clock: systemClock,
  });
  const receiver = { message() {}, protocolError() {}, connected() {}, disconnected() {} };
  await assert.rejects(taken.start(receiver), { code: "link_failed" });
  await within(10_000, taken.close(), "the failed link to close");
  await start();
  await link.close();
  push.close();
  sub.close();
});

describe("Link: stop receiving", () => {
  const drain = { mark: Buffer.from(" MARK "), markTimeoutMs: 10_000, endTimeoutMs: 10_000 };
  const messages = (told: readonly string[]) => told.filter((it) => it.startsWith("message"));

  for (const bind of [false, true]) {
    test(`hands on all that came up to the mark, half-closes, and goes on sending; ${bind ? "bound" : "connected"}`, async () => {
      const { link, start, open, told, heard } = await setUp({ bind });
      await start();
      const { push, sub } = await open();
      await heard("in +");
      await untilHeard(link, sub);
      const stopped = link.stopReceiving(drain);
      const sent = [...Array.from({ length: 3000 }, (_, index) => `${index}`), "us MARK @*"];
      for (const message of sent) await push.send(message);
      assert.equal(await within(10_000, stopped, "the end of receiving"), true);
      assert.deepEqual(
        messages(told),
        sent.map((message) => `message ${message}`),
      );
      assert.equal(told.at(-1), "in -", "the other side has ended, too, and after its last message");
      link.send(US, Buffer.from("answer"));
      assert.deepEqual(await frames(sub, 1), ["us answer"]);
      assert.equal(await within(10_000, link.close(), "the link to close"), true);
      push.close();
      sub.close();
    });
  }

  test("where the mark never comes it half-closes in the end, hands on what came, and promises nothing", async () => {
    const { link, start, open, told, heard } = await setUp();
    await start();
    const { push, sub } = await open();
    await heard("in +");
    await push.send("one");
    await heard("message one");
    assert.equal(await within(10_000, link.stopReceiving({ ...drain, markTimeoutMs: 20 }), "the end"), false);
    assert.equal(told.at(-1), "in -");
    await link.close();
    push.close();
    sub.close();
  });

  test("with nobody at the other end it ends at once, and nobody is connected to again", async () => {
    const { link, start, open, told } = await setUp();
    await start();
    assert.equal(await within(10_000, link.stopReceiving({ ...drain, markTimeoutMs: 0 }), "the end"), false);
    const { push, sub } = await open();
    push.sendTimeout = 300;
    await assert.rejects(push.send("nobody takes it"), { code: "EAGAIN" });
    assert.deepEqual(messages(told), []);
    await link.close();
    push.close();
    sub.close();
  });
});
