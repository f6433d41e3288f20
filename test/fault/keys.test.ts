/**
 * Daemons are killed under publishers that repeat each event with its key until it is acknowledged: each event is published once, whichever
 * way it came.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  dealerPublisher,
  httpPublisher,
  KeyedFeed,
  type KeyedPublisher,
  requestPublisher,
} from "../support/keyed-feed.js";
import { LightCrowd } from "../support/light-crowd.js";
import { startNatsCluster } from "../support/nats.js";
import { type Pair, startPair } from "../support/pair.js";
import { readReceived } from "../support/received.js";

/** More clients, kills and events by hand: KEYS_TEST_CLIENTS=1000 KEYS_TEST_KILLS=10 KEYS_TEST_RATE=100. */
const CLIENTS = Number(process.env.KEYS_TEST_CLIENTS ?? 30);
const KILLS = Number(process.env.KEYS_TEST_KILLS ?? 3);
/** Events a second, of all publishers together. */
const RATE = Number(process.env.KEYS_TEST_RATE ?? 100);
/** Of each way, at each daemon. */
const PUBLISHERS = 4;
/** Between two kills, milliseconds: the fault itself. */
const KILL_INTERVAL_MS = 2000;
/** What was under way at a kill may be sent again to a client, with the same id. */
const RESENT_PER_KILL = 300;
const AUTH = { auth: { allow_publish_from: ["127.0.0.1"] } };
const SETTINGS = { "limits.tick_timer": 1, "limits.content_length": 327_680, "superpoll.max_fd": 19_000 };

async function publishersOf(pair: Pair): Promise<KeyedPublisher[]> {
  const all = Array.from({ length: PUBLISHERS }, async () => [
    httpPublisher(pair),
    requestPublisher(pair),
    await dealerPublisher(pair),
  ]);
  return (await Promise.all(all)).flat();
}

async function openCrowd(t: TestContext, pairs: readonly Pair[]): Promise<LightCrowd> {
  const crowd = await LightCrowd.open({
    ports: pairs.map(({ mongrel2 }) => Number(new URL(mongrel2.url).port)),
    size: CLIENTS,
  });
  t.after(() => crowd.close());
  // A Mongrel2 that has just started cannot prove that it is the same one.
  await Promise.all(pairs.map((pair) => pair.aged(4)));
  return crowd;
}

/** Kills a daemon every two seconds, and starts it again. `beside`: called before each kill. */
async function killInTurns(pairs: readonly Pair[], beside: (kill: number) => Promise<unknown>): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    const interval = pause(KILL_INTERVAL_MS);
    await beside(kill);
    await interval;
    const pair = pairs[kill % pairs.length] as Pair;
    await pair.daemon.kill9();
    await pair.restart();
  }
}

async function verify(t: TestContext, feed: KeyedFeed, crowd: LightCrowd): Promise<void> {
  const rate = await feed.end();
  const published = [...feed.ids.keys()].sort((a, b) => a - b);
  await crowd.until(published.length);
  const { received, gapCount, openCounts, ids, publishedTwice } = await crowd.report();
  let resent = 0;
  for (const numbers of received) {
    const { once, repeated } = readReceived([...numbers]);
    assert.deepEqual(
      [...once].sort((a, b) => a - b),
      published,
    );
    resent = Math.max(resent, repeated);
  }
  assert.deepEqual([gapCount, publishedTwice], [0, []]);
  assert.ok(
    openCounts.every((count) => count === 1),
    "no stream ended",
  );
  for (const [number, id] of ids) assert.equal(id, feed.ids.get(number), `the id of ${number}`);
  assert.ok(resent <= KILLS * RESENT_PER_KILL, `${resent} were sent again`);
  t.diagnostic(
    `${published.length} events, ${rate.toFixed(0)} a second, ${feed.repeatCount} repeats, ${received.length} clients, at most ${resent} sent again to a client with their ids`,
  );
}

describe("Idempotency keys, under faults", () => {
  test("no event is missing or published twice after repeated kills of the daemon", async (t) => {
    const pair = await startPair(t, { settings: SETTINGS, config: AUTH });
    const crowd = await openCrowd(t, [pair]);
    const feed = new KeyedFeed(await publishersOf(pair), RATE);
    await killInTurns([pair], async () => {});
    await verify(t, feed, crowd);
  });

  test("the same in a cluster of two daemons, one of whose NATS servers is killed as well", async (t) => {
    const nats = await startNatsCluster(t);
    const config = { ...AUTH, cluster: { nats: nats.map(({ url }) => url), replicas: 3 } };
    const pairs = [
      await startPair(t, { settings: SETTINGS, config }),
      await startPair(t, { settings: SETTINGS, config }),
    ];
    const crowd = await openCrowd(t, pairs);
    const feed = new KeyedFeed((await Promise.all(pairs.map(publishersOf))).flat(), RATE);
    const [first] = nats;
    await killInTurns(pairs, async (kill) => {
      if (kill === 1) await first?.kill9();
      if (kill === KILLS - 1) await first?.start();
    });
    await verify(t, feed, crowd);
  });
});
