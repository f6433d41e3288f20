/** State at once through a real Mongrel2, and a daemon that is killed while it is sent. */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { Browser } from "../support/crowd.js";
import { startNodes } from "../support/nodes.js";
import { type Pair, startPair } from "../support/pair.js";
import { readReceived } from "../support/received.js";

const HUB = "/.well-known/mercure";
/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };
const LARGE_EVENTS = 400;
const padding = "x".repeat(20_000);

describe("State at once, end to end", () => {
  let pair: Pair;
  const ends: (() => unknown)[] = [];
  before(async () => {
    const lifetime = { after: (end: () => unknown) => void ends.push(end) };
    pair = await startPair(lifetime as Pick<TestContext, "after">, { settings });
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  test("a page gets the newest event of each topic, then everything that is published", async () => {
    const stored = await pair.stream();
    for (const [data, topic] of [
      ["1", "price/a"],
      ["2", "price/b"],
      ["3", "price/a"],
      ["4", "other"],
    ] as const)
      await pair.publisher.publish(data, topic);
    await stored.until(({ events }) => events.length === 4, "the stored events");
    const paths = [
      "/esupdates?topic=price/a&topic=price/b&latest=1",
      "/esupdates?topic=price/%7Bid%7D&latest=1",
      `${HUB}?topic=price/%7Bid%7D&last=2`,
      `${HUB}?match_urlpattern=price/:id&latest=1`,
      `${HUB}?match=price/a&match=price/b&latest=1`,
    ];
    const clients = await Promise.all(paths.map((path) => pair.stream({ accept: "text/event-stream" }, path)));
    for (let event = 5; event <= 60; event++) await pair.publisher.publish(`${event}`, "price/b");
    for (const [at, client] of clients.entries()) {
      await client.until(({ events }) => events.some(({ data }) => data === "60"), "the last event");
      const data = client.events.map((it) => it.data);
      assert.deepEqual(data, ["2", "3", ...numbers(5, 60)], paths[at]);
    }
  });

  test("a daemon that is killed while it sends a state goes on with it, and nothing is missing", async () => {
    const stored = await pair.stream({}, "/esupdates?topic=stored");
    for (let event = 1; event <= LARGE_EVENTS; event++) await pair.publisher.publish(`${event} ${padding}`, "large");
    await pair.publisher.publish("stored", "stored");
    await stored.until(({ events }) => events.length === 1, "the events to be stored");
    await pair.aged(3);
    // Where the record of its connection was not written yet, the next daemon closes it, and it comes back with its last event id.
    const browser = new Browser(`${pair.mongrel2.url}/esupdates?topic=large&last=${LARGE_EVENTS}`);
    ends.push(() => browser.leave());
    await browser.open();
    await browser.until(() => browser.received.length >= 20, "the first events");
    await pair.daemon.kill9();
    assert.ok(browser.received.length < LARGE_EVENTS, "the state was under way");
    await pair.restart();
    await pair.publisher.publish(`${LARGE_EVENTS + 1}`, "large");
    await browser.until(() => browser.received.includes(LARGE_EVENTS + 1), "the live event");
    const { once } = readReceived(browser.received);
    assert.deepEqual(
      once,
      Array.from({ length: LARGE_EVENTS + 1 }, (_, at) => at + 1),
    );
    assert.deepEqual(browser.gaps, []);
  });
});

describe("State at once in a cluster", () => {
  test("each node gives the same state, of events that were published at either, also after its restart", async (t) => {
    const { a, b } = await startNodes(t);
    const publish = async (node: Pair, topic: string, data: string) => {
      const body = new URLSearchParams({ topic, data });
      assert.equal((await fetch(node.mongrel2.url + HUB, { method: "POST", body })).status, 200);
    };
    for (const [node, topic, data] of [
      [a, "price/a", "1"],
      [b, "price/b", "2"],
      [b, "price/a", "3"],
      [a, "other", "4"],
    ] as const)
      await publish(node, topic, data);
    await b.daemon.stop("SIGTERM");
    await b.restart();
    const states = ["topic=price/a&topic=price/b&latest=1", "topic=price/%7Bid%7D&last=2", "topic=price/a&since=1h"];
    const expected = [
      ["2", "3"],
      ["2", "3"],
      ["1", "3"],
    ];
    for (const node of [a, b]) {
      const streams = await Promise.all(states.map((state) => node.stream({}, `/esupdates?${state}`)));
      for (const [at, stream] of streams.entries()) {
        await stream.until(({ events }) => events.length === 2, "its state");
        assert.deepEqual(
          stream.events.map(({ data }) => data),
          expected[at],
        );
      }
    }
  });
});

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);
