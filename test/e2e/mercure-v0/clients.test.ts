/**
 * Clients that others wrote: npm's eventsource and eventsource-parser against the hub, in both dialects. (Unlike browsers,
 * eventsource does not remember an id that comes without data, so one that saw no event yet has no position to come back to.)
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventSource } from "eventsource";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { Changes, WAIT_TIMEOUT_MS } from "../../support/deadline.js";
import { serving } from "../../support/pair.js";
import { accessToAll, bearer, form, mercure, old } from "../mercure.js";

const hub = mercure({ settings: { "limits.tick_timer": 1 }, config: { stream: { retry: "100ms" } } });

/** An EventSource that keeps what it gets. */
function listen(test: { after(end: () => void): void }, query: string, headers: Record<string, string> = {}) {
  const changes = new Changes();
  const got: MessageEvent[] = [];
  let opened = 0;
  const source = new EventSource(`${hub.url}?${query}`, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
  });
  test.after(() => source.close());
  const keep = (event: MessageEvent) => {
    got.push(event);
    changes.tell();
  };
  for (const type of ["message", "order", "m2push-gap"]) source.addEventListener(type, keep);
  source.onopen = () => {
    opened++;
    changes.tell();
  };
  return {
    source,
    got,
    data: () => got.map((event) => event.data as string),
    opened: (times = 1) => changes.until(() => opened >= times, "the connection", WAIT_TIMEOUT_MS),
    until: (count: number) =>
      changes.until(
        () => got.length >= count,
        `${count} events`,
        WAIT_TIMEOUT_MS,
        () => JSON.stringify(got.map(({ data }) => data)),
      ),
  };
}

describe("Mercure 0.x, end to end: Clients", () => {
  for (const [dialect, name] of [
    ["0.x", "topic"],
    ["draft-08", "match"],
  ] as const) {
    test(`${dialect}: an EventSource gets events with their data, ids and types`, async (t) => {
      const topic = `https://e.com/${dialect}`;
      const client = listen(t, form({ [name]: topic }));
      await client.opened();
      const id = await hub.published({ topic, data: "one\ntwo" });
      await hub.published({ topic, data: '{"é":1}', type: "order", id: `urn:${dialect}` });
      await client.until(2);
      assert.deepEqual(
        client.got.map((event) => [event.type, event.data, event.lastEventId]),
        [
          ["message", "one\ntwo", id],
          ["order", '{"é":1}', `urn:${dialect}`],
        ],
      );
    });

    test(`${dialect}: an EventSource whose connection is lost comes back by itself and misses nothing`, async (t) => {
      const topic = `lost ${dialect}`;
      const client = listen(t, form({ [name]: topic }));
      await client.opened();
      await hub.published({ topic, data: "1" });
      await client.until(1);
      const from = hub.pair.daemon.log.length;
      await hub.pair.mongrel2.kill9();
      for (const event of ["2", "3"]) await hub.pair.publisher.publish(event, topic);
      await hub.pair.mongrel2.start();
      await serving(hub.pair.daemon, from);
      await client.opened(2);
      await hub.published({ topic, data: "4" });
      await client.until(4);
      assert.deepEqual(client.data(), ["1", "2", "3", "4"]);
    });
  }

  test("an EventSource with a token gets private events", async (t) => {
    for (const [query, token] of [
      ["topic=secret", await old({ subscribe: ["secret"] })],
      ["match=secret", await accessToAll()],
    ] as const) {
      const client = listen(t, query, bearer(token));
      await client.opened();
      await hub.published({ topic: "secret", data: "x", private: "on" });
      await client.until(1);
      assert.deepEqual(client.data(), ["x"]);
    }
  });

  test("an EventSource whose last event id is not known is told so", async (t) => {
    const client = listen(t, "topic=a&lastEventID=urn%3Anever");
    await client.until(1);
    assert.equal(client.got[0]?.type, "m2push-gap");
    assert.equal(JSON.parse(client.data()[0] ?? "").reason, "unknown");
  });

  test("an EventSource that is refused does not try again", async (t) => {
    const client = listen(t, "topic=a", bearer("a.b.c"));
    const code = await new Promise((resolve) =>
      client.source.addEventListener("error", (event) => resolve(event.code)),
    );
    assert.equal(code, 401);
    assert.equal(client.source.readyState, EventSource.CLOSED);
  });

  test("eventsource-parser reads the whole stream as it is meant, comments and retry included, and finds no fault in it", async (t) => {
    const client = await hub.open(t, "topic=parsed");
    const data = ["plain", "a\r\nb\rc", "", " leading", "x\nevent: evil\n\ndata: y", "é 😀"];
    for (const some of data) await hub.published({ topic: "parsed", data: some });
    const last = await hub.published({ topic: "parsed", data: "end", type: "end" });
    await client.until(({ lastEventId }) => lastEventId === last, "the last event");
    const events: EventSourceMessage[] = [];
    const [comments, retries, errors]: [string[], number[], unknown[]] = [[], [], []];
    const parser = createParser({
      onEvent: (event) => events.push(event),
      onComment: (comment) => comments.push(comment),
      onRetry: (retry) => retries.push(retry),
      onError: (error) => errors.push(error),
    });
    parser.feed(Buffer.from(client.text, "latin1").toString());
    const seen = data.map((some) => some.replace(/\r\n?/g, "\n"));
    assert.deepEqual(
      events.map((event) => event.data),
      ["{}", ...seen, "end"],
    );
    assert.equal(events[0]?.event, "m2push-open");
    assert.deepEqual([events.at(-1)?.event, events.at(-1)?.id], ["end", last]);
    assert.deepEqual([comments, retries, errors], [["time stream"], [100], []]);
  });
});
