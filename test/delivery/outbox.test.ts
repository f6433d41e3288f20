import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Catchup } from "../../src/delivery/catchup.js";
import { Acknowledgements, type Client } from "../../src/delivery/client.js";
import type { DeliveryTraces } from "../../src/delivery/delivery-traces.js";
import type { Flush } from "../../src/delivery/flush.js";
import { HistoryReader } from "../../src/delivery/history-reader.js";
import { Outbox } from "../../src/delivery/outbox.js";
import { Registry } from "../../src/delivery/registry.js";
import { SelectionReader } from "../../src/delivery/selection-reader.js";
import { EVERYTHING_PUBLIC } from "../../src/matching/interest.js";
import { positionDraft } from "../../src/protocol/position.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";
import { MapStore } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";

interface SetUpOptions {
  readonly clients?: number;
  readonly creditLimit?: number;
  readonly traces?: DeliveryTraces;
}

/** An outbox with its own history and catch-up, and live clients 1..n. */
function setUp({ clients = 1, creditLimit, traces }: SetUpOptions = {}) {
  const clock = new FakeClock();
  const outlet = new RecordingOutlet(clock);
  const history = new MemoryHistory({ maxEvents: 1000, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const registry = new Registry(outlet, "http://hub.example/");
  const store = new MapStore();
  const acknowledgements = new Acknowledgements("main", store, 0);
  const flushes: Flush[] = [];
  let committed = 0;
  const reader = new HistoryReader(history, clock);
  const catchup = new Catchup({
    history: reader,
    clock,
    maxBytes: () => 64_000,
    flushBytes: 1_000_000,
    trial: (audience, publication) => registry.trial(audience, publication),
    gap: () => Buffer.from(": gap\n\n"),
    position: () => assert.fail("no client asked for a selection"),
    selections: new SelectionReader({
      ...{ history: reader, maxBytes: () => 64_000, flushBytes: 1_000_000 },
      search: () => assert.fail("no client asked for a selection"),
    }),
    added: { read: () => assert.fail("no topics were added") },
    topicsEvent: () => Buffer.from(": topics\n\n"),
    ready: () => outbox.tryFlush(),
  });
  const outbox: Outbox = new Outbox(
    {
      ...{ outlet, clock, catchup, acknowledgements, traces },
      maxBytes: () => 64_000,
      isFlooded: () => false,
      commit: () => {
        committed = history.last;
      },
      flushed: (flush) => flushes.push(flush),
    },
    0,
  );
  const members: Client[] = [];
  for (let id = 1; id <= clients; id++) {
    const client = registry.add({ id, remote: "", since: 0, interest: EVERYTHING_PUBLIC, creditLimit });
    client.audience.add(client);
    acknowledgements.start(client, 0, true);
    members.push(client);
  }
  const publish = (data: string, ttlMs?: number) => {
    const draft = { topics: ["t"] as [string], data, private: false, ...(ttlMs !== undefined && { ttlMs }) };
    const publication = positionDraft(draft, history.epoch, history.last + 1, clock.now());
    void history.append(publication);
    outbox.add(publication, registry.wanting(publication));
  };
  const figures = () => flushes.map(({ frames, deliveries }) => [frames, deliveries]);
  return {
    clock,
    outlet,
    history,
    registry,
    store,
    acknowledgements,
    catchup,
    outbox,
    members,
    publish,
    figures,
    committed: () => committed,
  };
}

describe("Outbox", () => {
  test("sends nothing before the link is live, then everything queued in one body", () => {
    const { outlet, outbox, publish, figures, committed } = setUp({ clients: 3 });
    for (const data of ["a", "b", "c"]) publish(data);
    assert.deepEqual([outlet.frames, committed()], [0, 0]);
    outbox.start();
    assert.deepEqual(outlet.events(2), ["a", "b", "c"]);
    assert.deepEqual([figures(), committed()], [[[1, 9]], 3]);
  });

  test("sends nothing that expired while it waited", () => {
    const { clock, outlet, outbox, publish, figures } = setUp({ clients: 2 });
    publish("a", 10);
    publish("b");
    publish("c", 20);
    clock.advance(10);
    outbox.start();
    assert.deepEqual([outlet.events(1), figures()], [["b", "c"], [[1, 4]]]);
  });

  test("is delivered when all that waited has expired", async () => {
    const { clock, outlet, outbox, publish } = setUp();
    outbox.start();
    publish("a");
    publish("b", 10);
    const delivered = outbox.delivered();
    clock.advance(10);
    outlet.acknowledgeAll();
    await delivered;
    assert.deepEqual(outlet.events(1), ["a"]);
    publish("c");
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["a", "c"]);
  });

  test("has one flush in flight at a time", () => {
    const { outlet, outbox, publish } = setUp();
    outbox.start();
    for (const data of ["a", "b", "c"]) publish(data);
    assert.deepEqual([outlet.events(1), outlet.pendingFences], [["a"], 1]);
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["a", "b", "c"]);
  });

  test("acknowledges a flush when its fence passes, up to what was sent by then", () => {
    const { outlet, outbox, acknowledgements, members, store, publish } = setUp();
    const [client = assert.fail("no client")] = members;
    outbox.start();
    publish("a");
    publish("b");
    assert.equal(acknowledgements.of(client), 0);
    outlet.pass();
    assert.deepEqual([acknowledgements.of(client), store.through], [1, 1]);
    outlet.acknowledgeAll();
    assert.deepEqual([acknowledgements.of(client), store.through], [2, 2]);
  });

  test("ignores the fence of a flush that a discontinuity followed", () => {
    const { outlet, outbox, registry, store, publish } = setUp();
    outbox.start();
    publish("a");
    outbox.discontinuity(7, registry.audiences.values());
    outlet.pass();
    assert.equal(store.through, 0);
    assert.equal(outbox.head, 7);
  });

  test("ignores the fences of an earlier generation, and sends nothing to its clients", async () => {
    const { outlet, outbox, store, publish } = setUp();
    outbox.start();
    publish("a");
    publish("b");
    const delivered = outbox.delivered();
    outbox.reset();
    await delivered;
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), store.through], [["a"], 0]);
    outbox.start();
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["a"]);
  });

  test("moves members without credit to the history, and serves the others at once", () => {
    const { outlet, outbox, catchup, members, publish } = setUp({ clients: 2, creditLimit: 100_000 });
    const [poor = assert.fail("no client")] = members;
    outbox.start();
    poor.debit(100_000);
    publish("a");
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), outlet.events(2)], [[], ["a"]]);
    assert.deepEqual([poor.state.name, catchup.size], ["catchingUp", 1]);
    poor.credit(100_000);
    outbox.tryFlush();
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), poor.state.name], [["a"], "live"]);
  });

  test("tells the traces before the flush that clients fell behind, whatever the reason", () => {
    const calls: string[] = [];
    const ignore = () => {};
    const traces: DeliveryTraces = {
      ...{ queued: ignore, taken: ignore, reset: ignore },
      sent: () => calls.push("sent"),
      fellBehind: () => calls.push("fellBehind"),
    };
    const { outbox, members, publish } = setUp({ clients: 2, creditLimit: 100_000, traces });
    members[0]?.debit(100_000);
    publish("a");
    outbox.start();
    assert.deepEqual(calls.splice(0), ["fellBehind", "sent"]);
    publish("b");
    outbox.discard();
    assert.deepEqual(calls, ["fellBehind"]);
  });

  test("drops a queue that grows beyond its limit: its clients catch up without loss or repetition", () => {
    const { outlet, outbox, catchup, publish } = setUp();
    outbox.start();
    const big = "x".repeat(60_000);
    const count = 200;
    for (let event = 1; event <= count; event++) publish(`${event} ${big}`);
    assert.equal(catchup.size, 1);
    outlet.acknowledgeAll();
    const received = outlet.events(1).map((data) => Number(data.split(" ")[0]));
    assert.deepEqual(
      received,
      Array.from({ length: count }, (_, index) => index + 1),
    );
  });

  test("reports delivery once nothing is queued or in flight, and at once when the link is not live", async () => {
    const { outlet, outbox, publish } = setUp();
    publish("a");
    await outbox.delivered();
    outbox.start();
    let isDelivered = false;
    const delivered = outbox.delivered().then(() => {
      isDelivered = true;
    });
    await Promise.resolve();
    assert.equal(isDelivered, false);
    outlet.acknowledgeAll();
    await delivered;
    assert.equal(isDelivered, true);
  });

  test("sends no flush after stop(), but counts the one in flight", () => {
    const { outlet, outbox, store, publish } = setUp();
    outbox.start();
    publish("a");
    outbox.stop();
    publish("b");
    outlet.acknowledgeAll();
    assert.deepEqual([outlet.events(1), store.through], [["a"], 1]);
  });

  test("knows a flush that follows a quiet second while it is in flight", () => {
    const { clock, outlet, outbox, publish } = setUp();
    outbox.start();
    publish("a");
    assert.equal(outbox.isAfterQuiet, true);
    outlet.acknowledgeAll();
    assert.equal(outbox.isAfterQuiet, false);
    publish("b");
    assert.equal(outbox.isAfterQuiet, false);
    outlet.acknowledgeAll();
    clock.advance(1000);
    publish("c");
    assert.equal(outbox.isAfterQuiet, true);
  });
});
