import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Publisher, Pull } from "zeromq";
import { FakeMongrel2, type FakeOptions } from "../support/fake-mongrel2.js";
import { RawHandler } from "../support/handler.js";
import { type Bench, repeat, startBench } from "./bench.js";
import { scenario } from "./scenario.js";

for (const protocol of ["json", "tnetstring"] as const) {
  scenario(`the fake Mongrel2 with ${protocol} headers`, async () => {
    const server = await FakeMongrel2.start({ protocol });
    const browse = () => {
      const client = server.connect();
      return {
        get text() {
          return client.text;
        },
        get isOver() {
          return client.ending !== undefined;
        },
        received: (part: string) => client.received(part),
        over: () => client.over(),
        leave: () => client.leave(),
      };
    };
    return { server, browse, close: () => server.stop() };
  });
}

let bench: Bench;
let fake: FakeMongrel2;
let handler: RawHandler;

async function start(options?: FakeOptions): Promise<void> {
  bench = await startBench(options);
  ({ fake, handler } = bench);
}

describe("what the fake counts and tells", () => {
  beforeEach(() => start());
  afterEach(() => bench.stop());

  test("frames, bodies, controls and mistakes are counted apart", async () => {
    const client = await bench.browser();
    const before = { ...fake.counters };
    void handler.send([client.id, 900], "12345");
    void handler.keepAlive([client.id]);
    void handler.send(
      Array.from({ length: 129 }, (_, i) => i + 1),
      "x",
    );
    void handler.raw(`${handler.sender} rubbish`);
    void handler.send([client.id], "");
    await handler.fence();
    assert.equal(await client.over(), "closed");
    const { frames, written, bytes, keepAlives, closes, malformed, oversized, notices } = fake.counters;
    assert.equal(frames - before.frames, 6);
    assert.deepEqual(
      { written, bytes, keepAlives, closes, malformed, oversized },
      { written: 1, bytes: 5, keepAlives: 1, closes: 1, malformed: 2, oversized: 1 },
    );
    assert.equal(notices - before.notices, 2);
    assert.equal(client.keepAlives, 1);
  });

  test("a client hands out its messages one by one", async () => {
    const client = await bench.browser();
    void handler.send([client.id], "one");
    void handler.send([client.id], "two");
    assert.equal((await client.next()).toString(), "one");
    assert.equal((await client.next()).toString(), "two");
  });

  test("a request carries what the browser sent, and a second one the same id", async () => {
    const client = fake.connect({ path: "/x", query: "a=1", headers: { "last-event-id": "7" } });
    const first = await handler.request();
    assert.equal(first.path, "/x");
    assert.match(first.text, /"QUERY":"a=1"/);
    assert.match(first.text, /"last-event-id":"7"/);
    client.send({ method: "POST", body: "b" });
    const second = await handler.request();
    assert.equal(second.id, first.id);
    assert.match(second.text, /1:b,$/);
  });

  test("a close that found no place makes the connection deaf to a cancel, as in the real one", async () => {
    const client = await bench.browser();
    client.pause();
    repeat(16, () => handler.send([client.id], "m"));
    void handler.send([client.id], "");
    void handler.cancel([client.id]);
    await handler.fence();
    assert.equal(client.ending, undefined);
    assert.equal(fake.counters.lostCloses, 1);
    assert.equal(fake.counters.cancels, 0);
  });

  test("an extended reply that is broken inside crashes the server", async () => {
    const client = await bench.browser();
    await handler.raw(`${handler.sender} 3:X ${client.id}, 10:3:ctl,5:x}]`);
    assert.equal(await client.over(), "lost");
    assert.equal(fake.counters.crashes, 1);
  });

  test("ids that static files used up are left out", async () => {
    fake.burnIds(9);
    assert.equal((await bench.browser()).id, 10);
  });
});

describe("a frame's prefix", () => {
  test("only frames that begin with recv_ident are taken", async () => {
    await start({ sendIdent: "srv-A" });
    const client = await bench.browser();
    await handler.raw(`srv-AB 1:${client.id}, stray`);
    await handler.raw(`srv-A 1:${client.id}, mine`);
    await client.received("mine");
    assert.equal(client.text, "mine");
    await bench.stop();
  });
});

describe("a restart", () => {
  beforeEach(() => start());
  afterEach(() => bench.stop());

  test("loses every connection, and ids begin again at 1 on the same addresses", async () => {
    const old = await bench.browser();
    const specs = [fake.sendSpec, fake.recvSpec];
    await fake.restart();
    assert.equal(await old.over(), "lost");
    assert.deepEqual([fake.sendSpec, fake.recvSpec], specs);
    await handler.live();
    const fresh = await bench.browser();
    assert.equal(fresh.id, old.id);
    await handler.send([old.id], "for the old one");
    await fresh.received("for the old one");
    assert.equal(old.text, "");
  });

  test("holds requests until a handler connects", async () => {
    const alone = await FakeMongrel2.start();
    const client = alone.connect();
    const late = await RawHandler.connect(alone);
    // live() has dropped what came before; the request was among it, so it is asked for again.
    client.send();
    assert.equal((await late.request()).id, client.id);
    await late.close();
    await alone.stop();
  });
});

describe("a handler that sends but does not listen", () => {
  test("is not heard: the first notice that nobody takes stops the reading of frames, until somebody does", async () => {
    fake = await FakeMongrel2.start();
    const pub = new Publisher({ sendHighWaterMark: 0, linger: 0 });
    const pull = new Pull({ receiveHighWaterMark: 0, linger: 0 });
    pub.connect(fake.recvSpec);
    // A PUB socket loses what it sends before it is connected: send until one frame was taken, then twenty more.
    await new Promise<void>((resolve) => {
      let more = 20;
      const again = setInterval(() => {
        void pub.send(`${fake.sendIdent} 1:1, x`);
        if (fake.counters.frames === 0 || --more > 0) return;
        clearInterval(again);
        resolve();
      }, 2);
    });
    assert.equal(fake.counters.frames, 1);
    pull.connect(fake.sendSpec);
    await fake.until(() => fake.counters.frames > 20, "the other frames");
    pub.close();
    pull.close();
    await fake.stop();
  });
});
