import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counters } from "../../../src/observability/metrics/counters.js";
import { RateSampler } from "../../../src/observability/metrics/rate-sampler.js";
import { FakeClock } from "../../support/clock.js";

function sampling() {
  const clock = new FakeClock();
  const counters = new Counters();
  const delays: number[] = [];
  const observed: number[] = [];
  const lag = {
    isClosed: false,
    take: () => delays.splice(0),
    close() {
      lag.isClosed = true;
    },
  };
  const it = new RateSampler({ clock, counters, lag, observeLag: (ms) => void observed.push(ms) });
  it.start();
  return { clock, counters, lag, delays, observed, it };
}

describe("RateSampler", () => {
  test("rates are averages over the last five seconds, and reading them changes nothing", () => {
    const { clock, counters, it } = sampling();
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

  test("rates are 0 before the first sample", () => {
    const { counters, it } = sampling();
    counters.publications = 5;
    assert.equal(it.rates.publications, 0);
    assert.equal(it.deliveries("main"), 0);
  });

  test("each delay of the event loop is observed, and the longest of the last five seconds is kept for as long", () => {
    const { clock, delays, observed, it } = sampling();
    delays.push(0, 3, 250);
    clock.advance(1000);
    delays.push(1, 2);
    clock.advance(1000);
    assert.deepEqual(observed, [0, 3, 250, 1, 2]);
    assert.equal(it.lagMs, 250);
    clock.advance(4000);
    assert.equal(it.lagMs, 250);
    clock.advance(1000);
    assert.equal(it.lagMs, 2);
  });

  test("after close nothing remains", () => {
    const { clock, lag, it } = sampling();
    it.close();
    assert.deepEqual([clock.waiting, lag.isClosed], [0, true]);
    it.close();
  });
});
