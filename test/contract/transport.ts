/**
 * What every Transport promises (src/zmq/transport.ts), tested against the sockets of a real Mongrel2: PUSH and SUB of libzmq. Each
 * implementation runs this suite.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Push, Subscriber } from "zeromq";
import type { Transport } from "../../src/zmq/transport.js";
import { Changes, within } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

export interface TransportSpec {
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** Binds both sockets instead of connecting them. */
  readonly bind: boolean;
}

export interface TransportContract {
  /** Creates a transport that is not started. */
  readonly open: (spec: TransportSpec) => Transport;
  /**
   * Whether the implementation can half-close a connection. It is the one difference that is allowed: without it stopReceiving() may
   * miss messages behind the mark, and close() cannot tell whether the peers have taken what was sent; both resolve with false.
   */
  readonly canHalfClose: boolean;
}

/** Head of each sent message: the SUB socket subscribes to it. */
const HEAD = Buffer.from("us ");
const PEER_TIMEOUT_MS = 10_000;
/** How long a peer waits for a message that must not arrive. */
const NO_MESSAGE_MS = 50;
const MESSAGE_COUNT = 5000;

const tcpAddress = async (): Promise<string> => `tcp://127.0.0.1:${await freePort()}`;

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);

/** The two sockets of a Mongrel2. */
export interface FakePeer {
  readonly push: Push;
  readonly sub: Subscriber;
  close(): void;
}

/** A transport, the log of its receiver, and what opens peers for it. Everything is closed at the end of the test. */
export class TransportBench {
  readonly transport: Transport;
  readonly spec: TransportSpec;
  /** Calls of the receiver, in order: "in +", "in -", "out pong", "message TEXT", "error CODE". */
  readonly log: string[] = [];
  readonly #changes = new Changes();
  readonly #context: TestContext;

  private constructor(context: TestContext, spec: TransportSpec, transport: Transport) {
    this.#context = context;
    this.spec = spec;
    this.transport = transport;
    context.after(() => transport.close());
  }

  static async create(
    context: TestContext,
    open: TransportContract["open"],
    { bind = false } = {},
  ): Promise<TransportBench> {
    const spec = { sendSpec: await tcpAddress(), recvSpec: await tcpAddress(), bind };
    return new TransportBench(context, spec, open(spec));
  }

  get messages(): string[] {
    return this.log.filter((line) => line.startsWith("message ")).map((line) => line.slice("message ".length));
  }

  start(): Promise<void> {
    return this.transport.start({
      message: (bytes) => this.#add(`message ${bytes}`),
      protocolError: ({ code }) => this.#add(`error ${code}`),
      connected: (direction) => this.#add(`${direction} +`),
      disconnected: (direction) => this.#add(`${direction} -`),
      pong: (direction) => this.#add(`${direction} pong`),
    });
  }

  async openPeer(): Promise<FakePeer> {
    const [push, sub] = [new Push({ linger: 0 }), new Subscriber({ linger: 0, receiveHighWaterMark: 0 })];
    const close = () => {
      push.close();
      sub.close();
    };
    this.#context.after(close);
    sub.subscribe(String(HEAD));
    const { sendSpec, recvSpec, bind } = this.spec;
    if (bind) push.connect(sendSpec);
    else await push.bind(sendSpec);
    if (bind) sub.connect(recvSpec);
    else await sub.bind(recvSpec);
    return { push, sub, close };
  }

  /** Resolves once the receiver was called so. */
  logged(line: string): Promise<unknown> {
    return this.#changes.until(() => this.log.includes(line), line);
  }

  /** Sends until a message arrives: a PUB socket loses messages before its peer has subscribed. */
  async untilSubscribed({ sub }: FakePeer): Promise<void> {
    const timer = setInterval(() => this.transport.send(HEAD, Buffer.from("probe")), 5);
    await within(PEER_TIMEOUT_MS, sub.receive(), "a first message");
    clearInterval(timer);
  }

  #add(line: string): void {
    this.log.push(line);
    this.#changes.tell();
  }
}

