import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DISCONNECT_REASONS, GAP_REASONS } from "../../../src/delivery/reasons.js";
import { ProtocolError } from "../../../src/errors.js";
import { CLIENT, metrics, publication } from "./harness.js";
import { sampleOf } from "./lint.js";

const MAIN = { server: "main" };

describe("Metrics observer", () => {
  test("counts connects and disconnects by server and reason", async () => {
    const { observe, exposition } = metrics();
    for (let id = 0; id < 3; id++)
      observe({ type: "clientConnected", server: "main", client: CLIENT, clients: id + 1 });
    observe({ type: "clientAdopted", server: "main", client: CLIENT, clients: 4 });
    observe({ type: "topicsChanged", server: "main", client: CLIENT });
    observe({ type: "clientDisconnected", server: "main", client: CLIENT, reason: "left", clients: 3 });
    observe({ type: "clientDisconnected", server: "main", client: CLIENT, reason: "server lost", clients: 2 });
    observe({ type: "clientConnected", server: "other", client: CLIENT, clients: 1 });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_connects_total", MAIN), 3);
    assert.equal(sampleOf(text, "m2push_adoptions_total", MAIN), 1);
    assert.equal(sampleOf(text, "m2push_topic_changes_total", MAIN), 1);
    assert.equal(sampleOf(text, "m2push_disconnects_total", { ...MAIN, reason: "left" }), 1);
    assert.equal(sampleOf(text, "m2push_disconnects_total", { ...MAIN, reason: "server lost" }), 1);
    assert.equal(sampleOf(text, "m2push_connects_total", { server: "other" }), 1);
  });

  test("every reason of a disconnect and of a gap is there before the first one", async () => {
    const { observe, exposition } = metrics();
    observe({ type: "linkLive", server: "main", milliseconds: 0 });
    const text = await exposition.text();
    for (const reason of DISCONNECT_REASONS)
      assert.equal(sampleOf(text, "m2push_disconnects_total", { ...MAIN, reason }), 0);
    for (const reason of GAP_REASONS) assert.equal(sampleOf(text, "m2push_gaps_total", { ...MAIN, reason }), 0);
  });

  test("publications, flushes, frames, bytes and deliveries add up", async () => {
    const { observe, exposition } = metrics();
    observe({ type: "published", publication: publication(1, "12345") });
    observe({ type: "published", publication: publication(2, "678") });
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 79, bytes: 8000, deliveries: 20_000, oldest: undefined },
    });
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 1, bytes: 100, deliveries: 0, oldest: undefined },
    });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_publications_total"), 2);
    assert.equal(sampleOf(text, "m2push_publication_bytes_total"), 8);
    assert.equal(sampleOf(text, "m2push_frames_total", MAIN), 80);
    assert.equal(sampleOf(text, "m2push_frame_bytes_total", MAIN), 8100);
    assert.equal(sampleOf(text, "m2push_deliveries_total", MAIN), 20_000);
    assert.equal(sampleOf(text, "m2push_flush_size_bytes_count", MAIN), 2);
    assert.equal(sampleOf(text, "m2push_flush_size_bytes_bucket", { ...MAIN, le: "256" }), 1);
  });

  test("a flush is measured from its oldest publication to the fence behind it", async () => {
    const { metrics: observer, observe, exposition, clock } = metrics();
    const oldest = clock.now();
    clock.advance(30);
    observe({ type: "flushed", server: "main", flush: { bodies: 1, frames: 1, bytes: 1, deliveries: 0, oldest } });
    clock.advance(20);
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 20 });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_publish_to_fence_seconds_sum", MAIN), 0.05);
    assert.equal(sampleOf(text, "m2push_fence_round_trip_seconds_sum", MAIN), 0.02);
    assert.deepEqual([observer.counters.server("main").fenceMs, observer.counters.server("main").latencyMs], [20, 50]);
  });

  test("a flush for clients that catch up has a round trip, and no delay of its own", async () => {
    const { observe, exposition } = metrics();
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 1, bytes: 1, deliveries: 0, oldest: undefined },
    });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 20 });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 20 });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_publish_to_fence_seconds_count", MAIN), 0);
    assert.equal(sampleOf(text, "m2push_fence_round_trip_seconds_count", MAIN), 2);
  });

  test("a flush whose fence never passes leaves nothing for the next life of the link", async () => {
    const { observe, exposition, clock } = metrics();
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 1, bytes: 1, deliveries: 0, oldest: clock.now() },
    });
    observe({ type: "linkLost", server: "main", reason: "x" });
    clock.advance(60_000);
    observe({ type: "linkLive", server: "main", milliseconds: 0 });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 1 });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_publish_to_fence_seconds_count", MAIN), 0);
    assert.equal(sampleOf(text, "m2push_link_losses_total", MAIN), 1);
  });

  test("a publication that another machine's clock stamped in our future is not older than nothing", () => {
    const { metrics: observer, observe, clock } = metrics();
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 1, bytes: 1, deliveries: 0, oldest: clock.now() + 500 },
    });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 1 });
    assert.equal(observer.counters.server("main").latencyMs, 0);
  });

  test("trouble is counted by reason", async () => {
    const { observe, exposition } = metrics();
    const broken = new ProtocolError("invalid", "x");
    observe({ type: "malformedMessage", server: "main", error: broken });
    observe({ type: "malformedMessage", server: "main", error: broken });
    observe({ type: "publicationRejected", source: "zmq", error: new ProtocolError("invalid", "x") });
    observe({ type: "gapReported", server: "main", reason: "unknown", clients: [] });
    observe({ type: "controlPortFailed", server: "main", error: new Error("x") });
    observe({ type: "staleMessagesDropped", server: "main", messages: 3 });
    observe({ type: "requestCompleted", server: "main", route: "/esupdates", status: 503, reason: undefined });
    const text = await exposition.text();
    assert.equal(sampleOf(text, "m2push_malformed_messages_total", { ...MAIN, reason: "invalid" }), 2);
    assert.equal(sampleOf(text, "m2push_publications_rejected_total", { source: "zmq", reason: "invalid" }), 1);
    assert.equal(sampleOf(text, "m2push_gaps_total", { ...MAIN, reason: "unknown" }), 1);
    assert.equal(sampleOf(text, "m2push_control_port_failures_total", MAIN), 1);
    assert.equal(sampleOf(text, "m2push_stale_messages_dropped_total", MAIN), 3);
    assert.equal(sampleOf(text, "m2push_requests_total", { ...MAIN, route: "/esupdates", status: "503" }), 1);
  });
});
