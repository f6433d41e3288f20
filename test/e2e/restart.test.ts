/** What happens to streams when the daemon or Mongrel2 ends and comes again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serving, startPair } from "../support/pair.js";
import { openStream } from "../support/sse-client.js";

/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };

describe("Restart, end to end", { concurrency: 2 }, () => {
  test("a daemon that is killed and started again goes on with the same streams, and nothing is missing", async (t) => {
    const pair = await startPair(t, { settings });
    const clients = await Promise.all(Array.from({ length: 20 }, () => pair.stream()));
    for (let event = 1; event <= 50; event++) await pair.publisher.publish(`${event}`);
    for (const client of clients) await client.until(({ events }) => events.length === 50, "the first events");
    await pair.aged(3);
    await pair.daemon.kill9();
    await pair.restart();
    for (let event = 51; event <= 100; event++) await pair.publisher.publish(`${event}`);
    for (const client of clients) {
      await client.until(({ events }) => events.some(({ data }) => data === "100"), "the last event", 20_000);
      // The first 50 were acknowledged seconds before the daemon was killed: none of them may come again.
      assert.deepEqual(
        client.events.map(({ data }) => Number(data)),
        numbers(100),
      );
      assert.equal(client.isClosed, false);
    }
    assert.equal(pair.daemon.log.filter(({ event }) => event === "adopt").length, 20);
  });

  test("SIGTERM hands the streams over: nothing missing, nothing twice", async (t) => {
    const pair = await startPair(t, { settings });
    const clients = await Promise.all(Array.from({ length: 20 }, () => pair.stream()));
    await pair.aged(3);
    for (let event = 1; event <= 50; event++) void pair.publisher.publish(`${event}`);
    // Taken in and kept, but not yet read by most clients.
    await clients[0]?.until(({ events }) => events.some(({ data }) => data === "50"), "the last event");
    assert.equal(await pair.daemon.stop("SIGTERM"), 0);
    await pair.restart();
    for (let event = 51; event <= 100; event++) await pair.publisher.publish(`${event}`);
    for (const client of clients) {
      await client.until(({ events }) => events.some(({ data }) => data === "100"), "the last event", 20_000);
      assert.deepEqual(
        client.events.map(({ data }) => Number(data)),
        numbers(100),
      );
      assert.equal(client.isClosed, false);
    }
  });

  test("after a restart of Mongrel2 no old id gets a byte, and the new instance is served", async (t) => {
    const pair = await startPair(t, { settings });
    const old = await Promise.all(Array.from({ length: 5 }, () => pair.stream()));
    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await Promise.all(old.map((client) => client.closed));
    await pair.publisher.publish("secret of the old clients");
    await pair.mongrel2.start();
    // A stranger takes an id that was another's, and never asks for the stream: it waits for its answer.
    await serving(pair.daemon, from);
    const fresh = await pair.stream();
    await pair.publisher.publish("for the new");
    assert.equal((await fresh.next()).data, "for the new");
    assert.equal(fresh.events.length, 1);
  });

  test("after a restart of Mongrel2 a browser that comes back with its last id misses nothing", async (t) => {
    const pair = await startPair(t, { settings });
    const client = await pair.stream();
    await pair.publisher.publish("1");
    await client.next();
    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await client.closed;
    await pair.publisher.publish("2");
    await pair.publisher.publish("3");
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    const back = await openStream(`${pair.mongrel2.url}/esupdates`, { "Last-Event-ID": client.lastEventId });
    t.after(() => back.close());
    assert.deepEqual([(await back.next()).data, (await back.next()).data], ["2", "3"]);
  });

  test("Mongrel2 and the daemon both killed: ids that are other people's now get nothing", async (t) => {
    const pair = await startPair(t, { settings });
    const old = await Promise.all(Array.from({ length: 5 }, () => pair.stream()));
    await pair.publisher.publish("1");
    await old[0]?.next();
    await pair.daemon.kill9();
    await pair.mongrel2.kill9();
    await pair.mongrel2.start();
    const strangers = Array.from({ length: 5 }, () => openStream(`${pair.mongrel2.url}/esupdates`));
    await pair.restart();
    const opened = await Promise.all(strangers);
    await pair.publisher.publish("2");
    for (const stranger of opened) {
      t.after(() => stranger.close());
      await stranger.until(({ events }) => events.length > 0, "the live event");
      assert.deepEqual(
        stranger.events.map(({ data }) => data),
        ["2"],
      );
    }
    assert.equal(pair.daemon.log.filter(({ event }) => event === "adopt").length, 0);
  });

  test("requests that waited for the daemon are served when it comes", async (t) => {
    const pair = await startPair(t, { settings });
    await pair.daemon.stop();
    const waiting = Array.from({ length: 30 }, () => openStream(`${pair.mongrel2.url}/esupdates`, {}, 20_000));
    await pair.restart();
    for (const client of await Promise.all(waiting)) {
      t.after(() => client.close());
      assert.equal(client.status, 200);
    }
  });
});

function numbers(to: number): number[] {
  return Array.from({ length: to }, (_, index) => index + 1);
}
