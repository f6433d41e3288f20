import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HistoryPage, ReadOptions } from "../../src/delivery/ports.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import type { FakeClock } from "../support/clock.js";
import { bench } from "../support/hub.js";

type Failing = "throws" | "rejects";

/** A history whose reads fail for as long as a test wants. */
function failing(how: Failing) {
  const state = { isFailing: true, reads: 0 };
  const fail = (): never | Promise<never> => {
    state.reads++;
    const error = new Error("MDB_CORRUPTED");
    if (how === "throws") throw error;
    return Promise.reject(error);
  };
  class FailingHistory extends MemoryHistory {
    override read(after: number, options: ReadOptions): HistoryPage {
      return state.isFailing ? (fail() as never) : super.read(after, options);
    }
    override find(id: string): number | undefined {
      return state.isFailing ? (fail() as never) : super.find(id);
    }
  }
  return { state, History: FailingHistory };
}

/** Lets time pass in small steps, and promises settle in between. */
async function pass(clock: FakeClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    clock.advance(50);
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

describe("A history read that fails half-way", () => {
  // What it had looked at counted against the next try, which then skipped events.
  test("begins anew with the next try, and loses nothing", async () => {
    let tries = 0;
    class HalfRead extends MemoryHistory {
      override read(after: number, options: ReadOptions): HistoryPage {
        if (++tries > 1) return super.read(after, options);
        const [first = assert.fail("no event")] = super.read(after, { ...options, most: 1 }).publications;
        for (let looked = 0; looked < 100_000; looked++) options.match?.(first);
        throw new Error("MDB_CORRUPTED");
      }
    }
    const { connect, publish, outlet, history, clock } = await bench({ History: HalfRead });
    for (const data of ["1", "2", "3"]) publish(data);
    connect(1, { lastEventId: `#${history.epoch}.0` });
    await pass(clock, 500);
    outlet.settle();
    assert.deepEqual(outlet.events(1), ["1", "2", "3"]);
  });
});

for (const how of ["throws", "rejects"] as const) {
  describe(`A history read that ${how}`, () => {
    test("is tried again, and the client gets everything when it succeeds", async () => {
      const { state, History } = failing(how);
      const { connect, publish, outlet, history, clock, problems } = await bench({ History });
      for (const data of ["1", "2", "3"]) publish(data);
      connect(1, { lastEventId: `#${history.epoch}.1` });
      await pass(clock, 500);
      assert.deepEqual(problems, ["began history_read_failing"]);
      state.isFailing = false;
      await pass(clock, 3000);
      outlet.settle();
      assert.deepEqual(outlet.events(1), ["2", "3"]);
      assert.deepEqual(problems, ["began history_read_failing", "ended history_read_failing"]);
    });

    test("is told to the client after some tries, which then goes on live", async () => {
      const { state, History } = failing(how);
      const { connect, publish, outlet, history, clock } = await bench({ History });
      for (const data of ["1", "2", "3"]) publish(data);
      connect(1, { lastEventId: `#${history.epoch}.1` });
      await pass(clock, 10_000);
      assert.ok(state.reads < 20, `${state.reads} reads in 10 s`);
      outlet.settle();
      publish("4");
      outlet.settle();
      const gap = JSON.stringify({ reason: "unavailable", oldest: `#${history.epoch}.0` });
      assert.deepEqual(outlet.events(1), [gap, "4"]);
    });

    test("costs one read at a time however many clients wait", async () => {
      const { state, History } = failing(how);
      const { connect, publish, history, clock } = await bench({ History });
      for (let event = 1; event <= 300; event++) publish(`${event}`);
      for (let id = 1; id <= 200; id++) connect(id, { lastEventId: `#${history.epoch}.${id}` });
      await pass(clock, 50);
      const first = state.reads;
      assert.ok(first <= 200, `${first} first reads`);
      await pass(clock, 5000);
      const most = how === "throws" ? 20 : 200 * 6;
      assert.ok(state.reads - first <= most, `${state.reads - first} further reads`);
    });

    test("ends as a problem by itself, without a client that reads", async () => {
      const { state, History } = failing(how);
      const { connect, publish, history, clock, problems, hub, server } = await bench({ History });
      for (const data of ["1", "2"]) publish(data);
      connect(1, { lastEventId: `#${history.epoch}.1` });
      await pass(clock, 100);
      hub.leave(server, 1, "left");
      await pass(clock, 10_000);
      assert.deepEqual(problems, ["began history_read_failing"]);
      state.isFailing = false;
      await pass(clock, 1000);
      assert.deepEqual(problems.slice(1), ["ended history_read_failing"]);
      hub.handOver();
      assert.equal(clock.waiting, 0);
    });
  });

  describe(`A look-up of a last event id that ${how}`, () => {
    test("opens the stream nevertheless, and says that events may be missing", async () => {
      const { History } = failing(how);
      const { connect, publish, outlet, history, clock, problems } = await bench({ History });
      publish("1");
      connect(1, { lastEventId: "urn:a-publishers-own-id" });
      await pass(clock, 10_000);
      publish("2");
      outlet.settle();
      const gap = JSON.stringify({ reason: "unavailable", oldest: `#${history.epoch}.0` });
      assert.deepEqual(outlet.events(1), [gap, "2"]);
      assert.deepEqual(problems, ["began history_read_failing"]);
    });
  });
}
