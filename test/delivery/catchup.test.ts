import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Catchup, type CatchupStep } from "../../src/delivery/catchup.js";
import type { Client } from "../../src/delivery/client.js";
import type { HistoryPage, ReadOptions } from "../../src/delivery/history.js";
import { HistoryReader } from "../../src/delivery/history-reader.js";
import { Registry } from "../../src/delivery/registry.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { positionDraft } from "../../src/protocol/position.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

const OTHER_TOPIC: Interest = { selectors: [{ kind: "exact", value: "other" }], grants: [] };

interface Options {
  readonly events?: number;
  readonly size?: number;
  readonly maxEvents?: number;
  readonly History?: typeof MemoryHistory;
}

/** A catch-up over a history of some events, whose audiences go on after the newest one. */
function setUp({ events = 10, size = 10, maxEvents = 1000, History = MemoryHistory }: Options = {}) {
  const clock = new FakeClock();
  const history = new History({ maxEvents, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const registry = new Registry(new RecordingOutlet(clock), "http://hub.example/");
  const calls: string[] = [];
  const catchup = new Catchup({
    history: new HistoryReader(history, clock),
    clock,
    maxBytes: () => 64_000,
    flushBytes: 1_000_000,
    trial: (audience, publication) => registry.trial(audience, publication),
    gap: (reason, cursor) => Buffer.from(`: gap ${reason} ${cursor}\n\n`),
    topicsEvent: (notice, cursor) => Buffer.from(`: topics ${notice} ${cursor}\n\n`),
    ready: () => calls.push("ready"),
  });
  for (let event = 1; event <= events; event++) {
    const draft = { topics: ["t"] as [string], data: `${event} ${"x".repeat(size)}`, private: false };
    void history.append(positionDraft(draft, history.epoch, event, 0));
  }
  let lastId = 0;
  const client = (cursor: number, interest = EVERYTHING_PUBLIC, creditLimit?: number): Client => {
    const added = registry.add({ id: ++lastId, remote: "", since: 0, interest, creditLimit });
    catchup.add(added, cursor);
    return added;
  };
  const take = () => catchup.takeSteps(history.last);
  return { clock, history, registry, catchup, client, take, calls };
}

const idsOf = (steps: readonly CatchupStep[]) => steps.map(({ clients }) => clients.map(({ id }) => id));
const numbersIn = ({ body }: CatchupStep) =>
  [...`${body}`.matchAll(/^data: (\d+)/gm)].map(([, number]) => Number(number));

describe("Catchup", () => {
  test("gives clients of one audience at one cursor one body, and makes them live where their audience is", () => {
    const { catchup, client, take } = setUp();
    const [first, second, other] = [client(4), client(4), client(7)];
    const steps = take();
    assert.deepEqual(idsOf(steps), [[1, 2], [3]]);
    assert.deepEqual(steps.map(numbersIn), [
      [5, 6, 7, 8, 9, 10],
      [8, 9, 10],
    ]);
    assert.deepEqual(
      steps.map(({ cursor, isLive, events }) => [cursor, isLive, events]),
      [
        [10, true, 6],
        [10, true, 3],
      ],
    );
    for (const it of [first, second, other]) assert.equal(it.state.name, "live");
    assert.deepEqual([catchup.size, catchup.hasWork(10)], [0, false]);
  });

  test("cuts the way into bodies of limited size, and merges clients that meet", () => {
    const { client, take } = setUp({ events: 10, size: 20_000 });
    client(0);
    client(3);
    const received = new Map<number, number[]>();
    const bodies: number[][] = [];
    for (let flush = 0; flush < 10; flush++) {
      for (const step of take()) {
        bodies.push(numbersIn(step));
        for (const { id } of step.clients) received.set(id, [...(received.get(id) ?? []), ...numbersIn(step)]);
      }
    }
    assert.deepEqual(received.get(1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(received.get(2), [4, 5, 6, 7, 8, 9, 10]);
    assert.equal(bodies.length, 4, "both at 3 share the bodies from there on");
    assert.ok(bodies.every((body) => body.length <= 3));
  });

  test("makes a client live without a body when nothing on the way is for it", () => {
    const { client, take } = setUp();
    const it = client(2, OTHER_TOPIC);
    const [step = assert.fail("no step")] = take();
    assert.deepEqual([step.body, step.events, step.isLive, it.state.name], [undefined, 0, true, "live"]);
  });

  test("reports trimmed publications as a gap, and an offset of another epoch as unknown", () => {
    const { history, client, take } = setUp({ events: 50, maxEvents: 10 });
    client(3);
    client(-1);
    const bodies = take().map(({ body }) => `${body}`);
    assert.deepEqual(bodies, [`: gap expired ${history.floor}\n\n`, `: gap unknown ${history.floor}\n\n`]);
  });

  test("does not read for a client without credit, and serves the others of its group", () => {
    const { catchup, client, take } = setUp({ size: 1000 });
    const [poor, rich] = [client(0, EVERYTHING_PUBLIC, 50_000), client(0, EVERYTHING_PUBLIC, 50_000)];
    poor.debit(50_000);
    assert.deepEqual(idsOf(take()), [[rich.id]]);
    assert.deepEqual(
      [poor.state.name, catchup.hasWork(10), catchup.isBehind(poor.audience)],
      ["catchingUp", false, false],
    );
    poor.credit(50_000);
    assert.equal(catchup.hasWork(10), true);
    assert.deepEqual(idsOf(take()), [[poor.id]]);
  });

  test("waits for a read that takes time, and tells when it has completed", async () => {
    let resolve: (page: HistoryPage) => void = () => {};
    class SlowHistory extends MemoryHistory {
      override read(): never {
        return new Promise<HistoryPage>((done) => {
          resolve = done;
        }) as never;
      }
      page(after: number, options: ReadOptions): HistoryPage {
        return super.read(after, options);
      }
    }
    const { history, catchup, client, take, calls } = setUp({ History: SlowHistory });
    const it = client(8);
    assert.deepEqual([take(), catchup.hasWork(10)], [[], false]);
    resolve((history as SlowHistory).page(8, { through: 10, maxBytes: 1e6 }));
    await new Promise(setImmediate);
    assert.deepEqual(calls, ["ready"]);
    assert.deepEqual([take().map(numbersIn), it.state.name], [[[9, 10]], "live"]);
  });

  test("forgets a client that disconnects, while it reads, too", () => {
    const { catchup, registry, client, take } = setUp();
    const [gone, stays] = [client(5), client(5)];
    catchup.remove(gone);
    registry.remove(gone);
    assert.equal(catchup.size, 1);
    assert.deepEqual(idsOf(take()), [[stays.id]]);
    catchup.remove(gone); // a second removal has no effect
    assert.equal(catchup.size, 0);
  });

  test("starts all clients again before the oldest publication after rewind()", () => {
    const { catchup, client, take } = setUp();
    for (const cursor of [2, 5, 9]) client(cursor);
    catchup.rewind();
    assert.equal(catchup.size, 3);
    const [step = assert.fail("no step"), ...more] = take();
    assert.deepEqual([step.clients.length, `${step.body}`, more], [3, ": gap unknown 0\n\n", []]);
  });
});
