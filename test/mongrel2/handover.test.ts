/** The steps of a stop: their order, and that none of them can hold it up. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type HandoverOptions, handOver, STEPS } from "../../src/mongrel2/handover.js";
import { FakeClock } from "../support/clock.js";

const turn = () => new Promise(setImmediate);
const never = () => new Promise<never>(() => {});

interface Faults {
  readonly isUnsettled?: boolean;
  readonly isBusy?: boolean;
}

function setUp(more: Partial<HandoverOptions> = {}, { isUnsettled = false, isBusy = false }: Faults = {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const call =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, ...args].join(" "));
  const options: HandoverOptions = {
    hub: {
      suspendDelivery: call("suspend"),
      settled: async () => {
        calls.push("settled");
        if (isUnsettled) await never();
      },
      close: call("close"),
      handOver: call("hand over"),
      seal: call("seal"),
    },
    visitors: {
      idle: async () => {
        calls.push("idle");
        if (isBusy) await never();
      },
      abandon: () => {
        calls.push("abandon");
        return isBusy ? 3 : 0;
      },
    },
    endpoints: ["a", "b"].map((name) => ({
      leave: async () => {
        calls.push(`leave ${name}`);
        return true;
      },
    })),
    clock,
    retry: undefined,
    isForgetful: false,
    abandoned: call("abandoned"),
    ...more,
  };
  return { clock, calls, options };
}

describe("Handover", () => {
  test("hands the streams over: publications are stored until every request is answered, then refused", async () => {
    const { calls, options, clock } = setUp();
    await handOver(options);
    const order = ["suspend", "settled", "hand over", "leave a", "leave b", "idle", "abandon", "hand over", "seal"];
    assert.deepEqual(calls, order);
    assert.equal(clock.waiting, 0);
    assert.equal(STEPS.length, 7);
  });

  test("closes the streams before Mongrel2 can no longer say who is gone, and those that opened meanwhile at the end", async () => {
    const { calls, options } = setUp({ retry: 500 });
    await handOver(options);
    assert.deepEqual(
      calls.filter((it) => !/settled|suspend|abandon/.test(it)),
      ["close 500", "leave a", "leave b", "idle", "close 500", "seal"],
    );
  });

  test("where the history ends with the process, no publication is taken that nobody would get", async () => {
    const { calls, options } = setUp({ isForgetful: true, retry: 500 });
    await handOver(options);
    assert.deepEqual(calls.slice(0, 2), ["seal", "settled"]);
    assert.ok(!calls.includes("suspend"));
  });

  test("neither events that Mongrel2 does not take nor answers that never come hold it up", async () => {
    const { calls, options, clock } = setUp({}, { isUnsettled: true, isBusy: true });
    let isOver = false;
    void handOver(options).then(() => {
      isOver = true;
    });
    await turn();
    clock.advance(1999);
    await turn();
    assert.deepEqual(calls, ["suspend", "settled"]);
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
