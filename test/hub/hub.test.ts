import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { HistoryPage, ReadOptions } from "../../src/delivery/history.js";
import { EVERYTHING_PUBLIC } from "../../src/matching/interest.js";
import { positionId } from "../../src/protocol/position.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { bench } from "../support/hub.js";

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

describe("Hub", () => {
  test("a client that connects gets a position of its own before any event", async () => {
    const { connect, outlet, history } = await bench();
    connect(1);
    assert.equal(outlet.received.get(1), `: open\n\nevent: m2push-open\nid: #${history.epoch}.0\ndata: {}\n\n`);
  });

  test("an event goes out at once when nothing is under way", async () => {
    const { connect, publish, outlet } = await bench();
    connect(1);
    publish("a");
    assert.deepEqual(outlet.events(1), ["a"]);
  });

  test("a batch is stored before its first event is sent", async () => {
    const { connect, hub, outlet, history } = await bench();
    connect(1);
    const committed: number[] = [];
    history.commit = () => void committed.push(history.last);
    const drafts = ["a", "b", "c"].map((data) => ({ topics: ["t"] as const, data, private: false }));
    const published = await hub.publishAll(drafts);
    assert.equal(published.length, 3);
    assert.deepEqual(committed, [3], "the first send comes after the third append");
    outlet.pass();
    assert.deepEqual(outlet.events(1).slice(0, 1), ["a"]);
  });

  test("events gather until the last flush is written, and leave together, in order", async () => {
    const { connect, publish, outlet, clock } = await bench();
    connect(1);
    for (const data of numbers(1, 50)) publish(data);
    assert.deepEqual(outlet.events(1), ["1"]);
    assert.equal(outlet.pendingFences, 1);
    const frames = outlet.frames;
    outlet.pass();
    assert.equal(outlet.pendingFences, 0, "it is taken: Mongrel2 is left alone to write it");
    clock.advance(1);
    publish("51");
    assert.equal(outlet.pendingFences, 1, "and asked whether it has");
    assert.deepEqual(outlet.events(1), ["1"]);
    outlet.pass();
    assert.deepEqual(outlet.events(1), numbers(1, 51));
    assert.equal(outlet.frames, frames + 1);
  });

  test("sends a publication at once after the last flush is taken, seven times in a row at most", async () => {
    const { connect, publish, outlet, clock } = await bench();
    connect(1);
    for (const data of numbers(1, 8)) {
      publish(data);
      outlet.pass();
    }
    assert.deepEqual(outlet.events(1), numbers(1, 7));
    clock.advance(1);
    outlet.pass();
    assert.deepEqual(outlet.events(1), numbers(1, 8));
  });

  test("is not delayed by fences and pauses of a lost link", async () => {
    const { hub, server, connect, publish, outlet, clock } = await bench();
    for (const step of [() => {}, () => clock.advance(1)]) {
      connect(1);
      publish("under way");
      publish("waits");
      outlet.pass();
      step(); // it pauses, or has asked
      hub.lost(server);
      outlet.received.clear();
      server.start();
      connect(1);
      publish("new");
      outlet.acknowledgeAll();
      assert.deepEqual(outlet.events(1), ["new"]);
      outlet.received.clear();
      hub.leave(server, 1, "kicked");
    }
  });

  test("while more is published than can be taken in, events gather, but not for long", async (t) => {
    let isFlood = false;
    t.after(() => {
      isFlood = false;
    });
    const { connect, publish, outlet, clock } = await bench({ isFlooded: () => isFlood });
    connect(1);
    publish("first");
    outlet.pass();
    const turn = () => new Promise(setImmediate);
    isFlood = true;
    const before = outlet.frames;
    /** As the tick queue of a socket: its next turn is scheduled before this one begins. */
    const publishEachTurn = (left: number) => {
      if (left > 1) setImmediate(publishEachTurn, left - 1);
      clock.advance(5);
      publish(`${left}`);
    };
    publishEachTurn(10);
    for (let count = 0; count < 9; count++) await turn();
    assert.equal(outlet.frames, before, "less than 100 ms after the last flush");
    clock.advance(60);
    await turn();
    assert.equal(outlet.frames, before + 1);
    outlet.pass();
    publish("last");
    assert.equal(outlet.frames, before + 1);
    await turn();
    assert.equal(outlet.frames, before + 1, "more events for these clients may come in the next turn");
    clock.advance(10);
    await turn();
    assert.equal(outlet.frames, before + 2, "10 ms without an event for these clients");
  });

  test("nothing is sent before it is committed: a process that is killed has sent no event to some clients only", async (t) => {
    const { connect, publish, outlet, history } = await bench();
    let committed = 0;
    t.mock.method(history, "commit", () => {
      committed = history.last;
    });
    const sent: number[] = [];
    const deliver = outlet.deliver.bind(outlet);
    t.mock.method(outlet, "deliver", (...[address, body]: Parameters<typeof deliver>) => {
      for (const [, offset] of body.toString().matchAll(/^id: .*\.(\d+)\ndata: [^{]/gm)) {
        sent.push(Number(offset));
        assert.ok(Number(offset) <= committed, `${offset} was sent, ${committed} is committed`);
      }
      deliver(address, body);
    });
    for (let id = 1; id <= 300; id++) connect(id);
    for (const data of numbers(1, 10)) publish(data);
    connect(301, { lastEventId: `#${history.epoch}.4` });
    outlet.acknowledgeAll();
    assert.equal(sent.length, 3 * 10 + 6);
    assert.deepEqual(outlet.events(301), numbers(5, 10));
  });

  for (const [clients, most] of [
    [1, 64_000],
    [500, 32_000],
    [2000, 16_000],
  ] as const) {
    test(`of ${clients} a body is cut before it would exceed ${most} bytes, but for an event that is larger by itself`, async () => {
      const { connect, publish, outlet } = await bench();
      for (let id = 1; id <= clients; id++) connect(id);
      const sizes = [10_000, 10_000, 10_000, 10_000, 90_000, 10_000];
      for (const data of numbers(1, 12)) publish(`${data} ${"x".repeat(sizes[Number(data) % 6] ?? 0)}`);
      let before = outlet.received.get(1)?.length ?? 0;
      while (outlet.step()) {
        const now = outlet.received.get(1)?.length ?? 0;
        const came = now - before;
        assert.ok(came <= most || (came > 90_000 && came < 91_000), `${came} bytes in one turn`);
        before = now;
      }
      assert.deepEqual(
        outlet.events(1).map((data) => data.split(" ")[0]),
        numbers(1, 12),
      );
    });
  }

  test("Mongrel2 is told how much a flush will be, for all clients together", async () => {
    const { connect, publish, outlet } = await bench();
    for (let id = 1; id <= 300; id++) connect(id);
    publish("first");
    for (const data of numbers(1, 10)) publish(data);
    const before = outlet.received.get(1)?.length ?? 0;
    outlet.acknowledgeAll();
    const body = (outlet.received.get(1)?.length ?? 0) - before;
    assert.equal(outlet.prepared, 300 * body);
  });

  test("a broadcast to 1000 clients is 8 frames, whatever the number of events", async () => {
    const { connect, publish, outlet } = await bench();
    for (let id = 1; id <= 1000; id++) connect(id);
    publish("first");
    const frames = outlet.frames;
    for (const data of numbers(1, 100)) publish(data);
    outlet.acknowledgeAll();
    assert.equal(outlet.frames - frames, 8);
    for (const id of [1, 500, 1000]) assert.deepEqual(outlet.events(id), ["first", ...numbers(1, 100)]);
  });

  test("a client that connects while events wait gets exactly those after its first position", async () => {
    const { connect, publish, outlet, history } = await bench();
    connect(1);
    for (const data of numbers(1, 10)) publish(data);
    connect(2); // 1 is under way, 2..10 wait
    assert.match(outlet.received.get(2) ?? "", new RegExp(`id: #${history.epoch}\\.1\n`));
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(2), numbers(2, 10));
  });

  test("a client that comes back gets what it missed, then what is new, without gap or repetition", async () => {
    const { connect, publish, outlet, history } = await bench();
    for (const data of numbers(1, 10)) publish(data);
    connect(1, { lastEventId: `#${history.epoch}.4` });
    publish("11");
    outlet.acknowledgeAll();
    publish("12");
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), numbers(5, 12));
  });

  test("'earliest' gives everything that is held", async () => {
    const { connect, publish, outlet } = await bench();
    for (const data of numbers(1, 10)) publish(data);
    connect(1, { lastEventId: "earliest" });
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), numbers(1, 10));
  });

  test("a publisher's own id is kept, and is found when a client comes back with it", async () => {
    const { hub, connect, publish, outlet } = await bench();
    publish("1");
    void hub.publish({ topics: ["t"], data: "2", id: "order-7", private: false });
    publish("3");
    connect(1, { lastEventId: "order-7" });
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["3"]);
  });

  test("an id that looks like one of ours is refused from a publisher", async () => {
    const { hub, history } = await bench();
    const draft = { topics: ["t"] as [string], data: "x", id: `${history.epoch}.5`, private: false };
    await assert.rejects(hub.publish(draft), { code: "invalid" });
  });

  for (const [what, lastEventId] of [
    ["unknown", "never-seen"],
    ["of another lifetime", "zzzzzz.3"],
    ["malformed", "\u0000\u0000"],
  ] as const) {
    test(`an id that is ${what} is answered with a gap event, then live events`, async () => {
      const { connect, publish, outlet, history } = await bench();
      publish("1");
      connect(1, { lastEventId });
      publish("2");
      outlet.acknowledgeAll();
      const [gap, ...rest] = outlet.events(1);
      assert.deepEqual(JSON.parse(gap ?? ""), { reason: "unknown", oldest: `#${history.epoch}.0` });
      assert.match(outlet.received.get(1) ?? "", /^event: m2push-gap$/m);
      assert.deepEqual(rest, ["2"]);
    });
  }

  test("an id that is longer than any that was given out is unknown, and no store is asked for it", async () => {
    const { connect, outlet, history } = await bench();
    history.find = () => assert.fail("a key too long for LMDB");
    connect(1, { lastEventId: "9".repeat(60_000) });
    outlet.acknowledgeAll();
    assert.match(outlet.received.get(1) ?? "", /^event: m2push-gap$/m);
  });

  test("an id ahead of everything that was published is unknown, not a promise", async () => {
    const { connect, outlet, history } = await bench();
    connect(1, { lastEventId: `#${history.epoch}.9999` });
    assert.match(outlet.received.get(1) ?? "", /"reason":"unknown"/);
  });

  test("an id that has expired is answered with a gap event and everything that is still held", async () => {
    const { connect, publish, outlet, history } = await bench({ maxEvents: 5 });
    for (const data of numbers(1, 20)) publish(data);
    connect(1, { lastEventId: `#${history.epoch}.3` });
    outlet.acknowledgeAll();
    const [gap, ...rest] = outlet.events(1);
    assert.equal(JSON.parse(gap ?? "").reason, "expired");
    assert.deepEqual(rest, numbers(21 - rest.length, 20));
    assert.ok(rest.length > 0);
  });

  test("where the history is broken a client is told in the place where something is missing", async () => {
    class Broken extends MemoryHistory {
      override read(after: number, options: ReadOptions): HistoryPage {
        if (after >= 3 && after < 6) return { publications: [], through: 6, isBroken: true };
        return super.read(after, after < 3 ? { ...options, through: 3 } : options);
      }
    }
    const { connect, publish, outlet, history } = await bench({ History: Broken });
    for (const data of numbers(1, 10)) publish(data);
    connect(1, { lastEventId: `#${history.epoch}.1` });
    connect(2, { lastEventId: `#${history.epoch}.4` });
    outlet.acknowledgeAll();
    publish("11");
    outlet.acknowledgeAll();
    const gap = JSON.stringify({ reason: "expired", oldest: `#${history.epoch}.0` });
    assert.deepEqual(outlet.events(1), ["2", "3", gap, ...numbers(7, 11)]);
    assert.deepEqual(outlet.events(2), [gap, ...numbers(7, 11)]);
    assert.match(outlet.received.get(2) ?? "", new RegExp(`^event: m2push-gap\\nid: #${history.epoch}\\.6$`, "m"));
  });

  test("when more is published than Mongrel2 accepts, the queue is bounded, and no event is lost", async () => {
    const { connect, publish, outlet, server, store } = await bench();
    for (const id of [1, 2, 3]) connect(id);
    const big = "x".repeat(50_000);
    for (const data of numbers(1, 400)) publish(`${data} ${big}`);
    assert.ok(server.figures.waiting <= 64);
    assert.equal(server.figures.behind, 3);
    assert.deepEqual(
      [...store.clients.values()].map(({ coveredByServerFence: isCovered }) => isCovered),
      [false, false, false],
    );
    outlet.acknowledgeAll();
    publish("401 ");
    outlet.acknowledgeAll();
    for (const id of [1, 2, 3])
      assert.deepEqual(
        outlet.events(id).map((data) => data.split(" ")[0]),
        numbers(1, 401),
      );
    assert.equal(server.figures.behind, 0);
    assert.deepEqual(
      [...store.clients.values()].map(({ coveredByServerFence: isCovered }) => isCovered),
      [true, true, true],
    );
  });

  test("when more is published than Mongrel2 takes for so long that history trims it, clients are told", async () => {
    const { connect, publish, outlet, server } = await bench({ maxEvents: 100 });
    connect(1);
    const big = "x".repeat(50_000);
    for (const data of numbers(1, 1000)) publish(`${data} ${big}`);
    outlet.acknowledgeAll();
    const got = outlet.events(1).map((data) => data.split(" ")[0]);
    assert.match(outlet.received.get(1) ?? "", /^event: m2push-gap$/m);
    assert.deepEqual(got.slice(-100), numbers(901, 1000));
    assert.equal(server.figures.behind, 0);
  });

  test("sends a client no more than its credit, and delays no other client", async () => {
    const { server, connect, publish, outlet } = await bench();
    connect(1, { creditLimit: 102_400 });
    connect(2, { creditLimit: 102_400 });
    const written = new Map<number, number>([
      [1, 0],
      [2, 0],
    ]);
    /** Mongrel2 tells what it has written; client 1 does not read. */
    const write = (id: number) => {
      const bytes = (outlet.received.get(id)?.length ?? 0) - (written.get(id) ?? 0);
      written.set(id, (written.get(id) ?? 0) + bytes);
      server.credit(id, bytes);
    };
    write(1);
    write(2);
    for (const data of numbers(1, 100)) {
      publish(`${data} ${"x".repeat(9_000)}`);
      outlet.acknowledgeAll();
      write(2);
      assert.ok((outlet.received.get(1)?.length ?? 0) - (written.get(1) ?? 0) <= 102_400);
    }
    assert.deepEqual(
      outlet.events(2).map((data) => data.split(" ")[0]),
      numbers(1, 100),
    );
    assert.equal(outlet.events(1).length, 11);
    assert.equal(server.figures.behind, 1);
    for (let round = 0; round < 30; round++) {
      write(1);
      outlet.acknowledgeAll();
      assert.ok((outlet.received.get(1)?.length ?? 0) - (written.get(1) ?? 0) <= 102_400);
    }
    assert.deepEqual(
      outlet.events(1).map((data) => data.split(" ")[0]),
      numbers(1, 100),
    );
    assert.equal(server.figures.behind, 0);
  });

  test("waits with an event as large as the credit limit for the whole credit, and does not read meanwhile", async () => {
    const { server, connect, publish, outlet } = await bench();
    connect(1, { creditLimit: 102_400 });
    server.credit(1, 1000);
    publish(`a ${"x".repeat(40_000)}`);
    outlet.acknowledgeAll();
    publish(`b ${"x".repeat(99_000)}`);
    outlet.acknowledgeAll();
    assert.equal(outlet.events(1).length, 1);
    const frames = outlet.frames;
    server.credit(1, 10_000);
    outlet.acknowledgeAll();
    assert.equal(outlet.frames, frames);
    server.credit(1, 40_000);
    outlet.acknowledgeAll();
    assert.deepEqual(
      outlet.events(1).map((data) => data[0]),
      ["a", "b"],
    );
  });

  test("sends private publications to no client without a grant, live or replayed", async () => {
    const { hub, connect, outlet, history } = await bench();
    connect(1);
    void hub.publish({ topics: ["t"], data: "secret", private: true });
    connect(2, { lastEventId: `#${history.epoch}.0` });
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), outlet.events(2)], [[], []]);
  });

  test("sends nothing to the clients of a lost link, and returns them", async () => {
    const { hub, server, connect, publish, outlet } = await bench();
    connect(1);
    for (const data of numbers(1, 10)) publish(data);
    const left = hub.lost(server);
    const before = outlet.received.get(1);
    server.start();
    publish("11");
    outlet.acknowledgeAll();
    assert.equal(outlet.received.get(1), before);
    assert.deepEqual(
      left.map(({ id, acknowledgedOffset: seen }) => [id, seen]),
      [[1, 0]],
    );
  });

  test("acknowledges publications only when their fence has passed", async () => {
    const { connect, publish, outlet, store } = await bench();
    connect(1);
    publish("1");
    publish("2");
    assert.equal(store.through, 0);
    outlet.pass();
    assert.equal(store.through, 1);
    outlet.acknowledgeAll();
    assert.equal(store.through, 2);
  });

  test("continues an adopted client from its acknowledged offset", async () => {
    const { hub, server, publish, outlet } = await bench();
    for (const data of numbers(1, 10)) publish(data);
    hub.adopt(server, {
      id: 7,
      remote: "",
      selectors: ["*"],
      since: 0,
      acknowledgedOffset: 6,
      coveredByServerFence: true,
    });
    outlet.acknowledgeAll();
    publish("11");
    assert.deepEqual(outlet.events(7), numbers(7, 11));
  });

  test("forgets a client that disconnects; a second notice, or one for an unknown id, has no effect", async () => {
    const { hub, server, connect, publish, outlet, store } = await bench();
    for (const id of [1, 2, 3]) connect(id);
    assert.equal(hub.leave(server, 2, "left"), true);
    assert.equal(hub.leave(server, 2, "left"), false);
    assert.equal(hub.leave(server, 99, "left"), false);
    publish("a");
    assert.deepEqual(outlet.events(2), []);
    assert.deepEqual(outlet.events(3), ["a"]);
    assert.deepEqual([...store.clients.keys()], [1, 3]);
  });

  test("sends heartbeats to quiet audiences only", async () => {
    const { connect, publish, outlet, clock } = await bench();
    connect(1);
    clock.advance(14_000);
    assert.doesNotMatch(outlet.received.get(1) ?? "", /^:\n/m);
    clock.advance(5_000);
    assert.match(outlet.received.get(1) ?? "", /^:\n/m);
    outlet.received.clear();
    publish("a");
    outlet.acknowledgeAll();
    clock.advance(10_000);
    assert.doesNotMatch(outlet.received.get(1) ?? "", /^:\n/m);
  });

  test("an adopted client keeps its heartbeat events", async () => {
    const { hub, server, connect, outlet, clock, store } = await bench();
    connect(7, { interest: { ...EVERYTHING_PUBLIC, hasHeartbeatEvents: true } });
    const stored = store.clients.get(7);
    assert.equal(stored?.hasHeartbeatEvents, true);
    hub.lost(server);
    outlet.received.clear();
    assert.ok(stored);
    hub.adopt(server, stored);
    clock.advance(5_000);
    assert.equal(outlet.received.get(7), "event: m2push-heartbeat\ndata: 15\n\n");
  });

  test("every client is kept alive within 45 s", async () => {
    const { connect, outlet, clock } = await bench();
    for (let id = 1; id <= 1000; id++) connect(id);
    clock.advance(46_000);
    assert.deepEqual(
      [...new Set(outlet.keptAlive)].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, index) => index + 1),
    );
  });

  /**
   * P5, P7, P10: whatever happens in whatever order, a client gets every publication after its position, in order, once, and
   * the registry, the audiences and those behind agree.
   */
  test("loses and repeats nothing under any order of connects, disconnects, publications and fences", async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant("publish" as const), size: fc.integer({ min: 1, max: 40_000 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant("wait" as const), milliseconds: fc.integer({ min: 1, max: 3 }) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant("connect" as const), back: fc.integer({ min: -1, max: 30 }) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const it = await bench({ maxTargets: 3 });
        const from = new Map<number, number>();
        let [published, next] = [0, 1];
        for (const step of steps) {
          if (step.do === "wait") it.clock.advance(step.milliseconds);
          else if (step.do === "publish") it.publish(`${++published} ${"x".repeat(step.size)}`);
          else if (step.do === "pass") it.outlet.pass();
          else if (step.do === "connect") {
            const cursor = Math.max(0, published - step.back);
            it.connect(next, step.back < 0 ? {} : { lastEventId: `#${it.history.epoch}.${cursor}` });
            const primed = /^id: #\w+\.(\d+)$/m.exec(it.outlet.received.get(next) ?? "")?.[1];
            from.set(next++, Number(primed));
          } else if (step.do === "leave") {
            const id = [...from.keys()][step.which % Math.max(1, from.size)];
            if (id !== undefined) it.hub.leave(it.server, id, "left");
            if (id !== undefined) from.delete(id);
          } else {
            // A daemon that ends and comes again: everyone is adopted from what is known; repetition is allowed here.
            const left = it.hub.lost(it.server);
            it.server.start();
            it.outlet.acknowledgeAll();
            for (const client of left) {
              it.outlet.received.delete(client.id);
              from.set(client.id, client.acknowledgedOffset);
              it.hub.adopt(it.server, client);
            }
          }
          const clients = [...it.server.clients.values()];
          const members = new Set(clients.flatMap(({ audience }) => audience.members));
          for (const client of clients) assert.equal(client.state.name, members.has(client) ? "live" : "catchingUp");
          assert.equal(members.size + it.server.figures.behind, clients.length);
        }
        it.outlet.acknowledgeAll();
        for (const [id, cursor] of from) {
          const got = it.outlet.events(id).map((data) => Number(data.split(" ")[0]));
          assert.deepEqual(got, numbers(cursor + 1, published).map(Number), `client ${id} from ${cursor}`);
        }
        assert.ok(it.outlet.mostOutstanding <= 16);
        assert.equal(it.server.figures.behind, 0);
      }),
      { numRuns: 300 },
    );
  });

  test("stores publications while it stops and does not send them; the next process sends them once", async () => {
    const { hub, server, outlet, history, store, connect, publish } = await bench();
    connect(1);
    publish("1");
    outlet.acknowledgeAll();
    publish("2");
    hub.suspendDelivery();
    outlet.acknowledgeAll();
    await hub.delivered();
    hub.handOver();
    assert.equal((await hub.publish({ topics: ["t"], data: "3", private: false })).offset, 3);
    connect(2);
    connect(3, { lastEventId: positionId(history.epoch, 1) });
    publish("4");
    hub.seal();
    await assert.rejects(hub.publish({ topics: ["t"], data: "5", private: false }), { code: "unavailable" });
    outlet.acknowledgeAll();
    assert.deepEqual(
      [1, 2, 3].map((id) => outlet.events(id)),
      [["1", "2"], [], []],
    );
    assert.equal(history.last, 4);
    const seen = [...store.clients.values()].map(
      ({ id, coveredByServerFence: isCovered, acknowledgedOffset: seen }) => [
        id,
        isCovered ? Math.max(seen, store.through) : seen,
      ],
    );
    assert.deepEqual(seen, [
      [1, 2],
      [2, 2],
      [3, 1],
    ]);
    const [first = assert.fail("no client")] = server.clients.values();
    assert.equal(server.acknowledgedOffset(first), 2);
  });
});
