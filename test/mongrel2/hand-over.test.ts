/** The steps of a stop: their order, and that none of them can hold it up. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HANDOVER_STEPS, type HandoverOptions, handOver } from "../../src/mongrel2/hand-over.js";
import { FakeClock } from "../support/clock.js";

const turn = () => new Promise(setImmediate);
const never = () => new Promise<never>(() => {});

interface Faults {
  readonly isUndelivered?: boolean;
  readonly isBusy?: boolean;
}

function setUp(more: Partial<HandoverOptions> = {}, { isUndelivered = false, isBusy = false }: Faults = {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const call =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, ...args].join(" "));
  const options: HandoverOptions = {
    hub: {
      suspendDelivery: call("suspend"),
      delivered: async () => {
        calls.push("delivered");
        if (isUndelivered) await never();
      },
      close: call("close"),
      handOver: call("hand over"),
      seal: call("seal"),
    },
    requestHandler: {
      idle: async () => {
        calls.push("idle");
        if (isBusy) await never();
      },
      abandon: () => {
        calls.push("abandon");
        return isBusy ? 3 : 0;
      },
    },
    links: ["a", "b"].map((name) => ({
      stopReceiving: async () => {
        calls.push(`leave ${name}`);
        return true;
      },
    })),
    clock,
    retryMs: undefined,
    isHistoryVolatile: false,
    abandoned: call("abandoned"),
    ...more,
  };
  return { clock, calls, options };
}

describe("handOver", () => {
  test("hands the streams over: publications are stored until every request is answered, then refused", async () => {
    const { calls, options, clock } = setUp();
    await handOver(options);
    const order = ["suspend", "delivered", "hand over", "leave a", "leave b", "idle", "abandon", "hand over", "seal"];
    assert.deepEqual(calls, order);
    assert.equal(clock.waiting, 0);
    assert.equal(HANDOVER_STEPS.length, 7);
  });

  test("closes the streams before Mongrel2 can no longer say who is gone, and those that opened meanwhile at the end", async () => {
    const { calls, options } = setUp({ retryMs: 500 });
    await handOver(options);
    assert.deepEqual(
      calls.filter((it) => !/delivered|suspend|abandon/.test(it)),
      ["close 500", "leave a", "leave b", "idle", "close 500", "seal"],
    );
  });

  test("where the history ends with the process, no publication is taken that nobody would get", async () => {
    const { calls, options } = setUp({ isHistoryVolatile: true, retryMs: 500 });
    await handOver(options);
    assert.deepEqual(calls.slice(0, 2), ["seal", "delivered"]);
    assert.ok(!calls.includes("suspend"));
  });

  test("neither events that Mongrel2 does not take nor answers that never come hold it up", async () => {
    const { calls, options, clock } = setUp({}, { isUndelivered: true, isBusy: true });
    let isOver = false;
    void handOver(options).then(() => {
      isOver = true;
    });
    await turn();
    clock.advance(1999);
    await turn();
    assert.deepEqual(calls, ["suspend", "delivered"]);
    clock.advance(1);
    await turn();
    assert.equal(calls.at(-1), "idle");
    clock.advance(2000);
    await turn();
    assert.deepEqual(calls.slice(-4), ["abandon", "abandoned 3", "hand over", "seal"]);
    assert.ok(isOver);
    assert.equal(clock.waiting, 0);
  });
});
