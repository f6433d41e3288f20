import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bench } from "../support/hub.js";

const LATEST = { kind: "latest" } as const;
const a = { selectors: [{ kind: "exact", value: "a" }], grants: [] } as const;
const aAndB = { selectors: [...a.selectors, { kind: "exact", value: "b" }], grants: [] } as const;

/** A hub whose index of topics is made. */
async function indexed() {
  const it = await bench();
  await it.hub.topics.ready();
  const block = (offset: number, data: string) => `id: #${it.history.epoch}.${offset}\ndata: ${data}\n\n`;
  const position = (offset: number) => `event: m2push-open\nid: #${it.history.epoch}.${offset}\ndata: {}\n\n`;
  return { ...it, block, position };
}

describe("StateOpenings", () => {
  test("put a small state into the opening, and the client is live at once", async () => {
    const { connect, publish, outlet, server, store, block, position } = await indexed();
    for (const [data, topic] of [
      ["1", "a"],
      ["2", "b"],
      ["3", "a"],
    ] as const)
      publish(data, topic);
    connect(1, { interest: aAndB, selection: LATEST });
    connect(2, { interest: aAndB, selection: { kind: "last", count: 9 } });
    assert.equal(outlet.received.get(1), `: open\n\n${block(2, "2")}${block(3, "3")}${position(3)}`);
    assert.equal(outlet.received.get(2), `: open\n\n${block(1, "1")}${block(2, "2")}${block(3, "3")}${position(3)}`);
    assert.deepEqual([outlet.pendingFences, server.figures.behind], [0, 0]);
    assert.equal(store.clients.get(1)?.selection, undefined);
    publish("4", "b");
    assert.deepEqual(
      [outlet.events(1), outlet.events(2)],
      [
        ["2", "3", "4"],
        ["1", "2", "3", "4"],
      ],
    );
  });

  test("leave a large state, and one that is not at hand, to the catch-up", async () => {
    const { connect, publish, outlet, server, store, history } = await indexed();
    publish(`1 ${"x".repeat(20_000)}`, "a");
    connect(1, { interest: a, selection: LATEST });
    assert.deepEqual(
      [outlet.received.get(1)?.startsWith(": open\n\n"), store.clients.get(1)?.selection?.join],
      [true, 1],
    );
    const topics = Array.from({ length: 100 }, (_, at) => ({ kind: "exact", value: `t${at}` }) as const);
    for (const { value } of topics) {
      publish(value, value);
      for (let event = 1; event <= 20; event++) publish("in between", "other");
    }
    connect(2, { interest: { selectors: topics, grants: [] }, selection: LATEST });
    assert.equal(store.clients.get(2)?.selection?.join, history.last, "too many reads for one turn");
    do {
      outlet.acknowledgeAll();
    } while (server.figures.behind > 0);
    assert.deepEqual([outlet.events(1).length, outlet.events(2)], [1, topics.map(({ value }) => value)]);
  });

  test("go by the credit of the client", async () => {
    const { connect, publish, outlet, server, store } = await indexed();
    publish("x".repeat(3_000), "a");
    connect(1, { interest: a, selection: LATEST, creditLimit: 2_000 });
    connect(2, { interest: a, selection: LATEST, creditLimit: 20_000 });
    assert.deepEqual([store.clients.get(1)?.selection?.join, store.clients.get(2)?.selection], [1, undefined]);
    assert.deepEqual([outlet.events(1).length, outlet.events(2).length], [0, 1]);
    server.credit(1, 2_000);
    assert.equal(outlet.events(1).length, 1, "the catch-up may exceed the limit once");
  });

  test("are made once for streams that open together, and never with an event that is gone", async () => {
    const { connect, hub, history, outlet, clock } = await indexed();
    await hub.publish({ topics: ["a"], data: "before", private: false });
    await hub.publish({ topics: ["a"], data: "expiring", private: false, ttlMs: 20 });
    let reads = 0;
    const read = history.read.bind(history);
    history.read = (after, options) => {
      reads++;
      return read(after, options);
    };
    for (let id = 1; id <= 10; id++) connect(id, { interest: a, selection: LATEST });
    const readsOfOne = reads;
    assert.ok(readsOfOne <= 2, `${reads} reads for ten streams`);
    clock.advance(20);
    connect(11, { interest: a, selection: LATEST });
    assert.deepEqual([outlet.events(10), outlet.events(11)], [["expiring"], ["before"]]);
    clock.advance(50);
    connect(12, { interest: a, selection: LATEST });
    assert.ok(reads > readsOfOne + 1);
  });
});
