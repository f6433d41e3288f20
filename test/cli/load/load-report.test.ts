import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { asJson, asText, hints, type LoadResult } from "../../../src/cli/load/load-report.js";

const COUNTS: LoadResult["counts"] = {
  ...{
    opened: 10,
    failed: 0,
    firstFailure: "",
    cut: 0,
    delivered: 1000,
    repeated: 0,
    otherEvents: 0,
    gaps: 0,
    bytes: 1e6,
  },
};
const PUBLISHED = { acknowledged: 100, rejected: 0, firstRejection: "", tookMs: 10_000 };
const GOOD: LoadResult = {
  ...{ clients: 10, wantedEventsPerSecond: 10, connectSeconds: 0.5, seconds: 10, cpuShare: 0.2 },
  ...{ counts: COUNTS, published: PUBLISHED, latencyMs: { p50: 1, p90: 2, p99: 30.04, max: 40 } },
};

describe("Load report", () => {
  test("has what arrived of what was expected, and the latencies", () => {
    const lines = asText(GOOD).split("\n");
    assert.deepEqual(lines.slice(0, 4), [
      "connected  10 of 10 clients in 0.5 s, 0 failed, 0 cut",
      "published  100 events in 10.0 s, 0 rejected",
      "delivered  1,000 of 1,000, 0 missing, 0 repeated, 0 gaps",
      "latency    p50 1.00 ms, p90 2.00 ms, p99 30.0 ms, max 40.0 ms",
    ]);
    assert.match(lines[5] ?? "", /^hint: carried: 10 clients, 100 deliveries\/s\./);
    const json = JSON.parse(asJson(GOOD));
    assert.deepEqual([json.expected, json.delivered, json.missing, json.latencyMs.p99], [1000, 1000, 0, 30.04]);
  });

  test("each fault has a hint, and nothing counts as carried then", () => {
    const faulty: readonly [Partial<LoadResult>, RegExp][] = [
      [
        { counts: { ...COUNTS, failed: 2, firstFailure: "status 503" } },
        /2 clients were not served \(status 503\): see \[stream\]/,
      ],
      [{ counts: { ...COUNTS, failed: 1, firstFailure: "read ECONNRESET" } }, /superpoll.max_fd/],
      [{ counts: { ...COUNTS, delivered: 999, cut: 1 } }, /events are missing \(1 clients cut, 0 gaps\)/],
      [{ counts: { ...COUNTS, delivered: 0 } }, /no event arrived/],
      [{ published: { ...PUBLISHED, rejected: 1, firstRejection: "full" } }, /events were rejected: full/],
      [{ published: { ...PUBLISHED, acknowledged: 50 } }, /5 events\/s were published instead of 10/],
      [{ cpuShare: 0.9 }, /this program was near the limit/],
    ];
    for (const [change, expected] of faulty) {
      const found = hints({ ...GOOD, ...change });
      assert.match(found.join("\n"), expected);
      assert.doesNotMatch(found.join("\n"), /carried/);
    }
    assert.match(hints({ ...GOOD, latencyMs: { ...GOOD.latencyMs, p99: 300 } })[0] ?? "", /complete, but late/);
    assert.match(hints({ ...GOOD, published: undefined })[0] ?? "", /it only listened/);
  });
});
