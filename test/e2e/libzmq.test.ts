/** The daemon over the zeromq package instead of its native sockets, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serving, startPair } from "../support/pair.js";

const config = { zmq: { implementation: "libzmq" } };
/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

describe("libzmq, end to end", () => {
  test("streams get every event across a stop of the daemon, and new ones are served after a restart of Mongrel2", async (t) => {
    const pair = await startPair(t, { settings, config });
    const clients = await Promise.all(Array.from({ length: 20 }, () => pair.stream()));
    for (const event of numbers(1, 50)) await pair.publisher.publish(event);
    for (const client of clients) await client.until(({ events }) => events.length === 50, "the first events");
    await pair.aged(3);
    assert.equal(await pair.daemon.stop("SIGTERM"), 0);
    assert.ok(pair.daemon.log.some(({ msg }) => msg === "stopped: requests in progress may be lost"));
    await pair.restart();
    for (const event of numbers(51, 100)) await pair.publisher.publish(event);
    for (const client of clients) {
      await client.until(({ events }) => events.length >= 100, "the last event", 20_000);
      assert.deepEqual(
        client.events.map(({ data }) => data),
        numbers(1, 100),
      );
    }

    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await Promise.all(clients.map((client) => client.closed));
    await pair.publisher.publish("secret of the old clients");
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    const client = await pair.stream();
    await pair.publisher.publish("after");
    assert.equal((await client.next()).data, "after");
  });
});
