import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HistoryPage, ReadOptions } from "../../src/delivery/history.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import type { FakeClock } from "../support/clock.js";
import { bench } from "../support/hub.js";

type Failing = "throws" | "rejects";

/** A history whose reads fail while `state.isFailing`. */
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

/** Advances the clock in small steps, and lets promises settle in between. */
async function pass(clock: FakeClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    clock.advance(50);
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

describe("HistoryReader: a read that fails half-way", () => {
  // What the failed read had examined counted against the retry, which then skipped events.
  test("is repeated from the beginning, and loses nothing", async () => {
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
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["1", "2", "3"]);
  });
});

for (const how of ["throws", "rejects"] as const) {
  describe(`HistoryReader: a read that ${how}`, () => {
    test("is retried, and the client gets every event when it succeeds", async () => {
      const { state, History } = failing(how);
      const { connect, publish, outlet, history, clock, problems } = await bench({ History });
      for (const data of ["1", "2", "3"]) publish(data);
      connect(1, { lastEventId: `#${history.epoch}.1` });
      await pass(clock, 500);
      assert.deepEqual(problems, ["began history_read_failing"]);
      state.isFailing = false;
      await pass(clock, 3000);
      outlet.acknowledgeAll();
      assert.deepEqual(outlet.events(1), ["2", "3"]);
      assert.deepEqual(problems, ["began history_read_failing", "ended history_read_failing"]);
    });

    test("is reported to the client after some reads, and the client goes on live", async () => {
      const { state, History } = failing(how);
      const { connect, publish, outlet, history, clock } = await bench({ History });
      for (const data of ["1", "2", "3"]) publish(data);
      connect(1, { lastEventId: `#${history.epoch}.1` });
      await pass(clock, 10_000);
      assert.ok(state.reads < 20, `${state.reads} reads in 10 s`);
      outlet.acknowledgeAll();
      publish("4");
      outlet.acknowledgeAll();
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

    test("ends as a condition by itself, without a client that reads", async () => {
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

  describe(`HistoryReader: a lookup of a last event id that ${how}`, () => {
    test("opens the stream nevertheless, and reports that events may be missing", async () => {
      const { History } = failing(how);
      const { connect, publish, outlet, history, clock, problems } = await bench({ History });
      publish("1");
      connect(1, { lastEventId: "urn:a-publishers-own-id" });
      await pass(clock, 10_000);
      publish("2");
      outlet.acknowledgeAll();
      const gap = JSON.stringify({ reason: "unavailable", oldest: `#${history.epoch}.0` });
      assert.deepEqual(outlet.events(1), [gap, "2"]);
      assert.deepEqual(problems, ["began history_read_failing"]);
    });
  });
}
