import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Audience } from "../../src/delivery/audience.js";
import { Catchup, type CatchupStep } from "../../src/delivery/catchup.js";
import type { Client } from "../../src/delivery/client.js";
import type { HistoryPage, ReadOptions } from "../../src/delivery/history.js";
import { HistoryReader } from "../../src/delivery/history-reader.js";
import { Registry } from "../../src/delivery/registry.js";
import { Selecting } from "../../src/delivery/selecting.js";
import type { SelectionRequest } from "../../src/delivery/selection.js";
import { SelectionReader } from "../../src/delivery/selection-reader.js";
import {
  DEFAULT_SELECTION_LIMITS,
  type SelectionLimits,
  SelectionSearch,
} from "../../src/delivery/selection-search.js";
import { TopicOffsets } from "../../src/delivery/topic-offsets.js";
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
  readonly limits?: SelectionLimits;
}

/** A catch-up over a history of some events, whose audiences go on after the newest one. */
function setUp(options: Options = {}) {
  const { events = 10, size = 10, maxEvents = 1000, History = MemoryHistory } = options;
  const { limits = DEFAULT_SELECTION_LIMITS } = options;
  const clock = new FakeClock();
  const history = new History({ maxEvents, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const registry = new Registry(new RecordingOutlet(clock), "http://hub.example/");
  const calls: string[] = [];
  const reader = new HistoryReader(history, clock);
  const topics = new TopicOffsets(history);
  const search = (audience: Audience<Client>, selecting: Pick<Selecting, "request" | "join">) =>
    new SelectionSearch(audience.interest, selecting, {
      ...{ topics, history: reader, base: "http://hub.example/", limits },
      trial: (publication) => registry.trial(audience, publication),
    });
  const selections = new SelectionReader({ history: reader, maxBytes: () => 64_000, flushBytes: 1_000_000, search });
  const catchup = new Catchup({
    history: reader,
    clock,
    maxBytes: () => 64_000,
    flushBytes: 1_000_000,
    trial: (audience, publication) => registry.trial(audience, publication),
    gap: (reason, cursor) => Buffer.from(`: gap ${reason} ${cursor}\n\n`),
    position: (cursor) => Buffer.from(`: at ${cursor}\n\n`),
    selections,
    added: { read: () => assert.fail("no topics were added") },
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
    catchup.add(added, { cursor });
    return added;
  };
  const select = (request: SelectionRequest, cursor = 0, creditLimit?: number): Client => {
    const added = registry.add({ id: ++lastId, remote: "", since: 0, interest: EVERYTHING_PUBLIC, creditLimit });
    catchup.add(added, { cursor, selecting: new Selecting({ request, join: history.last, isNamed: true }) });
    return added;
  };
  /** Resolves when the index can be asked. */
  const indexed = async () => {
    for (let reading = topics.sorted(); reading; reading = topics.sorted()) await reading;
  };
  const take = () => catchup.takeSteps(history.last);
  return { clock, history, registry, catchup, client, select, indexed, take, calls };
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

  test("sends a selection in bodies of limited size, ends it with a position, and merges equal ones", async () => {
    const { catchup, client, select, indexed, take } = setUp({ events: 20, size: 20_000 });
    await indexed();
    const [first, second] = [select({ kind: "last", count: 7 }), select({ kind: "last", count: 7 })];
    const bodies: CatchupStep[] = [];
    for (let flush = 0; flush < 10 && catchup.size > 0; flush++) bodies.push(...take());
    assert.deepEqual(idsOf(bodies), [
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    assert.deepEqual(bodies.map(numbersIn), [[14, 15, 16], [17, 18, 19], [20]]);
    assert.deepEqual(
      bodies.map(({ cursor, selecting }) => [cursor, selecting?.join]),
      [
        [16, 20],
        [19, 20],
        [20, undefined],
      ],
    );
    assert.match(`${bodies[2]?.body}`, /: at 20\n\n$/);
    assert.deepEqual([first.state.name, second.state.name], ["live", "live"]);
    client(19);
    assert.deepEqual(take().map(numbersIn), [[20]]);
  });

  test("goes on with a selection above what was acknowledged, and sends nothing where that is all of it", async () => {
    const { select, indexed, take } = setUp();
    await indexed();
    select({ kind: "last", count: 4 }, 8);
    const latest = select({ kind: "latest" }, 10);
    assert.deepEqual(take().map(numbersIn), [[9, 10], []]);
    assert.equal(latest.state.name, "live");
  });

  test("waits for the index and for credit before it sends a selection", async () => {
    const { catchup, select, indexed, take, calls } = setUp({ size: 1000 });
    const poor = select({ kind: "latest" }, 0, 50_000);
    poor.debit(50_000);
    assert.deepEqual([take(), catchup.hasWork(10)], [[], false]);
    poor.credit(50_000);
    assert.deepEqual([take(), catchup.hasWork(10)], [[], false], "the index is being read");
    await indexed();
    while (take().length === 0) await new Promise(setImmediate);
    assert.equal(poor.state.name, "live");
    assert.ok(calls.includes("ready"));
  });

  test("reports a selection that a limit has cut, after the newest events of it", async () => {
    const { select, indexed, take } = setUp({ limits: { maxScan: 100, maxEvents: 3 } });
    await indexed();
    select({ kind: "last", count: 3 });
    select({ kind: "last", count: 4 });
    assert.deepEqual(
      take().map((step) => [numbersIn(step), `${step.body}`.split("\n").at(-3)]),
      [
        [[8, 9, 10], ": at 10"],
        [[8, 9, 10], ": gap latest 10"],
      ],
    );
  });

  test("passes over selected publications that are trimmed before they are sent", async () => {
    const { history, select, indexed, take } = setUp({ maxEvents: 10 });
    await indexed();
    select({ kind: "last", count: 10 });
    for (let event = 11; event <= 14; event++) {
      const draft = { topics: ["t"] as [string], data: `${event}`, private: false };
      void history.append(positionDraft(draft, history.epoch, event, 0));
    }
    assert.deepEqual(take().map(numbersIn), [[5, 6, 7, 8, 9, 10]]);
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
