/** Spans of events, with OpenTelemetry's SDK and an exporter in memory. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as api from "@opentelemetry/api";
import * as sdk from "@opentelemetry/sdk-trace-base";
import { M2pushError } from "../../../src/errors.js";
import { EventTracer } from "../../../src/observability/traces/event-tracer.js";
import { loadOpenTelemetry } from "../../../src/observability/traces/load-opentelemetry.js";
import { spanQueue } from "../../../src/observability/traces/span-queue.js";
import { Spans } from "../../../src/observability/traces/spans.js";
import { traceClock } from "../../../src/observability/traces/trace-clock.js";
import { positionDraft } from "../../../src/protocol/position.js";
import type { Draft, Publication } from "../../../src/protocol/publication.js";
import { fingerprintOf } from "../../../src/publishing/hash-key.js";
import { systemClock } from "../../../src/util/clock.js";

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const draft = (traceparent?: string): Draft => ({
  topics: ["a"],
  data: "x",
  private: false,
  ...(traceparent && { traceparent }),
});

function setUp() {
  const exporter = new sdk.InMemorySpanExporter();
  const provider = new sdk.BasicTracerProvider({ spanProcessors: [new sdk.SimpleSpanProcessor(exporter)] });
  let time = Date.now();
  let dropped = 0;
  const tracer = new EventTracer({
    spans: new Spans(api, provider.getTracer("test")),
    now: () => time++,
    dropped: (events) => {
      dropped += events;
    },
  });
  return {
    tracer,
    get dropped() {
      return dropped;
    },
    /** Name and error of each span since the last call. */
    spans() {
      const spans = exporter
        .getFinishedSpans()
        .map(({ name, status: { message } }) => (message ? `${name}: ${message}` : name));
      exporter.reset();
      return spans;
    },
  };
}

/** Publications with offsets from 1 on, as the bus makes them of traced drafts. */
function positioned(tracer: EventTracer, count: number): readonly Publication[] {
  const trace = tracer.begin(Array<Draft>(count).fill(draft(TRACEPARENT)), undefined);
  return (trace?.drafts ?? []).map((one, at) => positionDraft(one, "e", at + 1, 0));
}

describe("EventTracer", () => {
  test("leaves requests alone that have no sampled trace, and takes the context of others", () => {
    const { tracer } = setUp();
    assert.equal(tracer.begin([draft(), draft(TRACEPARENT.replace(/1$/, "0"))], undefined), undefined);
    const trace = tracer.begin([draft(), draft(TRACEPARENT.replace(/1$/, "0")), draft(TRACEPARENT)], undefined);
    const [plain, unsampled, traced] = trace?.drafts ?? [];
    assert.deepEqual([plain, unsampled], [draft(), draft()]);
    assert.notEqual(traced?.traceparent, TRACEPARENT);
    assert.match(traced?.traceparent ?? "", /^00-4bf92f3577b34da6a3ce929d0e0e4736-/);
  });

  test("marks the span of an event that was not published, or not stored", async () => {
    const { tracer, spans } = setUp();
    tracer.begin([draft(TRACEPARENT)], undefined)?.fail(new M2pushError("unavailable", "it stops"));
    assert.deepEqual(spans(), ["validate", "publish: it stops"]);
    const trace = tracer.begin([draft(TRACEPARENT)], undefined);
    const [publication] = (trace?.drafts ?? []).map((one) => positionDraft(one, "e", 1, 0));
    assert.ok(publication);
    const error = new M2pushError("storage_failed", "the disk is full");
    const stored = Promise.reject(error);
    tracer.positioned(publication)(stored);
    await assert.rejects(stored);
    trace?.end([{ error }]);
    assert.deepEqual(spans(), ["validate", "bus", "store: the disk is full", "publish: the disk is full"]);
  });

  test("a flush ends the events up to its offset, its fence the same ones", () => {
    const { tracer, spans } = setUp();
    const delivery = tracer.deliveryOf("main");
    const publications = positioned(tracer, 3);
    spans();
    for (const publication of publications) delivery.queued(publication, 1);
    delivery.sent(2);
    assert.deepEqual(spans(), ["flush", "flush"]);
    delivery.taken();
    assert.deepEqual(spans(), ["fence", "fence"]);
    delivery.sent(2);
    delivery.taken();
    assert.deepEqual(spans(), []);
    delivery.sent(3);
    delivery.taken();
    assert.deepEqual(spans(), ["flush", "fence"]);
  });

  test("a lost link ends the spans of waiting events as errors", () => {
    const { tracer, spans } = setUp();
    const delivery = tracer.deliveryOf("main");
    const [first, second] = positioned(tracer, 2);
    assert.ok(first && second);
    spans();
    delivery.queued(first, 1);
    delivery.sent(1);
    delivery.queued(second, 1);
    delivery.reset();
    delivery.taken();
    const lost = "the link to Mongrel2 was lost";
    assert.deepEqual(spans(), ["flush", `flush: ${lost}`, `fence: ${lost}`]);
  });

  test("has bounds for events under way: further ones are not traced, and counted", () => {
    const bench = setUp();
    const { tracer } = bench;
    const publications = positioned(tracer, 10_001);
    assert.deepEqual([bench.dropped, publications.at(-1)?.traceparent], [1, undefined]);
    const delivery = tracer.deliveryOf("main");
    for (const publication of publications.slice(0, -1)) delivery.queued(publication, 1);
    assert.equal(bench.dropped, 1);
    delivery.queued({ ...(publications[0] as Publication), offset: 10_001 }, 1);
    assert.equal(bench.dropped, 2);
  });

  test("a repeat of an event with another trace is a repeat", () => {
    assert.equal(fingerprintOf([draft(TRACEPARENT)]), fingerprintOf([draft()]));
  });
});