/** The messages behind those of untilSubscribed(). */
async function receive({ sub }: FakePeer, count: number): Promise<string[]> {
  const received: string[] = [];
  while (received.length < count) {
    const [message] = await within(PEER_TIMEOUT_MS, sub.receive(), "a message");
    if (String(message) !== `${HEAD}probe`) received.push(String(message));
  }
  return received;
}

export function transportContract(name: string, { open, canHalfClose }: TransportContract): void {
  describe(`${name}: contract of Transport`, () => {
    for (const bind of [false, true]) {
      test(`sends and receives messages in order when it ${bind ? "binds" : "connects"}`, async (t) => {
        const bench = await TransportBench.create(t, open, { bind });
        await bench.start();
        const peer = await bench.openPeer();
        await bench.logged("in +");
        await bench.untilSubscribed(peer);
        const sent = numbers(MESSAGE_COUNT);
        for (const text of sent) bench.transport.send(HEAD, Buffer.from(text));
        for (const text of sent) await peer.push.send(text);
        assert.deepEqual(
          await receive(peer, sent.length),
          sent.map((text) => `${HEAD}${text}`),
        );
        await bench.logged(`message ${sent.at(-1)}`);
        assert.deepEqual(bench.messages, sent);
      });
    }

    test("connects to a peer that starts later, and again after the peer has restarted", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      bench.transport.send(HEAD, Buffer.from("lost: no peer"));
      const first = await bench.openPeer();
      await bench.logged("in +");
      await bench.untilSubscribed(first);
      await bench.logged("out +");
      await first.push.send("one");
      await bench.logged("message one");
      first.close();
      await bench.logged("in -");
      await bench.logged("out -");
      bench.log.length = 0;
      const second = await bench.openPeer();
      await bench.logged("in +");
      await second.push.send("two");
      await bench.logged("message two");
      await bench.untilSubscribed(second);
    });

    test("reconnect() ends the connections and establishes new ones", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      const peer = await bench.openPeer();
      await bench.logged("in +");
      await bench.untilSubscribed(peer);
      bench.log.length = 0;
      bench.transport.reconnect();
      for (const line of ["in -", "out -", "in +"]) await bench.logged(line);
      await peer.push.send("after");
      await bench.logged("message after");
      await bench.untilSubscribed(peer);
    });

    test("reports a message of several parts as a protocol error, and receives the next message", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      const { push } = await bench.openPeer();
      await push.send(["a", "b"]);
      await push.send("after");
      await bench.logged("message after");
      assert.deepEqual(
        bench.log.filter((line) => /^(?:error|message)/.test(line)),
        ["error invalid", "message after"],
      );
    });

    test("ping() returns false without a connection", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      assert.equal(bench.transport.ping(), false);
      await bench.transport.close();
      assert.equal(bench.transport.ping(), false);
    });

    test("close() delivers the messages sent before; nothing is sent or received afterwards", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      const peer = await bench.openPeer();
      await bench.logged("in +");
      await bench.untilSubscribed(peer);
      const sent = numbers(1000);
      for (const text of sent) bench.transport.send(HEAD, Buffer.from(text));
      const closed = bench.transport.close();
      bench.transport.send(HEAD, Buffer.from("late"));
      assert.deepEqual(
        await receive(peer, sent.length),
        sent.map((text) => `${HEAD}${text}`),
      );
      assert.equal(await within(PEER_TIMEOUT_MS, closed, "close()"), canHalfClose);
      peer.sub.receiveTimeout = NO_MESSAGE_MS;
      await assert.rejects(peer.sub.receive(), { code: "EAGAIN" });
      assert.deepEqual(bench.messages, []);
    });

    test("close() resolves without a peer", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.start();
      bench.transport.send(HEAD, Buffer.from("x"));
      await within(PEER_TIMEOUT_MS, bench.transport.close(), "close()");
    });

    test("start() rejects if an address is in use, and close() works after that", async (t) => {
      const bench = await TransportBench.create(t, open);
      await bench.openPeer();
      const second = open({ ...bench.spec, bind: true });
      const receiver = { message() {}, protocolError() {}, connected() {}, disconnected() {} };
      await assert.rejects(second.start(receiver), { code: "link_failed" });
      await within(PEER_TIMEOUT_MS, second.close(), "close() of the failed transport");
    });

    testPeers(open);
    testStopReceiving({ open, canHalfClose });
  });
}

