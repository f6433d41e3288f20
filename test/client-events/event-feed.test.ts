/** What a backend is told over ZeroMQ, from what happens in a hub. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Describer } from "../../src/client-events/client-event.js";
import { EventFeed } from "../../src/client-events/event-feed.js";
import type { EventKind } from "../../src/config/schema.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { bench } from "../support/hub.js";

const KINDS: readonly EventKind[] = ["connect", "adopt", "topics", "disconnect", "gap", "publish"];
const news: Interest = { selectors: [{ kind: "exact", value: "news" }], grants: [] };

async function open(kinds = KINDS, subscribers = 1) {
  const told: { topic: string; event: Record<string, unknown> }[] = [];
  const publisher = {
    subscribers,
    dropped: 0,
    publish: (topic: Buffer, body: Buffer) => told.push({ topic: `${topic}`, event: JSON.parse(`${body}`) }),
  };
  let feed: EventFeed | undefined;
  const it = await bench({ observe: (event) => feed?.observe(event) });
  const idents = new Map([["main", "the-ident"]]);
  feed = new EventFeed({ publisher, kinds, describer: new Describer({ clock: it.clock, daemon: "host/1", idents }) });
  return { ...it, feed, told };
}

describe("EventFeed", () => {
  test("tells of a connect and a disconnect, with all members", async () => {
    const { connect, hub, server, clock, told } = await open();
    connect(7, { interest: news, lastEventId: "unknown" });
    clock.advance(2500);
    hub.leave(server, 7, "left");
    const [gap, connected, disconnected] = told;
    assert.deepEqual([gap?.topic, connected?.topic, disconnected?.topic], ["gap", "connect", "disconnect"]);
    const { instance, time, ...event } = connected?.event ?? {};
    assert.match(`${instance}`, /^[A-Za-z0-9_-]{8}$/);
    assert.match(`${time}`, /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.deepEqual(event, {
      ...{ kind: "connect", daemon: "host/1", server: "main", ident: "the-ident", connection: 7, remote: "127.0.0.1" },
      ...{ selectors: [{ kind: "exact", value: "news" }], lastEventId: "unknown", sequence: 2, kindSequence: 1 },
    });
    assert.equal(disconnected?.event.reason, "left");
    assert.equal(disconnected?.event.connectedSeconds, 2.5);
    assert.deepEqual(gap?.event.connections, [7]);
    assert.equal(gap?.event.reason, "unknown");
  });

  test("numbers the events of each kind by themselves, and also those that nobody takes", async () => {
    const { connect, publish, told, feed } = await open(["publish", "connect"]);
    publish("one", "news");
    connect(1);
    publish("two", "news");
    assert.deepEqual(
      told.map(({ event }) => [event.kind, event.sequence, event.kindSequence]),
      [
        ["publish", 1, 1],
        ["connect", 2, 1],
        ["publish", 3, 2],
      ],
    );
    assert.deepEqual(feed.status, { subscribers: 1, events: 3, dropped: 0 });
    const alone = await open(KINDS, 0);
    alone.connect(1);
    assert.deepEqual([alone.told.length, alone.feed.status.events], [0, 1]);
  });

  test("neither tells what was not asked for, nor the name of a controlled stream", async () => {
    const { connect, publish, told } = await open(["connect"]);
    connect(1, { interest: EVERYTHING_PUBLIC, control: { name: "a".repeat(22), dialect: "draft-08" } });
    publish("one");
    assert.equal(told.length, 1);
    assert.ok(!JSON.stringify(told).includes("aaaa"));
  });

  test("bounds the selectors of an event and the connections of a gap", async () => {
    const { connect, told, feed, server } = await open();
    const selectors = Array.from({ length: 100 }, (_, at) => ({
      kind: "exact" as const,
      value: `${at}`.padEnd(900, "x"),
    }));
    connect(1, { interest: { selectors, grants: [] } });
    const event = told[0]?.event ?? assert.fail("nothing was told");
    assert.equal((event.selectors as unknown[]).length, 2);
    assert.equal(event.moreSelectors, 98);
    const client = server.clients.get(1);
    assert.ok(client);
    feed.observe({ type: "gapReported", server: "main", reason: "expired", clients: Array(2500).fill(client) });
    const sizes = told.slice(1).map(({ event }) => (event.connections as number[]).length);
    assert.deepEqual(sizes, [1000, 1000, 500]);
  });
});