describe("Span queue", () => {
  test("drops spans above its limit, and counts what the collector took and did not take", async () => {
    const counts = { exported: 0, failed: 0, dropped: 0 };
    let error: Error | undefined = new Error("away");
    const exporter: sdk.SpanExporter = {
      export: (_, done) => done(error ? { code: 1, error } : { code: 0 }),
      shutdown: async () => {},
    };
    const count = (what: keyof typeof counts) => (spans: number) => {
      counts[what] += spans;
    };
    const observer = { exported: count("exported"), failed: count("failed"), dropped: count("dropped") };
    const queue = spanQueue({ sdk }, exporter, observer);
    const tracer = new sdk.BasicTracerProvider({ spanProcessors: [queue] }).getTracer("test");
    const make = (spans: number) => {
      for (let n = 0; n < spans; n++) tracer.startSpan("s").end();
    };
    make(10);
    await queue.forceFlush().catch(() => {});
    assert.deepEqual(counts, { exported: 0, failed: 10, dropped: 0 });
    error = undefined;
    make(10);
    await queue.shutdown();
    assert.deepEqual(counts, { exported: 10, failed: 10, dropped: 0 });
  });

  test("holds a bounded number of spans while the collector does not answer", async () => {
    let dropped = 0;
    const observer = { exported() {}, failed() {}, dropped: () => void dropped++ };
    let answer: (() => void) | undefined;
    let isSilent = true;
    const exporter: sdk.SpanExporter = {
      export(_, done) {
        answer = () => done({ code: 0 });
        if (!isSilent) answer();
      },
      shutdown: async () => {},
    };
    const queue = spanQueue({ sdk }, exporter, observer);
    const tracer = new sdk.BasicTracerProvider({ spanProcessors: [queue] }).getTracer("test");
    const [limit, batch, extra] = [20_000, 1_000, 7];
    for (let n = 0; n < limit + batch + extra; n++) tracer.startSpan("s").end();
    assert.equal(dropped, extra);
    isSilent = false;
    answer?.();
    await queue.shutdown();
  });
});

describe("OpenTelemetry", () => {
  test("that is not installed stops the daemon with the command that installs it", async () => {
    const missing = () => Promise.reject(new Error("Cannot find package '@opentelemetry/api'"));
    await assert.rejects(loadOpenTelemetry(missing), (error: M2pushError) => {
      assert.equal(error.code, "config_invalid");
      assert.match(
        error.message,
        /Cannot find package .*; fix: npm install @opentelemetry\/api@1\.9 .*or remove \[traces\] endpoint/,
      );
      return true;
    });
  });
});

describe("Trace clock", () => {
  test("has the fractions of the monotonic clock, and follows a wall clock that was set", () => {
    let [wall, monotonic] = [1_000_000, 500.25];
    const now = traceClock({ ...systemClock, now: () => wall, monotonic: () => monotonic });
    monotonic += 0.5;
    assert.equal(now(), 1_000_000.5);
    wall += 3_600_000;
    assert.equal(now(), 4_600_000);
  });
});
