/**
 * What many audiences cost: audiences that wait for the same events share frames. Private
 * publications, expiry, and the agreement of registry, index and audiences are looked at here, too.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Interest } from "../../src/matching/interest.js";
import { canonical, parseSelector, type Selector } from "../../src/matching/selector.js";
import { bench } from "../support/hub.js";

const BASE = "http://hub.example/.well-known/mercure";
const exact = (topic: string): Selector => parseSelector("exact", topic, BASE);
const interest = (selectors: readonly Selector[], grants: readonly Selector[] = []): Interest => ({
  selectors: canonical(selectors),
  grants: canonical(grants),
});

/** 10,000 clients that follow `news` and a topic of their own. */
async function crowd() {
  const it = await bench();
  for (let id = 1; id <= 10_000; id++) it.connect(id, { interest: interest([exact("news"), exact(`user/${id}`)]) });
  it.outlet.acknowledgeAll();
  return it;
}

describe("Audiences that share frames", () => {
  test("one event for 10,000 clients with 10,000 audiences is 79 frames, one for a client of them is 1", async () => {
    const { outlet, publish, server } = await crowd();
    assert.equal(server.figures.audiences, 10_000);
    let frames = outlet.frames;
    publish("hello", "news");
    outlet.acknowledgeAll();
    assert.equal(outlet.frames - frames, 79);
    frames = outlet.frames;
    publish("yours", "user/4711");
    outlet.acknowledgeAll();
    assert.equal(outlet.frames - frames, 1);
    assert.deepEqual(outlet.events(4711), ["hello", "yours"]);
    assert.deepEqual(outlet.events(4712), ["hello"]);
  });

  test("events that gather while a flush is under way: one body each for those who wait for the same list of them", async () => {
    const { outlet, publish } = await crowd();
    publish("first", "news");
    const frames = outlet.frames;
    for (const data of ["2", "3", "4"]) publish(data, "news");
    publish("yours", "user/1");
    publish("5", "news");
    outlet.acknowledgeAll();
    assert.equal(outlet.frames - frames, 79 + 1, "9,999 clients in 79 frames, and one with a list of its own");
    assert.deepEqual(outlet.events(1), ["first", "2", "3", "4", "yours", "5"]);
    assert.deepEqual(outlet.events(9_999), ["first", "2", "3", "4", "5"]);
  });

  test("sends a publication once where selectors and topics overlap", async () => {
    const { hub, connect, outlet } = await bench();
    const selectors = [
      exact("a"),
      parseSelector("template", "{x}", BASE),
      parseSelector("urlpattern", "/.well-known/:x", BASE),
    ];
    connect(1, { interest: interest([...selectors, parseSelector("exact", "*", BASE)]) });
    connect(2, { interest: interest(selectors) });
    void hub.publish({ topics: ["a", "b", "c"], data: "once", private: false });
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), outlet.events(2)], [["once"], ["once"]]);
  });

  test("private: among those who asked for the same, only those with the grant, live and caught up, alone and in a crowd", async () => {
    const { hub, connect, outlet, history } = await bench();
    const asked = [exact("a"), exact("b")];
    const connectAll = (from: number, lastEventId?: string) => {
      for (let id = from; id < from + 300; id++) {
        const grants = id % 3 === 0 ? [] : id % 3 === 1 ? [exact("a")] : [parseSelector("template", "{x}", BASE)];
        connect(id, { interest: interest(asked, grants), ...(lastEventId !== undefined && { lastEventId }) });
      }
    };
    connectAll(0);
    void hub.publish({ topics: ["a"], data: "public", private: false });
    void hub.publish({ topics: ["a"], data: "for a", private: true });
    void hub.publish({ topics: ["b"], data: "for b", private: true });
    void hub.publish({ topics: ["b", "a"], data: "for either", private: true });
    connectAll(300, `#${history.epoch}.0`);
    outlet.acknowledgeAll();
    const expected = [["public"], ["public", "for a", "for either"], ["public", "for a", "for b", "for either"]];
    for (let id = 0; id < 600; id++) assert.deepEqual(outlet.events(id), expected[id % 3], `client ${id}`);
  });

  test("a token that expires while events wait for its client: it is closed and gets none of them", async () => {
    const { connect, publish, outlet, clock, server } = await bench();
    connect(1, { expiresAt: clock.now() + 1000 });
    publish("under way");
    publish("waits");
    clock.advance(1000);
    assert.deepEqual(outlet.closed, [1]);
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["under way"]);
    assert.equal(server.clients.size, 0);
  });

  test("a token that expires while its client catches up: it is closed and gets no more of the past", async () => {
    const { connect, publish, outlet, clock, history, server } = await bench();
    for (let event = 0; event < 40; event++) publish(`${event} ${"x".repeat(20_000)}`);
    connect(1, { lastEventId: `#${history.epoch}.0`, expiresAt: clock.now() + 1 });
    outlet.pass();
    const before = outlet.events(1).length;
    assert.ok(before < 40);
    clock.advance(1);
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.closed, server.figures.behind], [[1], 0]);
    assert.equal(outlet.events(1).length, before);
  });

  test("a client whose token had expired when it was adopted is closed in the next turn", async () => {
    const { hub, server, outlet, clock } = await bench();
    const stored = {
      id: 7,
      remote: "127.0.0.1",
      selectors: ["*"],
      since: 0,
      acknowledgedOffset: 0,
      coveredByServerFence: true,
    };
    hub.adopt(server, { ...stored, expiresAt: clock.now() - 1 });
    assert.equal(server.clients.size, 1);
    clock.advance(0);
    assert.deepEqual([outlet.closed, server.clients.size], [[7], 0]);
  });

  /** One thing that may happen. */
  const TOPICS = ["a", "b", "c", "/x/1"];
  const selector = fc.oneof(
    fc.constantFrom(...TOPICS.map(exact)),
    fc.constantFrom(
      parseSelector("template", "{x}", BASE),
      parseSelector("urlpattern", "/x/:id", BASE),
      parseSelector("exact", "*", BASE),
    ),
  );
  const happening = fc.oneof(
    fc.record({
      what: fc.constant("connect" as const),
      id: fc.integer({ min: 1, max: 6 }),
      selectors: fc.array(selector, { minLength: 1, maxLength: 3 }),
      grants: fc.array(selector, { maxLength: 2 }),
    }),
    fc.record({ what: fc.constant("leave" as const), id: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      what: fc.constant("publish" as const),
      topics: fc.uniqueArray(fc.constantFrom(...TOPICS), { minLength: 1, maxLength: 2 }),
      private: fc.boolean(),
    }),
    fc.record({ what: fc.constant("pass" as const) }),
  );

  /** A second implementation, without an index: the events that a client with this interest receives. */
  function gets({ selectors, grants }: Interest, topics: readonly string[], hidden: boolean): boolean {
    const selects = (it: Selector, topic: string) =>
      it.kind === "any" ||
      (it.kind === "exact" ? it.value === topic : it.kind === "template" ? !topic.includes("/") : topic === "/x/1");
    const some = (all: readonly Selector[]) => all.some((it) => topics.some((topic) => selects(it, topic)));
    return some(selectors) && (!hidden || some(grants));
  }

  test("gives each client what its interest selects, once and in order, under any sequence (P5, P7, P9)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
        const { hub, server, connect, outlet } = await bench();
        const open = new Map<number, { interest: Interest; expected: string[]; id: number }>();
        const all: { id: number; expected: string[] }[] = [];
        let [published, lastId] = [0, 0];
        for (const it of happenings) {
          if (it.what === "connect" && !open.has(it.id)) {
            const client = { interest: interest(it.selectors, it.grants), expected: [] as string[], id: ++lastId };
            open.set(it.id, client);
            all.push(client);
            connect(client.id, { interest: client.interest });
          } else if (it.what === "leave") {
            const client = open.get(it.id);
            open.delete(it.id);
            // What it has not been sent by now it will never get.
            if (client) client.expected = outlet.events(client.id);
            if (client) hub.leave(server, client.id, "left");
          } else if (it.what === "publish") {
            const data = `${++published}`;
            const [first = "a", ...rest] = it.topics;
            for (const client of open.values())
              if (gets(client.interest, it.topics, it.private)) client.expected.push(data);
            void hub.publish({ topics: [first, ...rest], data, private: it.private });
          } else if (it.what === "pass") outlet.pass();
        }
        outlet.acknowledgeAll();
        for (const { id, expected } of all) assert.deepEqual(outlet.events(id), expected);
        assert.equal(server.clients.size, open.size);
        assert.deepEqual([...server.clients.keys()].sort(), [...open.values()].map(({ id }) => id).sort());
        const audiences = new Set([...server.clients.values()].map(({ audience }) => audience));
        assert.equal(server.figures.audiences, audiences.size);
        for (const audience of audiences)
          for (const [slot, member] of audience.members.entries()) assert.equal(member.slot, slot);
      }),
      { numRuns: 150 },
    );
  });
});
