import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { CatchupStep } from "../../src/delivery/catchup.js";
import { Acknowledgements, BEFORE_ALL, type Client } from "../../src/delivery/client.js";
import { Registry } from "../../src/delivery/registry.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { FakeClock } from "../support/clock.js";
import { bench, MapStore } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";

function setUp(head = 0) {
  const store = new MapStore();
  const registry = new Registry(new RecordingOutlet(new FakeClock()), "http://hub.example/");
  const acknowledgements = new Acknowledgements("main", store, head);
  const add = (id: number) => registry.add({ id, remote: "192.0.2.1", since: 0, interest: EVERYTHING_PUBLIC });
  return { store, registry, acknowledgements, add };
}

const step = (client: Client, cursor: number, isLive: boolean): CatchupStep => ({
  clients: [client],
  body: undefined,
  events: 0,
  cursor,
  selecting: undefined,
  isLive,
});

describe("Client", () => {
  test("is closed until it is placed, and closed again after its removal", () => {
    const { registry, add } = setUp();
    const client = add(1);
    assert.deepEqual([client.state.name, client.slot], ["closed", -1]);
    client.audience.add(client);
    assert.deepEqual([client.state.name, client.slot], ["live", 0]);
    client.audience.remove(client);
    registry.remove(client);
    assert.deepEqual([client.state.name, client.slot], ["closed", -1]);
  });

  test("rejects to become live twice, and to move within an audience that it is no member of", () => {
    const client = setUp().add(1);
    assert.throws(() => client.moveTo(0), TypeError);
    client.goLive(0);
    assert.throws(() => client.goLive(1), TypeError);
  });

  test("never has more credit than its limit", () => {
    const { registry } = setUp();
    const client = registry.add({ id: 1, remote: "", since: 0, interest: EVERYTHING_PUBLIC, creditLimit: 100 });
    client.debit(60);
    client.credit(10);
    assert.equal(client.creditAvailable, 50);
    client.credit(1000);
    assert.equal(client.creditAvailable, 100);
  });
});

describe("Acknowledgements", () => {
  test("cover a live client by the fence of its server, without an entry for each event", () => {
    const { store, acknowledgements, add } = setUp(5);
    const client = add(1);
    client.audience.add(client);
    acknowledgements.start(client, 5, true);
    acknowledgements.flushTaken(9, []);
    assert.deepEqual([acknowledgements.of(client), store.through], [9, 9]);
    assert.equal(store.clients.get(1)?.acknowledgedOffset, 5);
    assert.equal(acknowledgements.stored(client).acknowledgedOffset, 9);
  });

  test("of a client that falls behind stay at the last fence that covered it", () => {
    const { store, acknowledgements, add } = setUp(5);
    const client = add(1);
    acknowledgements.start(client, 5, true);
    acknowledgements.flushTaken(9, []);
    acknowledgements.fallBehind([client]);
    acknowledgements.flushTaken(20, []);
    assert.equal(acknowledgements.of(client), 9);
    const { acknowledgedOffset, coveredByServerFence } = store.clients.get(1) ?? assert.fail("not stored");
    assert.deepEqual([acknowledgedOffset, coveredByServerFence], [9, false]);
  });

  test("of a client that catches up follow its steps, and skip one that has disconnected", () => {
    const { store, registry, acknowledgements, add } = setUp(5);
    const [client, gone] = [add(1), add(2)];
    for (const it of [client, gone]) {
      acknowledgements.start(it, 2, false);
      it.catchUp({ name: "catchingUp", selecting: undefined, cursor: 2 });
    }
    registry.remove(gone);
    store.remove("main", 2);
    acknowledgements.flushTaken(7, [step(client, 4, false), step(gone, 4, false)]);
    assert.deepEqual([acknowledgements.of(client), [...store.clients.keys()]], [4, [1]]);
  });

  // A step made the client live, it fell behind before the step's fence passed, and the fence counted it as live again: the next fence
  // acknowledged publications that it had not been sent, and a daemon that was killed then lost them.
  test("do not cover a client that fell behind while the step that made it live was in flight", () => {
    const { acknowledgements, add } = setUp(5);
    const client = add(1);
    acknowledgements.start(client, 2, false);
    client.catchUp({ name: "catchingUp", selecting: undefined, cursor: 2 });
    client.goLive(0);
    acknowledgements.fallBehind([client]);
    client.catchUp({ name: "catchingUp", selecting: undefined, cursor: 5 });
    acknowledgements.flushTaken(5, [step(client, 5, true)]);
    acknowledgements.flushTaken(50, []);
    assert.deepEqual([acknowledgements.of(client), client.coveredByServerFence], [5, false]);
  });

  test("of an earlier epoch are forgotten", () => {
    const { store, acknowledgements, add } = setUp(5);
    const client = add(1);
    acknowledgements.start(client, 5, true);
    acknowledgements.restart(1);
    acknowledgements.forgetOffsets([client]);
    acknowledgements.flushTaken(3, []);
    assert.deepEqual([acknowledgements.of(client), store.clients.get(1)?.acknowledgedOffset], [BEFORE_ALL, BEFORE_ALL]);
  });
});

