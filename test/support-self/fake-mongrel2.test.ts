import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Publisher, Pull } from "zeromq";
import { FakeMongrel2, type FakeOptions } from "../support/fake-mongrel2.js";
import { RawHandler } from "../support/handler.js";
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

let fake: FakeMongrel2;
let handler: RawHandler;

async function start(options: FakeOptions = {}): Promise<void> {
  fake = await FakeMongrel2.start(options);
  handler = await RawHandler.connect(fake);
}

async function stop(): Promise<void> {
  await handler.close();
  await fake.stop();
}

/** A browser whose request has reached the handler. */
async function browser() {
  const client = fake.connect();
  assert.equal((await handler.request()).id, client.id);
  return client;
}

function repeat(times: number, send: (i: number) => unknown): void {
  for (let i = 0; i < times; i++) send(i);
}

describe("the 16 messages", () => {
  beforeEach(() => start());
  afterEach(stop);

  test("the 17th message of a burst kills the connection, loses the 16, and nobody is told", async () => {
    const client = await browser();
    fake.holdWriters();
    repeat(17, () => handler.send([client.id], "m"));
    await handler.fence();
    fake.releaseWriters();
    assert.equal(client.ending, "killed");
    assert.match(client.reason, /16/);
    assert.equal(client.text, "");
    assert.deepEqual(handler.notices, []);
    assert.equal(fake.counters.killed, 1);
    assert.equal(fake.maxPendingEver, 16);
  });

  test("a message to a killed connection comes back as a notice, one per frame", async () => {
    const client = await browser();
    fake.holdWriters();
    repeat(20, () => handler.send([client.id], "m"));
    await handler.fence();
    assert.deepEqual(handler.notices, [client.id, client.id, client.id]);
  });

  test("a browser that does not read is killed by the 17th message however slowly they come, the others are not", async () => {
    const stuck = await browser();
    const healthy = await browser();
    stuck.pause();
    for (let i = 0; i < 17; i++) {
      void handler.send([stuck.id, healthy.id], "m");
      await handler.fence();
    }
    assert.equal(await stuck.over(), "killed");
    await healthy.received("m".repeat(17));
    assert.equal(healthy.ending, undefined);
  });

  test("a browser that reads on gets what waited, in order", async () => {
    const client = await browser();
    client.pause();
    repeat(16, (i) => handler.send([client.id], `(${i})`));
    await handler.fence();
    assert.equal(client.pending, 16);
    client.resume();
    assert.equal(client.text, Array.from({ length: 16 }, (_, i) => `(${i})`).join(""));
  });

  test("a close behind 16 messages is lost", async () => {
    const client = await browser();
    fake.holdWriters();
    repeat(16, () => handler.send([client.id], "m"));
    void handler.send([client.id], "");
    await handler.fence();
    fake.releaseWriters();
    void handler.send([client.id], "open");
    await client.received("open");
    assert.equal(fake.counters.lostCloses, 1);
  });

  test("what is queued behind a close is lost with it", async () => {
    const client = await browser();
    fake.holdWriters();
    for (const body of ["before", "", "behind"]) void handler.send([client.id], body);
    await handler.fence();
    fake.releaseWriters();
    assert.equal(client.ending, "closed");
    assert.equal(client.text, "before");
    assert.deepEqual(handler.notices, []);
  });

  test("the most that ever waited is remembered", async () => {
    const client = await browser();
    fake.holdWriters();
    repeat(5, () => handler.send([client.id], "m"));
    await handler.fence();
    fake.releaseWriters();
    await handler.send([client.id], "m");
    await handler.fence();
    assert.equal(fake.maxPendingEver, 5);
  });
});

describe("what the fake counts and tells", () => {
  beforeEach(() => start());
  afterEach(stop);

  test("frames, bodies, controls and mistakes are counted apart", async () => {
    const client = await browser();
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
    const client = await browser();
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
    const client = await browser();
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
    const client = await browser();
    await handler.raw(`${handler.sender} 3:X ${client.id}, 10:3:ctl,5:x}]`);
    assert.equal(await client.over(), "lost");
    assert.equal(fake.counters.crashes, 1);
  });

  test("ids that static files used up are left out", async () => {
    fake.burnIds(9);
    assert.equal((await browser()).id, 10);
  });
});

describe("a frame's prefix", () => {
  test("only frames that begin with recv_ident are taken", async () => {
    fake = await FakeMongrel2.start({ sendIdent: "srv-A" });
    handler = await RawHandler.connect(fake);
    const client = await browser();
    await handler.raw(`srv-AB 1:${client.id}, stray`);
    await handler.raw(`srv-A 1:${client.id}, mine`);
    await client.received("mine");
    assert.equal(client.text, "mine");
    await stop();
  });
});

describe("a restart", () => {
  beforeEach(() => start());
  afterEach(stop);

  test("loses every connection, and ids begin again at 1 on the same addresses", async () => {
    const old = await browser();
    const specs = [fake.sendSpec, fake.recvSpec];
    await fake.restart();
    assert.equal(await old.over(), "lost");
    assert.deepEqual([fake.sendSpec, fake.recvSpec], specs);
    await handler.live();
    const fresh = await browser();
    assert.equal(fresh.id, old.id);
    await handler.send([old.id], "for the old one");
    await fresh.received("for the old one");
    assert.equal(old.text, "");
  });

  test("what no handler took is held until one comes", async () => {
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

describe("flow control", () => {
  beforeEach(() => start({ flowControl: true }));
  afterEach(stop);

  test("the first request of a connection carries the credits, later ones do not", async () => {
    const client = fake.connect();
    assert.match((await handler.request()).text, /"DOWNLOAD_CREDITS":"102400"/);
    client.send();
    assert.doesNotMatch((await handler.request()).text, /DOWNLOAD_CREDITS/);
  });

  test("each write comes back as a notice of its bytes", async () => {
    const client = await browser();
    void handler.send([client.id], "12345");
    const notice = await handler.next(({ kind }) => kind === "credits");
    assert.equal(notice.id, client.id);
    assert.match(notice.text, /"DOWNLOAD_CREDITS":"5"/);
  });

  test("thousands of small messages may wait, 102,401 bytes may not", async () => {
    const client = await browser();
    fake.holdWriters();
    repeat(2_000, () => handler.send([client.id], "m".repeat(50)));
    await handler.fence();
    assert.equal(client.pending, 2_000);
    void handler.send([client.id], "m".repeat(2_400));
    await handler.fence();
    assert.equal(client.ending, undefined);
    assert.equal(fake.maxPendingBytesEver, 102_400);
    void handler.send([client.id], "1");
    assert.equal(await client.over(), "killed");
  });

  test("a single frame of more than 102,400 bytes kills", async () => {
    const client = await browser();
    void handler.send([client.id], "m".repeat(102_401));
    assert.equal(await client.over(), "killed");
    await handler.fence();
    assert.deepEqual(handler.notices, []);
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
