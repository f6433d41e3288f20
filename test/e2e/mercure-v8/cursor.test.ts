/** draft-dunglas-mercure-08, "Reconciliation": where a stream goes on from, through a real Mongrel2, restarts of both included. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serving } from "../../support/pair.js";
import type { SseClient } from "../../support/sse-client.js";
import { access, accessToAll, bearer, detail, mercure } from "../mercure.js";

const hub = mercure({ settings: { "limits.tick_timer": 1 } });
let used = 0;
/** A topic of its own for each test. */
const fresh = () => `topic-${++used}`;
const told = ({ headers }: SseClient) => headers["mercure-last-event-id"];
const data = ({ events }: SseClient) => events.map((event) => event.data);

/** Publishes 1..count; gives their ids. */
async function history(topic: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let event = 1; event <= count; event++) ids.push(await hub.published({ topic, data: `${event}` }));
  return ids;
}

describe("Mercure draft 08, end to end: Cursor", () => {
  test("everything after the id comes, then what is new; the response names the id", async (t) => {
    const topic = fresh();
    const [first = ""] = await history(topic, 3);
    const client = await hub.open(t, `match=${topic}&last_event_id=${first}`);
    assert.equal(told(client), first);
    await hub.published({ topic, data: "4" });
    await client.until(({ events }) => events.length === 3, "three events");
    assert.deepEqual(data(client), ["2", "3", "4"]);
  });

  test("the header counts before the address, the address before the body", async (t) => {
    const topic = fresh();
    const [one = "", two = "", three = ""] = await history(topic, 4);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const body = `match=${topic}&last_event_id=${one}`;
    for (const [query, more, cursor, expected] of [
      [`last_event_id=${two}`, { "last-event-id": three }, three, ["4"]],
      [`last_event_id=${two}`, {}, two, ["3", "4"]],
      ["", {}, one, ["2", "3", "4"]],
    ] as const) {
      const client = await hub.open(t, query, { method: "QUERY", body, headers: { ...headers, ...more } });
      assert.equal(told(client), cursor);
      await client.until(({ events }) => events.length === expected.length, "the replay");
      assert.deepEqual(data(client), expected);
    }
  });

  test("earliest gives everything that is held, and the response says earliest", async (t) => {
    const topic = fresh();
    await history(topic, 3);
    const client = await hub.open(t, `match=${topic}&last_event_id=earliest`);
    assert.equal(told(client), "earliest");
    await client.until(({ events }) => events.length === 3, "the replay");
    assert.deepEqual(data(client), ["1", "2", "3"]);
  });

  test("an id that is not known: the response says earliest, the stream says gap, and goes on live", async (t) => {
    const topic = fresh();
    await history(topic, 2);
    const client = await hub.open(t, `match=${topic}&last_event_id=urn%3Ax%3Anever`);
    assert.equal(told(client), "earliest");
    await hub.published({ topic, data: "live" });
    await client.until(({ events }) => events.length === 2, "gap and event");
    assert.deepEqual(
      client.events.map(({ type }) => type),
      ["m2push-gap", "message"],
    );
    assert.equal(data(client)[1], "live");
  });

  test("an empty id is a position that got lost: it is told in the stream, which goes on with what comes", async (t) => {
    const topic = fresh();
    await history(topic, 2);
    const client = await hub.open(t, `match=${topic}&last_event_id=`);
    assert.equal(told(client), "earliest");
    await hub.published({ topic, data: "live" });
    assert.equal(JSON.parse((await client.next()).data).reason, "unknown");
    assert.equal((await client.next()).data, "live");
  });

  test("without an id nothing is said of one", async (t) => {
    assert.equal(told(await hub.open(t, `match=${fresh()}`)), undefined);
  });

  test("an id that was used twice stands for its oldest event", async (t) => {
    const topic = fresh();
    for (const [id, text] of [
      ["first", "1"],
      ["twice", "2"],
      ["between", "3"],
      ["twice", "4"],
      ["last", "5"],
    ] as const)
      await hub.published({ topic, data: text, id: `${topic}-${id}` });
    const client = await hub.open(t, `match=${topic}&last_event_id=${topic}-twice`);
    assert.equal(told(client), `${topic}-twice`);
    await client.until(({ events }) => events.length === 3, "the replay");
    assert.deepEqual(data(client), ["3", "4", "5"]);
  });

  test("private events are replayed only to clients whose present grants cover them", async (t) => {
    const topic = fresh();
    const [start = ""] = await history(topic, 1);
    await hub.published({ topic, data: "secret", private: "on" });
    const query = `match=${topic}&last_event_id=${start}`;
    const insider = await hub.open(t, query, { headers: bearer(await access([detail(["subscribe"], [topic])])) });
    const outsider = await hub.open(t, query, { headers: bearer(await access([detail(["subscribe"], ["other"])])) });
    const anybody = await hub.open(t, query);
    assert.deepEqual(await hub.before(topic, insider, outsider, anybody), [["secret"], [], []]);
  });

  test("the id may be that of an event that the subscriber may not read", async (t) => {
    const topic = fresh();
    await hub.published({ topic, data: "1" });
    const secret = await hub.published({ topic, data: "secret", private: "on" });
    await hub.published({ topic, data: "2" });
    const client = await hub.open(t, `match=${topic}&last_event_id=${secret}`);
    assert.equal(told(client), secret);
    assert.deepEqual(await hub.before(topic, client), [["2"]]);
  });

  test("from replay to live, while others publish: no gap and nothing twice", async (t) => {
    const topic = fresh();
    const [start = ""] = await history(topic, 1);
    for (let event = 2; event <= 200; event++) void hub.pair.publisher.publish(`${event}`, topic);
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => hub.open(t, `match=${topic}&last_event_id=${start}`)),
    );
    for (let event = 201; event <= 400; event++) void hub.pair.publisher.publish(`${event}`, topic);
    for (const client of clients) {
      await client.until(({ events }) => events.some((event) => event.data === "400"), "the last event");
      assert.deepEqual(
        data(client),
        Array.from({ length: 399 }, (_, index) => `${index + 2}`),
      );
    }
  });

  test("after the daemon was killed and started again the ids mean what they meant", async (t) => {
    const topic = fresh();
    const [first = ""] = await history(topic, 3);
    await hub.published({ topic, data: "4", id: `${topic}-own` });
    await hub.pair.daemon.kill9();
    await hub.pair.restart();
    await hub.published({ topic, data: "5" });
    for (const [id, expected] of [
      [first, ["2", "3", "4", "5"]],
      [`${topic}-own`, ["5"]],
    ] as const) {
      const client = await hub.open(t, `match=${topic}&last_event_id=${id}`);
      assert.equal(told(client), id);
      await client.until(({ events }) => events.length === expected.length, "the replay");
      assert.deepEqual(data(client), expected);
    }
  });

  test("after Mongrel2 was killed and started again a subscriber goes on where it was", async (t) => {
    const topic = fresh();
    const client = await hub.open(t, `match=${topic}`, { headers: bearer(await accessToAll()) });
    await hub.published({ topic, data: "1", private: "on" });
    await client.next();
    const from = hub.pair.daemon.log.length;
    await hub.pair.mongrel2.kill9();
    await client.closed;
    void hub.pair.publisher.publish("2", topic, { private: true });
    await hub.pair.mongrel2.start();
    await serving(hub.pair.daemon, from);
    const headers = { ...bearer(await accessToAll()), "last-event-id": client.lastEventId };
    const again = await hub.open(t, `match=${topic}`, { headers });
    assert.equal((await again.next()).data, "2");
    const stranger = await hub.open(t, `match=${topic}&last_event_id=${client.lastEventId}`);
    assert.deepEqual(await hub.before(topic, stranger), [[]]);
  });
});
