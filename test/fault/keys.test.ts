/** The daemon is killed under publishers that repeat with the same key until they are answered: each event is published once. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { crowd } from "../support/crowd.js";
import { type Pair, startPair } from "../support/pair.js";
import { readReceived } from "../support/received.js";

/** More clients and kills by hand: KEYS_TEST_CLIENTS=1000 KEYS_TEST_KILLS=10. */
const CLIENTS = Number(process.env.KEYS_TEST_CLIENTS ?? 30);
const KILLS = Number(process.env.KEYS_TEST_KILLS ?? 4);
/** Between two kills, milliseconds: the fault itself. */
const KILL_INTERVAL_MS = 2000;
const PUBLISH_INTERVAL_MS = 10;
/** What was under way at a kill may be sent again to a client, with the same id. */
const RESENT_PER_KILL = 300;

/** Publishes 100 events a second, each with a key of its own, and each again until it is answered. */
class KeyedFeed {
  /** Ids by number. */
  readonly ids = new Map<number, string>();
  /** Requests beyond the first for an event. */
  repeats = 0;
  readonly #url: string;
  readonly #running: Promise<unknown>;
  readonly #stop = new AbortController();

  constructor({ mongrel2 }: Pair) {
    this.#url = `${mongrel2.url}/.well-known/mercure`;
    this.#running = this.#run();
  }

  /** Stops; resolves when every event is acknowledged. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const events: Promise<void>[] = [];
    for (let number = 1; !this.#stop.signal.aborted; number++) {
      events.push(this.#publish(number));
      await pause(PUBLISH_INTERVAL_MS);
    }
    await Promise.all(events);
  }

  /** An event of every ten is repeated although it was acknowledged. */
  async #publish(number: number): Promise<void> {
    const id = await this.#untilAcknowledged(number);
    this.ids.set(number, id);
    if (number % 10 > 0) return;
    this.repeats++;
    assert.equal(await this.#untilAcknowledged(number), id);
  }

  async #untilAcknowledged(number: number): Promise<string> {
    for (;;) {
      const id = await this.#post(number);
      if (id !== undefined) return id;
      this.repeats++;
    }
  }

  /** Undefined = not acknowledged: the publisher does not know whether the event was published. */
  async #post(number: number): Promise<string | undefined> {
    try {
      const headers = { "Idempotency-Key": `"event-${number}"` };
      const body = new URLSearchParams({ topic: "t", data: `${number}` });
      const answer = await fetch(this.#url, { method: "POST", headers, body, signal: AbortSignal.timeout(2000) });
      const text = await answer.text();
      return answer.status === 200 ? text : undefined;
    } catch {
      await pause(50, undefined, { ref: false });
      return undefined;
    }
  }
}

describe("Idempotency keys, under faults", () => {
  test("the daemon is killed again and again: no event is missing, and none is published twice", async (t) => {
    const pair = await startPair(t, {
      settings: { "limits.tick_timer": 1, "limits.content_length": 327_680 },
      config: { auth: { allow_publish_from: ["127.0.0.1"] } },
    });
    const browsers = await crowd(pair, CLIENTS, (end) => t.after(end));
    // A Mongrel2 that has just started cannot prove that it is the same one.
    await pair.aged(4);
    const watcher = await pair.stream();
    const feed = new KeyedFeed(pair);
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(KILL_INTERVAL_MS);
      await pair.daemon.kill9();
      await pair.restart();
    }
    await feed.end();
    const published = [...feed.ids.keys()].sort((a, b) => a - b);
    const hasAll = (received: readonly number[]) => new Set(received).size >= published.length;
    await Promise.all(browsers.map((it) => it.until(() => hasAll(it.received), `${published.length} events`)));
    let resent = 0;
    for (const { received, gaps, opens } of browsers) {
      const { once, repeated } = readReceived(received);
      assert.deepEqual(
        [...once].sort((a, b) => a - b),
        published,
      );
      assert.deepEqual([gaps, opens], [[], 1]);
      resent = Math.max(resent, repeated);
    }
    assert.ok(resent <= KILLS * RESENT_PER_KILL, `${resent} were sent again`);
    await watcher.until(({ events }) => new Set(events.map(({ data }) => data)).size >= published.length, "all events");
    for (const { data, id } of watcher.events) assert.equal(id, feed.ids.get(Number(data)), data);
    t.diagnostic(
      `${published.length} events, ${feed.repeats} repeats, at most ${resent} sent again to a client with their ids`,
    );
  });
});