/** The operations that change a client's state. */
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ name: fc.constant("publish" as const), topic: fc.nat(2), size: fc.nat(50_000) }),
  },
  { weight: 4, arbitrary: fc.record({ name: fc.constant("fence" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ name: fc.constant("time" as const), milliseconds: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      name: fc.constant("open" as const),
      topics: fc.subarray([0, 1, 2], { minLength: 1 }),
      back: fc.integer({ min: -1, max: 10 }),
      credit: fc.constantFrom(undefined, 102_400),
    }),
  },
  { weight: 2, arbitrary: fc.record({ name: fc.constant("leave" as const), which: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ name: fc.constant("credit" as const), which: fc.nat(20), bytes: fc.nat(102_400) }),
  },
  { weight: 1, arbitrary: fc.record({ name: fc.constant("discard" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      name: fc.constant("discontinuity" as const),
      reason: fc.constantFrom("expired" as const, "unknown" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ name: fc.constant("reset" as const), isAdopted: fc.boolean() }) },
);

type Operation = typeof operation extends fc.Arbitrary<infer Each> ? Each : never;

const TOPICS = ["a", "b", "c"];
const interestIn = (topics: readonly number[]): Interest => ({
  selectors: topics.map((topic) => ({ kind: "exact", value: TOPICS[topic] ?? "" })),
  grants: [],
});

type Harness = Awaited<ReturnType<typeof bench>>;

function run(it: Harness, each: Operation, nextId: () => number): void {
  const nth = (which: number) => [...it.server.clients.keys()][which % Math.max(1, it.server.clients.size)] ?? -1;
  if (each.name === "publish") it.publish("x".repeat(each.size), TOPICS[each.topic]);
  else if (each.name === "fence") it.outlet.pass();
  else if (each.name === "time") it.clock.advance(each.milliseconds);
  else if (each.name === "leave") it.hub.leave(it.server, nth(each.which), "left");
  else if (each.name === "credit") it.server.credit(nth(each.which), each.bytes);
  else if (each.name === "discard") it.server.discard();
  else if (each.name === "discontinuity") it.server.discontinuity(each.reason);
  else if (each.name === "open") {
    const cursor = Math.max(0, it.history.last - each.back);
    it.connect(nextId(), {
      interest: interestIn(each.topics),
      ...(each.back >= 0 && { lastEventId: `#${it.history.epoch}.${cursor}` }),
      ...(each.credit !== undefined && { creditLimit: each.credit }),
    });
  } else {
    const left = it.hub.lost(it.server);
    const none = { clients: 0, behind: 0, audiences: 0, waiting: 0, pending: 0, maxBehindEvents: 0 };
    assert.deepEqual(it.server.figures, none);
    while (it.outlet.pass()); // fences of a lost link have no effect; the real link drops them
    it.server.start();
    if (each.isAdopted) for (const client of left) it.hub.adopt(it.server, client);
    else it.hub.forget(it.server, left);
  }
}

/** Registry, audiences, groups, the client store and the figures say the same about every client (P7). */
function assertAgreement({ server, store, hub }: Harness, closed: ReadonlySet<Client>): void {
  const clients = [...server.clients.values()];
  const audiences = new Set(clients.map(({ audience }) => audience));
  let [live, waiting] = [0, 0];
  for (const audience of audiences) {
    live += audience.size;
    waiting += audience.waiting.length;
    for (const [slot, member] of audience.members.entries()) {
      assert.deepEqual([member.slot, member.state.name, member.audience], [slot, "live", audience]);
      assert.equal(server.clients.get(member.id), member);
    }
    assert.equal(audience.clients, clients.filter((client) => client.audience === audience).length);
    if (audience.size === 0)
      assert.equal(audience.waiting.length, 0, "nothing is queued for an audience without members");
  }
  const behind = clients.filter(({ state }) => state.name === "catchingUp");
  for (const client of clients) assert.notEqual(client.state.name, "closed");
  for (const client of closed) assert.deepEqual([client.state.name, client.slot], ["closed", -1]);
  assert.deepEqual(server.figures, {
    clients: clients.length,
    behind: behind.length,
    audiences: audiences.size,
    waiting,
    pending: 0,
    maxBehindEvents: Math.max(0, ...behind.map((client) => server.eventsBehind(client))),
  });
  assert.equal(live + behind.length, clients.length);
  assert.deepEqual([hub.clients, hub.countOf("127.0.0.1")], [clients.length, clients.length]);
  assert.deepEqual([...store.clients.keys()].sort(), [...server.clients.keys()].sort());
  for (const client of clients) assertAcknowledged(server, client);
}

/** Nothing is acknowledged that was not sent: a killed daemon never loses a publication. */
function assertAcknowledged(server: Harness["server"], client: Client): void {
  assert.ok(
    server.acknowledgedOffset(client) <= server.sentOffset(client),
    `client ${client.id} is acknowledged too far`,
  );
  if (client.state.name === "catchingUp") assert.equal(client.coveredByServerFence, false);
}

describe("Client states, audiences and figures", () => {
  test("agree after any sequence of operations (P7)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 80 }), async (operations) => {
        const it = await bench({ maxTargets: 3 });
        const seen = new Set<Client>();
        let lastId = 0;
        for (const each of operations) {
          for (const client of it.server.clients.values()) seen.add(client);
          run(it, each, () => ++lastId);
          await Promise.resolve(); // discard() flushes in a microtask
          const closed = new Set([...seen].filter((client) => it.server.clients.get(client.id) !== client));
          assertAgreement(it, closed);
        }
      }),
      { numRuns: 300 },
    );
  });
});
