import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QuantileWindow } from "../../../src/observability/metrics/quantile-window.js";
import { FakeClock } from "../../support/clock.js";

describe("QuantileWindow", () => {
  test("knows quantiles to 5 %", () => {
    const window = new QuantileWindow(new FakeClock());
    for (let ms = 1; ms <= 1000; ms++) window.observe(ms);
    assert.equal(window.count, 1000);
    for (const share of [0.01, 0.5, 0.9, 0.99]) {
      const value = window.quantile(share) ?? 0;
      assert.ok(Math.abs(value / (1000 * share) - 1) < 0.06, `${share}: ${value}`);
    }
  });

  test("takes 0 and durations beyond its range", () => {
    const window = new QuantileWindow(new FakeClock());
    assert.equal(window.quantile(0.5), undefined);
    window.observe(0);
    window.observe(1e12);
    assert.equal(window.quantile(0.5), 0);
    assert.ok((window.quantile(1) ?? 0) > 900_000);
  });

  test("forgets what is older than a minute, also after a pause without a call", () => {
    const clock = new FakeClock();
    const window = new QuantileWindow(clock);
    window.observe(5);
    clock.advance(31_000);
    window.observe(500);
    assert.equal(window.count, 2);
    clock.advance(30_000);
    assert.equal(window.count, 1);
    clock.advance(600_000);
    assert.equal(window.count, 0);
  });
});
