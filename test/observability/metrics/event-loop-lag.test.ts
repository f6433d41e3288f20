import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { measureEventLoopLag } from "../../../src/observability/metrics/event-loop-lag.js";

/** Lets the timer of the measurement run, which no event reports. */
async function someDelays(lag: ReturnType<typeof measureEventLoopLag>): Promise<number[]> {
  const delays: number[] = [];
  while (delays.length === 0) {
    await new Promise(setImmediate);
    delays.push(...lag.take());
  }
  return delays;
}

describe("Event-loop lag", () => {
  test("of a loop that was blocked is the time beyond the interval of 100 ms", async (t) => {
    const lag = measureEventLoopLag();
    t.after(() => lag.close());
    await someDelays(lag);
    const blockedMs = 400;
    const end = performance.now() + blockedMs;
    while (performance.now() < end);
    const longest = Math.max(...(await someDelays(lag)));
    assert.ok(longest >= blockedMs - 101, `${longest} ms`);
  });

  test("is not measured any more after close", async () => {
    const lag = measureEventLoopLag();
    await someDelays(lag);
    lag.close();
    lag.take();
    assert.deepEqual(lag.take(), []);
    lag.close();
  });
});
