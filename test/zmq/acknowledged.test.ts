/** The socket for publishers with REQ and DEALER sockets, which get a reply to each message; most of them are those of libzmq. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { Dealer, Push, Request, Router, Proxy as ZmqProxy } from "zeromq";
import { GREETING, partsFrame, readyFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { NativeServer } from "../../src/zmq/native-server.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { RawConnection } from "../support/sse-client.js";

interface Question {
  readonly message: string;
  readonly reply: (text: string) => void;
}

/** A server whose requests the test answers itself; `isEcho`: each is answered at once, with itself. */
async function setUp({ isEcho = true } = {}) {
  const port = await freePort();
  const spec = `tcp://127.0.0.1:${port}`;
  const server = new NativeServer(spec, systemClock);
  const changes = new Changes();
  const pushed: string[] = [];
  const requests: Question[] = [];
  const refused: string[] = [];
  const join = (parts: readonly Buffer[]) => parts.map(String).join("|");
  const tell = (error: Error) => {
    refused.push(error.message);
    changes.tell();
  };
  await server.start({
    message(parts) {
      pushed.push(join(parts));
      changes.tell();
      return true;
    },
    request(parts, reply) {
      const message = join(parts);
      requests.push({ message, reply: (text) => reply(Buffer.from(text)) });
      if (isEcho) reply(Buffer.from(message));
      changes.tell();
    },
    refused: tell,
    failed: tell,
    recovered() {},
    broken() {},
  });
  return { port, spec, server, changes, pushed, requests, refused };
}

const texts = (parts: readonly Buffer[]): string[] => parts.map(String);

/** Reads this number of messages. */
async function receive(socket: Dealer, count: number): Promise<string[]> {
  const received: string[] = [];
  while (received.length < count) received.push(texts(await socket.receive()).join("|"));
  return received;
}

/** A peer of raw bytes that has completed the handshake. */
async function rawPeer(port: number, type: string): Promise<RawConnection> {
  const peer = new RawConnection(port);
  peer.write(Buffer.concat([GREETING, readyFrame(type)]));
  await peer.until(({ text }) => text.endsWith("ROUTER"), "the server's READY");
  return peer;
}

