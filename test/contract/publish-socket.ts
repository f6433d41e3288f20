/**
 * What every socket for publishers promises (ServerReceiver in src/zmq/native-server.ts), tested with sockets of libzmq. A native one serves
 * all of their types; of libzmq each serves some.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Dealer, Push, Request, type Socket } from "zeromq";
import type { ServerReceiver } from "../../src/zmq/native-server.js";
import { Changes, within } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

export interface PublishSocketContract {
  readonly open: (spec: string) => { start(receiver: ServerReceiver): Promise<void>; close(): Promise<void> };
  /** Whether it serves PUSH sockets; and REQ and DEALER sockets. */
  readonly isPull: boolean;
  readonly isRouter: boolean;
}

const REPLY_TIMEOUT_MS = 10_000;
const MESSAGE_COUNT = 2000;

interface Question {
  readonly message: string;
  readonly reply: (text: string) => void;
}

/** A server, what it received, and publishers of it. Everything is closed at the end of the test. */
export class PublishBench {
  readonly spec: string;
  readonly server: ReturnType<PublishSocketContract["open"]>;
  readonly pushed: string[] = [];
  readonly questions: Question[] = [];
  readonly refused: string[] = [];
  readonly changes = new Changes();
  readonly #context: TestContext;

  private constructor(context: TestContext, spec: string, server: ReturnType<PublishSocketContract["open"]>) {
    this.#context = context;
    this.spec = spec;
    this.server = server;
    context.after(() => server.close());
  }

  /** `isEcho`: each request is answered at once, with itself. */
  static async start(context: TestContext, open: PublishSocketContract["open"], isEcho = true): Promise<PublishBench> {
    const spec = `tcp://127.0.0.1:${await freePort()}`;
    const bench = new PublishBench(context, spec, open(spec));
    await bench.server.start(bench.#receiver(isEcho));
    return bench;
  }

  connect<S extends Socket>(socket: S): S {
    this.#context.after(() => socket.close());
    socket.connect(this.spec);
    return socket;
  }

  #receiver(isEcho: boolean): ServerReceiver {
    const refuse = ({ message }: Error) => {
      this.refused.push(message);
      this.changes.tell();
    };
    return {
      message: (parts) => {
        this.pushed.push(join(parts));
        this.changes.tell();
        return true;
      },
      request: (parts, reply) => {
        this.questions.push({ message: join(parts), reply: (text) => reply(Buffer.from(text)) });
        if (isEcho) reply(Buffer.from(join(parts)));
        this.changes.tell();
      },
      refused: refuse,
      failed: refuse,
      recovered() {},
      broken: refuse,
    };
  }
}

const join = (parts: readonly Buffer[]): string => parts.map(String).join("|");
export const reply = async (socket: Dealer | Request): Promise<string> =>
  join(await within(REPLY_TIMEOUT_MS, socket.receive(), "a reply"));

export function publishSocketContract(name: string, { open, isPull, isRouter }: PublishSocketContract): void {
  describe(`${name}: contract of sockets for publishers`, () => {
    if (isPull) {
      test("messages of PUSH sockets arrive whole, those of each in order", async (t) => {
        const bench = await PublishBench.start(t, open);
        const publishers = [1, 2, 3].map(() => bench.connect(new Push({ linger: 0, sendHighWaterMark: 0 })));
        for (let count = 0; count < MESSAGE_COUNT; count++)
          for (const [who, push] of publishers.entries()) await push.send([`${who}`, `${count}`]);
        const all = publishers.length * MESSAGE_COUNT;
        await bench.changes.until(() => bench.pushed.length === all, "all messages");
        for (const who of publishers.keys()) {
          const own = bench.pushed.filter((message) => message.startsWith(`${who}|`));
          assert.deepEqual(
            own,
            Array.from({ length: MESSAGE_COUNT }, (_, count) => `${who}|${count}`),
          );
        }
      });
    }
    if (isRouter) testRequests(open);

    test("start() rejects if the address is in use, and close() works after that", async (t) => {
      const bench = await PublishBench.start(t, open);
      const second = open(bench.spec);
      const receiver = { message: () => true, request() {}, refused() {}, failed() {}, recovered() {}, broken() {} };
      await assert.rejects(second.start(receiver), { code: "link_failed", errno: "EADDRINUSE" });
      await second.close();
    });
  });
}

function testRequests(open: PublishSocketContract["open"]): void {
  test("answers REQ and DEALER sockets, and returns the envelope", async (t) => {
    const bench = await PublishBench.start(t, open);
    const [request, dealer] = [bench.connect(new Request({ linger: 0 })), bench.connect(new Dealer({ linger: 0 }))];
    await request.send(["t", "by REQ"]);
    assert.equal(await reply(request), "t|by REQ");
    await dealer.send(["t", "by DEALER"]);
    assert.equal(await reply(dealer), "t|by DEALER");
    await dealer.send(["", "t", "with the empty part"]);
    assert.equal(await reply(dealer), "|t|with the empty part");
  });

  test("replies keep the order of the messages of a publisher", async (t) => {
    const bench = await PublishBench.start(t, open, false);
    const dealer = bench.connect(new Dealer({ linger: 0 }));
    for (const text of ["1", "2", "3", "4"]) await dealer.send(text);
    await bench.changes.until(() => bench.questions.length === 4, "all messages");
    for (const index of [3, 1, 2, 0]) bench.questions[index]?.reply(bench.questions[index].message);
    for (const text of ["1", "2", "3", "4"]) assert.equal(await reply(dealer), text);
  });

  test("a DEALER with more messages under way than allowed waits, and loses none", async (t) => {
    const bench = await PublishBench.start(t, open, false);
    const dealer = bench.connect(new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 }));
    for (let count = 0; count < MESSAGE_COUNT; count++) await dealer.send(`${count}`);
    await bench.changes.until(() => bench.questions.length >= 1000, "the first thousand");
    for (let count = 0; count < MESSAGE_COUNT; count++) {
      await bench.changes.until(() => bench.questions.length > count, "the next message");
      assert.ok(bench.questions.length <= count + 1000, "at most a thousand are under way");
      bench.questions[count]?.reply(`${count}`);
      assert.equal(await reply(dealer), `${count}`);
    }
  });

  test("close() sends the replies that are owed", async (t) => {
    const bench = await PublishBench.start(t, open, false);
    const request = bench.connect(new Request({ linger: 0 }));
    await request.send("t");
    await bench.changes.until(() => bench.questions.length === 1, "the request");
    const closed = bench.server.close();
    setImmediate(() => bench.questions[0]?.reply("the last one"));
    assert.equal(await reply(request), "the last one");
    await closed;
  });
}
