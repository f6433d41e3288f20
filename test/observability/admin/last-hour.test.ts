/** The figures of the last hour, which the daemon keeps for dashboards. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Figures,
  figuresOf,
  HOUR_FIGURES,
  LastHourRecorder,
  MAX_COARSE_SAMPLE_COUNT,
  MAX_FINE_SAMPLE_COUNT,
} from "../../../src/observability/admin/last-hour.js";
import { FakeClock } from "../../support/clock.js";
import { metrics, rateSampler } from "../metrics/harness.js";

const NONE = Object.fromEntries(HOUR_FIGURES.map((name) => [name, null])) as Figures;

/** A recorder whose clients are the number of the sample. */
function start() {
  const clock = new FakeClock();
  let count = 0;
  const recorder = new LastHourRecorder({ clock, figures: () => ({ ...NONE, clients: ++count }) });
  recorder.start();
  const column = HOUR_FIGURES.indexOf("clients") + 1;
  const read = () => recorder.read().samples.map((sample) => [sample[0], sample[column]]);
  return { clock, recorder, read };
}

describe("LastHourRecorder", () => {
  test("keeps each second of the last five minutes, with its age", () => {
    const { clock, recorder, read } = start();
    assert.deepEqual(recorder.read(), { figures: HOUR_FIGURES, samples: [] });
    clock.advance(3000);
    assert.deepEqual(read(), [
      [2, 1],
      [1, 2],
      [0, 3],
    ]);
    recorder.close();
    assert.equal(clock.waiting, 0);
  });

  test("keeps the peaks of ten seconds beyond that, for an hour, and nothing older", () => {
    const { clock, read } = start();
    clock.advance(1000 * (MAX_FINE_SAMPLE_COUNT + 15));
    const samples = read();
    // Ten samples are one; the five after them wait for more, and are there.
    assert.equal(samples.length, MAX_FINE_SAMPLE_COUNT + 6);
    assert.deepEqual(samples.slice(0, 3), [
      [305, 10],
      [304, 11],
      [303, 12],
    ]);
    clock.advance(2 * 60 * 60_000);
    const full = read();
    assert.ok(full.length >= MAX_FINE_SAMPLE_COUNT + MAX_COARSE_SAMPLE_COUNT);
    assert.ok(full.length < MAX_FINE_SAMPLE_COUNT + MAX_COARSE_SAMPLE_COUNT + 10);
    const [oldest] = full[0] ?? [];
    assert.ok(Number(oldest) > 3600 && Number(oldest) < 3920, `${oldest} s`);
    assert.deepEqual(
      full.map(([age]) => age),
      full.map(([age]) => Number(age)).sort((a, b) => b - a),
    );
    assert.ok(JSON.stringify(full).length < 20_000);
  });

  test("has the rates, delays, gaps and rejections of the daemon", () => {
    const { clock, metrics: observer } = metrics();
    const sampler = rateSampler(clock, observer);
    const { counters } = observer;
    const main = counters.server("main");
    Object.assign(main, { fenceMs: 2, latencyMs: 7 });
    Object.assign(counters.server("other"), { fenceMs: 3, latencyMs: undefined });
    counters.gaps.add(["main", "trimmed"], 2);
    counters.rejected.add(["http", "invalid"], 3);
    const figures = figuresOf({ clients: 5, counters, sampler });
    const { clients, fenceRoundTripMs, publishToFenceMs, gaps, rejections } = figures;
    assert.deepEqual([clients, fenceRoundTripMs, publishToFenceMs, gaps, rejections], [5, 3, 7, 2, 3]);
    assert.deepEqual(Object.keys(figures), HOUR_FIGURES);
  });
});