describe("NativeServer with acknowledgements", () => {
  test("one address serves REQ, DEALER and PUSH sockets", async () => {
    const { spec, server, changes, pushed } = await setUp();
    const [request, dealer, push] = [new Request({ linger: 0 }), new Dealer({ linger: 0 }), new Push({ linger: 0 })];
    for (const socket of [request, dealer, push]) socket.connect(spec);
    await request.send(["t", "by REQ"]);
    assert.deepEqual(texts(await request.receive()), ["t|by REQ"]);
    await dealer.send(["t", "by DEALER"]);
    assert.deepEqual(texts(await dealer.receive()), ["t|by DEALER"]);
    await dealer.send(["", "t", "with the empty part"]);
    assert.deepEqual(texts(await dealer.receive()), ["", "t|with the empty part"]);
    await push.send(["t", "by PUSH"]);
    await changes.until(() => pushed.length === 1, "the message of the PUSH socket");
    assert.deepEqual(pushed, ["t|by PUSH"]);
    await server.close();
    for (const socket of [request, dealer, push]) socket.close();
  });

  test("a REQ socket that correlates its requests gets its replies", async () => {
    const { spec, server } = await setUp();
    const request = new Request({ linger: 0, correlate: true, relaxed: true });
    request.connect(spec);
    await request.send(["t", "1"]);
    await request.send(["t", "2"]);
    assert.deepEqual(texts(await request.receive()), ["t|2"]);
    await server.close();
    request.close();
  });

  test("REQ sockets behind a proxy of libzmq get their replies", async () => {
    const { spec, server } = await setUp();
    const front = `tcp://127.0.0.1:${await freePort()}`;
    const [router, dealer] = [new Router({ linger: 0 }), new Dealer({ linger: 0 })];
    const proxy = new ZmqProxy(router, dealer);
    await router.bind(front);
    dealer.connect(spec);
    const running = proxy.run();
    const requests = [new Request({ linger: 0 }), new Request({ linger: 0 })];
    await Promise.all(
      requests.map(async (request, index) => {
        request.connect(front);
        for (let count = 0; count < 20; count++) {
          await request.send(["t", `${index}.${count}`]);
          assert.deepEqual(texts(await request.receive()), [`t|${index}.${count}`]);
        }
      }),
    );
    for (const request of requests) request.close();
    proxy.terminate();
    await running;
    await server.close();
  });

  test("replies keep the order of the messages, in whatever order they are known", async () => {
    const { spec, server, changes, requests } = await setUp({ isEcho: false });
    const dealer = new Dealer({ linger: 0 });
    dealer.connect(spec);
    for (const text of ["1", "2", "3", "4"]) await dealer.send(text);
    await changes.until(() => requests.length === 4, "all messages");
    for (const index of [3, 1, 2, 0]) requests[index]?.reply(requests[index].message);
    assert.deepEqual(await receive(dealer, 4), ["1", "2", "3", "4"]);
    await server.close();
    dealer.close();
  });

  test("a DEALER with more messages under way than allowed waits, and loses none", async () => {
    const { spec, server, changes, requests } = await setUp({ isEcho: false });
    const dealer = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
    dealer.connect(spec);
    for (let count = 0; count < 5000; count++) await dealer.send(`${count}`);
    await changes.until(() => requests.length >= 1000, "the first thousand");
    const innocent = new Request({ linger: 0 });
    innocent.connect(spec);
    await innocent.send("innocent");
    const isInnocent = ({ message }: Question) => message === "innocent";
    const question = await changes.until(() => requests.find(isInnocent), "the request of another peer");
    assert.equal(requests.length, 1001);
    question.reply("served");
    assert.deepEqual(texts(await innocent.receive()), ["served"]);
    const received = receive(dealer, 5000);
    for (let next = 0; next < 5001; next++) {
      const request = await changes.until(() => requests[next], `request ${next}`);
      if (!isInnocent(request)) request.reply(request.message);
    }
    assert.deepEqual(
      await received,
      Array.from({ length: 5000 }, (_, index) => `${index}`),
    );
    await server.close();
    dealer.close();
    innocent.close();
  });

  test("a peer that does not read its replies is not read, an innocent one beside it is served, and nothing is lost", async () => {
    const { port, spec, server, requests } = await setUp();
    const changes = new Changes();
    const stubborn = connect(port, "127.0.0.1");
    const [body, count] = [Buffer.alloc(20_000, "x"), 1500];
    const expected = GREETING.length + readyFrame("ROUTER").length + count * partsFrame([body]).length;
    stubborn.write(Buffer.concat([GREETING, readyFrame("DEALER"), ...Array<Buffer>(count).fill(partsFrame([body]))]));
    const innocent = new Request({ linger: 0 });
    innocent.connect(spec);
    // What the kernel and the peer's own buffers can hold is answered; after that the number stays, however often the innocent one asks.
    let [before, rounds] = [-1, 0];
    while (before !== requests.length - rounds) {
      before = requests.length - rounds;
      for (let round = 0; round < 100; round++, rounds++) {
        await innocent.send("innocent");
        assert.deepEqual(texts(await innocent.receive()), ["innocent"]);
      }
    }
    assert.ok(before < count, `${before} of ${count} messages were taken`);
    let received = 0;
    stubborn.on("data", ({ length }) => {
      received += length;
      changes.tell();
    });
    await changes.until(() => received >= expected, "all replies");
    assert.equal(received, expected);
    assert.equal(requests.length - rounds, count);
    stubborn.destroy();
    await server.close();
    innocent.close();
  });

  test("cut at every byte: each message is answered, in order", async () => {
    const { port, server } = await setUp();
    const messages = [["", "t", "1"], ["t", "2"], [""], ["\0id", "", "t", "3"]];
    const bytes = Buffer.concat(messages.map((parts) => partsFrame(parts.map((part) => Buffer.from(part)))));
    const expected = partsFrames([["", "t|1"], ["t|2"], ["", ""], ["\0id", "", "t|3"]]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const peer = await rawPeer(port, "DEALER");
      const handshake = peer.received.length;
      peer.write(bytes.subarray(0, cut));
      await new Promise(setImmediate);
      peer.write(bytes.subarray(cut));
      await peer.until(({ received }) => received.length >= handshake + expected.length, `replies, cut at ${cut}`);
      assert.deepEqual(peer.received.subarray(handshake), expected);
      peer.close();
    }
    await server.close();
  });

  test("what was read is answered before the server closes the connection", async () => {
    const { spec, server, changes, requests } = await setUp({ isEcho: false });
    const dealer = new Dealer({ linger: 0 });
    dealer.connect(spec);
    for (const text of ["1", "2", "3"]) await dealer.send(text);
    await changes.until(() => requests.length === 3, "all messages");
    const closed = server.close();
    for (const { message, reply } of requests) {
      await new Promise(setImmediate);
      reply(message);
    }
    assert.deepEqual(await receive(dealer, 3), ["1", "2", "3"]);
    await closed;
    dealer.close();
  });

  test("a peer that has gone before its reply disturbs nobody", async () => {
    const { port, spec, server, changes, requests } = await setUp({ isEcho: false });
    const gone = await rawPeer(port, "REQ");
    gone.write(partsFrame([Buffer.alloc(0), Buffer.from("gone")]));
    await changes.until(() => requests.length === 1, "the request");
    gone.reset();
    const request = new Request({ linger: 0 });
    request.connect(spec);
    await request.send("next");
    await changes.until(() => requests.length === 2, "the next request");
    for (const { message, reply } of requests) reply(message);
    assert.deepEqual(texts(await request.receive()), ["next"]);
    await server.close();
    request.close();
  });

  test("an envelope above the limit ends its connection", async () => {
    const { port, server, changes, refused } = await setUp();
    const peer = await rawPeer(port, "DEALER");
    peer.write(partsFrame([Buffer.alloc(2000), Buffer.alloc(0), Buffer.from("t")]));
    await peer.over();
    await changes.until(() => refused.length === 1, "the error");
    assert.match(refused[0] ?? "", /the envelope of a request has 2000 bytes, the limit is 1024/);
    await server.close();
  });
});

function partsFrames(messages: readonly (readonly string[])[]): Buffer {
  return Buffer.concat(messages.map((parts) => partsFrame(parts.map((part) => Buffer.from(part)))));
}
