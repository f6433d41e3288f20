import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { measureEventLoopLag } from "../../../src/observability/metrics/event-loop-lag.js";
import type { Clock } from "../../../src/util/clock.js";
import { FakeClock } from "../../support/clock.js";

describe("Event-loop lag", () => {
  test("is how much later than 100 ms each run of the timer is; a run that is early counts as 0", () => {
    let now = 0;
    let tick = () => {};
    const clock: Clock = {
      now: () => now,
      monotonic: () => now,
      after: () => () => {},
      every(_ms, run) {
        tick = run;
        return () => {};
      },
    };
    const lag = measureEventLoopLag(clock);
    for (const ms of [100, 350, 90, 110]) {
      now += ms;
      tick();
    }
    assert.deepEqual(lag.take(), [0, 0, 10, 250]);
    assert.deepEqual(lag.take(), []);
  });

  test("is not measured any more after close", () => {
    const clock = new FakeClock();
    const lag = measureEventLoopLag(clock);
    assert.equal(clock.waiting, 1);
    lag.close();
    assert.equal(clock.waiting, 0);
  });
});