function testPeers(open: TransportContract["open"]): void {
  test("reports that a second peer of a bound socket connects and disconnects", async (t) => {
    const bench = await TransportBench.create(t, open, { bind: true });
    await bench.start();
    const first = await bench.openPeer();
    await bench.logged("in +");
    const second = await bench.openPeer();
    await second.push.send("second");
    await bench.logged("message second");
    second.close();
    await bench.logged("in -");
    assert.equal(bench.log.filter((line) => line === "in +").length, 2);
    await first.push.send("first");
    await bench.logged("message first");
  });

  test("truncates a request that is too large, so that its client can be answered", async (t) => {
    const bench = await TransportBench.create(t, open);
    await bench.start();
    const { push } = await bench.openPeer();
    await push.send(Buffer.alloc(8_000_001, "x"));
    await push.send("after");
    await bench.logged("message after");
    assert.deepEqual(
      bench.log.filter((line) => line.startsWith("error")),
      ["error too_large"],
    );
    assert.deepEqual(
      bench.messages.map(({ length }) => length),
      [64_000, "after".length],
    );
  });
}

const DRAINING = { mark: Buffer.from(" MARK "), markTimeoutMs: PEER_TIMEOUT_MS, endTimeoutMs: PEER_TIMEOUT_MS };

function testStopReceiving({ open, canHalfClose }: TransportContract): void {
  for (const bind of [false, true]) {
    test(`stopReceiving() receives everything up to the mark and goes on sending; ${bind ? "bound" : "connected"}`, async (t) => {
      const bench = await TransportBench.create(t, open, { bind });
      await bench.start();
      const peer = await bench.openPeer();
      await bench.logged("in +");
      await bench.untilSubscribed(peer);
      const stopped = bench.transport.stopReceiving(DRAINING);
      const sent = [...numbers(3000), "us MARK @*"];
      for (const text of sent) await peer.push.send(text);
      assert.equal(await within(PEER_TIMEOUT_MS, stopped, "stopReceiving()"), canHalfClose);
      assert.deepEqual(bench.messages, sent);
      if (canHalfClose) assert.equal(bench.log.at(-1), "in -", "the peer closes its side after its last message");
      bench.transport.send(HEAD, Buffer.from("answer"));
      assert.deepEqual(await receive(peer, 1), [`${HEAD}answer`]);
      assert.equal(await within(PEER_TIMEOUT_MS, bench.transport.close(), "close()"), canHalfClose);
    });
  }

  test("stopReceiving() without the mark emits the received messages and resolves with false", async (t) => {
    const bench = await TransportBench.create(t, open);
    await bench.start();
    const { push } = await bench.openPeer();
    await bench.logged("in +");
    await push.send("one");
    await bench.logged("message one");
    const stopped = bench.transport.stopReceiving({ ...DRAINING, markTimeoutMs: 20 });
    assert.equal(await within(PEER_TIMEOUT_MS, stopped, "stopReceiving()"), false);
    assert.equal(bench.log.at(-1), "in -");
    assert.deepEqual(bench.messages, ["one"]);
  });

  test("stopReceiving() without a peer resolves with false, and no peer is connected afterwards", async (t) => {
    const bench = await TransportBench.create(t, open);
    await bench.start();
    const stopped = bench.transport.stopReceiving({ ...DRAINING, markTimeoutMs: 0 });
    assert.equal(await within(PEER_TIMEOUT_MS, stopped, "stopReceiving()"), false);
    const { push } = await bench.openPeer();
    push.sendTimeout = 300;
    await assert.rejects(push.send("no receiver"), { code: "EAGAIN" });
    assert.deepEqual(bench.messages, []);
  });
}
