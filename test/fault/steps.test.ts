/** What comes in another order than usual: a clock that steps, a part that comes later, two daemons at once, all browsers at once. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { crowd, Feed, verifyReceived } from "../support/crowd.js";
import { serving, startPair } from "../support/pair.js";

/** Loaded before the daemon: each SIGUSR2 sets its wall clock by the next of some steps, milliseconds. */
const STEPS = [-3_600_000, 7_200_000, -3_600_000];
const STEPPING = `
const real = Date.now, steps = ${JSON.stringify(STEPS)};
let shift = 0;
Date.now = () => real() + shift;
process.on("SIGUSR2", () => { shift += steps.shift(); process.stderr.write("stepped\\n"); });`;

async function start(t: TestContext, { clients = 40, env = {} } = {}) {
  const pair = await startPair(t, {
    env,
    settings: { "limits.tick_timer": 1 },
    config: { auth: { allow_publish_from: ["127.0.0.1"] } },
  });
  const browsers = await crowd(pair, clients, (end) => t.after(end));
  return { pair, browsers, feed: new Feed(pair) };
}

describe("Steps, under faults", () => {
  test("the wall clock steps back an hour, forward two, and back: no event is missing, also after a reconnection", async (t) => {
    const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(STEPPING)}` };
    const { pair, browsers, feed } = await start(t, { env });
    const early = await pair.stream();
    const [from, before] = [early.lastEventId, early.events.length];
    for (const _ of STEPS) {
      await feed.more(50);
      pair.daemon.signal("SIGUSR2");
    }
    await feed.more(50);
    const late = await pair.stream({ "last-event-id": from });
    await verifyReceived(browsers, feed, { duplicates: 0 });
    const last = `${await feed.end()} `;
    for (const browser of [early, late]) {
      await browser.until(({ events }) => events.at(-1)?.data === last, "the last event");
    }
    const missed = early.events.slice(before).map(({ data }) => data);
    assert.deepEqual(
      late.events.map(({ data }) => data),
      missed,
    );
    assert.equal(pair.daemon.stderr.match(/stepped/g)?.length, STEPS.length);
  });

  test("a daemon that was started before Mongrel2 serves it once it answers", async (t) => {
    const pair = await startPair(t);
    await pair.mongrel2.kill9();
    await pair.daemon.stop();
    const serves = pair.restart();
    await pair.daemon.logged(({ event }) => event === "started", "the daemon to start");
    await pair.mongrel2.start();
    await serves;
    const browser = await pair.stream();
    await pair.publisher.publish("here");
    await browser.until(({ events }) => events.some(({ data }) => data === "here"), "the event");
  });

  test("no stream ends and no event is missing or repeated in repeated takeovers under load", async (t) => {
    const { pair, browsers, feed } = await start(t);
    for (let times = 0; times < 3; times++) {
      await pair.aged(4);
      await pair.takeOver();
      await feed.more(50);
    }
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.ok(browsers.every(({ opens }) => opens === 1));
  });

  test("400 browsers that reconnect at once after a restart of Mongrel2 are all served, and miss no event", async (t) => {
    const { pair, browsers, feed } = await start(t, { clients: 400 });
    await feed.more(20);
    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    await feed.more(20);
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.ok(browsers.every(({ opens }) => opens === 2));
  });
});
