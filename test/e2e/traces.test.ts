/** Traces of events: a real Mongrel2, OpenTelemetry's own exporter, and a collector that takes OTLP over HTTP. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { type CollectedSpan, Collector } from "../support/collector.js";
import { startNodes } from "../support/nodes.js";
import { startPair } from "../support/pair.js";
import { HUB } from "./mercure.js";

const EVENTS = 1000;
const OPEN = { auth: { allow_publish_from: ["127.0.0.1"] } };

const traceIdOf = (n: number) => n.toString(16).padStart(32, "0");
const PARENT = "00f067aa0ba902b7";
const traceparent = (n: number, flags = "01") => `00-${traceIdOf(n)}-${PARENT}-${flags}`;

async function setUp(t: TestContext) {
  const collector = await new Collector().start(t);
  const traces = { endpoint: collector.url, service_name: "test" };
  const pair = await startPair(t, { config: { ...OPEN, traces } });
  const post = (body: string, headers: Readonly<Record<string, string>>) =>
    fetch(`${pair.mongrel2.url}${HUB}`, { method: "POST", body, headers });
  return { collector, pair, post };
}

const named = (spans: readonly CollectedSpan[], name: string) => spans.filter((span) => span.name === name);
const namesOf = (spans: readonly CollectedSpan[] = []) => spans.map(({ name }) => name).sort();

/** Asserts that the spans of one event make one complete tree, one step after the other. */
function verifyTrace(spans: readonly CollectedSpan[], traceId: string): void {
  const what = `trace ${traceId}`;
  assert.deepEqual(namesOf(spans), ["bus", "fence", "flush", "publish", "store", "validate"], what);
  const [publish] = named(spans, "publish");
  assert.ok(publish);
  assert.equal(publish.parentSpanId, PARENT, what);
  for (const span of spans) {
    assert.deepEqual([span.error, span.service], [undefined, "test"], what);
    if (span !== publish) assert.equal(span.parentSpanId, publish.spanId, what);
    assert.ok(span.start <= span.end && publish.start <= span.start, `${what}: ${span.name}`);
  }
  const [validate, bus, store, flush, fence] = ["validate", "bus", "store", "flush", "fence"].map(
    (name) => named(spans, name)[0],
  );
  assert.equal(validate?.start, publish.start, what);
  assert.equal(bus?.start, validate?.end, what);
  assert.equal(store?.start, bus?.end, what);
  assert.equal(fence?.start, flush?.end, what);
  assert.ok(bus && flush && flush.start >= bus.end, what);
  assert.deepEqual(flush?.attributes, { "m2push.server": "main", "m2push.clients": 2 }, what);
}

