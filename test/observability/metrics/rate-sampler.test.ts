import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counters } from "../../../src/observability/metrics/counters.js";
import { RateSampler } from "../../../src/observability/metrics/rate-sampler.js";
import type { Clock } from "../../../src/util/clock.js";
import { FakeClock } from "../../support/clock.js";

function pulse() {
  const clock = new FakeClock();
  const counters = new Counters();
  const lags: number[] = [];
  const it = new RateSampler({ clock, counters, lag: (ms) => lags.push(ms) });
  it.start();
  return { clock, counters, lags, it };
}

describe("RateSampler", () => {
  test("rates are averages over the last seconds, and looking changes nothing", () => {
    const { clock, counters, it } = pulse();
    for (let second = 0; second < 20; second++) {
      counters.publications += 10;
      counters.server("main").deliveries += 300;
      counters.server("other").deliveries += 100;
      clock.advance(1000);
    }
    for (let look = 0; look < 3; look++) {
      assert.equal(it.rates.publications, 10);
      assert.equal(it.rates.deliveries, 400);
      assert.equal(it.deliveries("main"), 300);
    }
    clock.advance(6000);
    assert.equal(it.rates.publications, 0);
    assert.equal(it.deliveries("nobody"), 0);
  });

  test("in the first moment, before anything can be said, rates are 0", () => {
    const { counters, it } = pulse();
    counters.publications = 5;
    assert.equal(it.rates.publications, 0);
    assert.equal(it.deliveries("main"), 0);
  });

  test("a timer that is late is told, and the latest of the last seconds is remembered for as long", () => {
    let now = 0;
    let tick = () => {};
    const clock: Clock = {
      now: () => now,
      monotonic: () => now,
      after: () => () => {},
      every: (_ms, run) => {
        tick = run;
        return () => {};
      },
    };
    const lags: number[] = [];
    const it = new RateSampler({ clock, counters: new Counters(), lag: (ms) => lags.push(ms) });
    it.start();
    const pass = (ms: number) => {
      now += ms;
      tick();
    };
    pass(100);
    pass(350);
    pass(90);
    assert.deepEqual(lags, [0, 250, 0]);
    assert.equal(it.lag, 250);
    for (let ticks = 0; ticks < 80; ticks++) pass(100);
    assert.equal(it.lag, 0);
  });

  test("after close nothing remains", () => {
    const { clock, it } = pulse();
    it.close();
    assert.equal(clock.waiting, 0);
    it.close();
  });
});