describe("Traces, end to end", () => {
  test("the traces of 1000 of 1000 events are complete, half of them from ZeroMQ and half over HTTP", async (t) => {
    const { collector, pair, post } = await setUp(t);
    const clients = [await pair.stream(), await pair.stream()];
    const event = (n: number) => JSON.stringify({ topic: "a", data: `${n}`, traceparent: traceparent(n) });
    const numbers = Array.from({ length: EVENTS }, (_, at) => at + 1);
    const [overZmq, overHttp] = [numbers.slice(0, EVENTS / 2), numbers.slice(EVENTS / 2)];
    for (const n of overZmq) void pair.publisher.send([event(n)]);
    const types = { "content-type": "application/x-ndjson" };
    for (let at = 0; at < overHttp.length; at += 100) {
      const answer = await post(
        overHttp
          .slice(at, at + 100)
          .map(event)
          .join("\n"),
        types,
      );
      assert.equal(answer.status, 200);
    }
    for (const client of clients) await client.until(({ events }) => events.length === EVENTS, "every event");
    await collector.until(({ spans }) => spans.length >= EVENTS * 6, "six spans of each event");
    const { traces } = collector;
    assert.equal(traces.size, EVENTS);
    for (const n of numbers) verifyTrace(traces.get(traceIdOf(n)) ?? [], traceIdOf(n));
  });

  test("the header counts for each event without a trace of its own; only sampled traces are recorded", async (t) => {
    const { collector, pair, post } = await setUp(t);
    const client = await pair.stream();
    const json = { "content-type": "application/json" };
    const batch = [1, 2].map((n) => ({ topic: "a", data: `${n}`, ...(n === 2 && { traceparent: traceparent(2) }) }));
    await post(JSON.stringify(batch), { ...json, traceparent: traceparent(1) });
    const form = { "content-type": "application/x-www-form-urlencoded" };
    await post("topic=a&data=3", { ...form, traceparent: traceparent(3, "00") });
    await post("topic=a&data=4", { ...form, traceparent: "00-unreadable-01" });
    const attributes = { "ce-specversion": "1.0", "ce-id": "5", "ce-source": "/s", "ce-type": "t" };
    await post("5", { ...attributes, "ce-subject": "a", "ce-traceparent": traceparent(5) });
    await pair.publisher.send(["a", "6", JSON.stringify({ traceparent: traceparent(6) })]);
    await client.until(({ events }) => events.length === 6, "every event");
    await collector.until(({ traces }) => namesOf(traces.get(traceIdOf(6))).length === 6, "the last trace");
    assert.deepEqual([...collector.traces.keys()].sort(), [1, 2, 5, 6].map(traceIdOf));
    const ids = collector.spans
      .filter(({ name }) => name === "publish")
      .map((span) => span.attributes["m2push.event.id"]);
    assert.deepEqual(
      ids,
      client.events.filter(({ data }) => !["3", "4"].includes(data)).map(({ id }) => id),
    );
  });

  test("a collector that takes no spans is reported, and costs no event", async (t) => {
    const { collector, pair, post } = await setUp(t);
    const client = await pair.stream();
    collector.status = 400;
    const publish = (n: number) =>
      post(`topic=a&data=${n}`, {
        "content-type": "application/x-www-form-urlencoded",
        traceparent: traceparent(n),
      });
    await publish(1);
    const began = await pair.daemon.logged(({ code }) => code === "traces_failing", "the condition");
    const { fix } = conditionTexts.tracesFailing("");
    assert.deepEqual([began.event, began.subject, began.fix], ["condition_began", collector.url, fix]);
    collector.status = 200;
    await publish(2);
    await pair.daemon.logged(({ event, code }) => event === "condition_ended" && code === "traces_failing", "its end");
    await client.until(({ events }) => events.length === 2, "both events");
    assert.deepEqual([...collector.traces.keys()], [traceIdOf(2)]);
  });

  test("spans that wait are sent before the daemon stops", async (t) => {
    const { collector, pair, post } = await setUp(t);
    await post("topic=a&data=1", {
      "content-type": "application/x-www-form-urlencoded",
      traceparent: traceparent(1),
    });
    await pair.daemon.stop();
    assert.deepEqual(namesOf(collector.spans), ["bus", "publish", "store", "validate"]);
  });

  test("in a cluster every node adds the steps of its own clients", async (t) => {
    const collector = await new Collector().start(t);
    const { a, b } = await startNodes(t, { traces: { endpoint: collector.url } });
    const clients = [await a.stream(), await b.stream()];
    await a.publisher.send([JSON.stringify({ topic: "a", data: "1", traceparent: traceparent(1) })]);
    for (const client of clients) await client.until(({ events }) => events.length === 1, "the event");
    const names = ["bus", "fence", "fence", "flush", "flush", "publish", "store", "store", "validate"];
    await collector.until(({ spans }) => spans.length >= names.length, "the spans of both nodes");
    assert.deepEqual(namesOf(collector.spans), names);
    const [publish] = named(collector.spans, "publish");
    for (const span of collector.spans)
      assert.equal(span.parentSpanId, span === publish ? PARENT : publish?.spanId, span.name);
  });
});
