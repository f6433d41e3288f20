/** A part dies or stops under load: what does every client receive? */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { crowd, Feed, verifyReceived } from "../support/crowd.js";
import { type Pair, serving, startPair } from "../support/pair.js";

const CLIENTS = 60;
/** How long a process is stopped, milliseconds: the fault itself. */
const STOPPED = 5000;
/** What was under way when a daemon was killed may come twice; an event every few milliseconds, a flush at a time. */
const WINDOW = 30;

async function start(t: TestContext, clients = CLIENTS) {
  const pair = await startPair(t, {
    settings: { "limits.tick_timer": 1, "limits.content_length": 327_680 },
    config: { auth: { allow_publish_from: ["127.0.0.1"] } },
  });
  const browsers = await crowd(pair, clients, (end) => t.after(end));
  return { pair, browsers, feed: new Feed(pair) };
}

/** Resident memory of the daemon, megabytes. */
function memory({ daemon }: Pair): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024;
}

const neverCut = (browsers: { opens: number }[]) => browsers.every(({ opens }) => opens === 1);

describe("Processes, under faults", { concurrency: 2 }, () => {
  test("no stream ends and no event is missing after a kill of the daemon under load", async (t) => {
    const { pair, browsers, feed } = await start(t);
    await pair.aged(4);
    await pair.daemon.kill9();
    await pause(1000);
    await pair.restart();
    await feed.more(100);
    await verifyReceived(browsers, feed, { duplicates: WINDOW });
    assert.ok(neverCut(browsers));
  });

  test("no event is missing or repeated after a restart of the daemon under load", async (t) => {
    const { pair, browsers, feed } = await start(t);
    await pair.aged(4);
    assert.equal(await pair.daemon.stop("SIGTERM"), 0);
    await pair.restart();
    await feed.more(100);
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.ok(neverCut(browsers));
  });

  test("all clients reconnect and receive every event once after a kill of Mongrel2 under load", async (t) => {
    const { pair, browsers, feed } = await start(t);
    await feed.more(100);
    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    await feed.more(100);
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.ok(browsers.every(({ opens }) => opens === 2));
  });

  for (const who of ["the daemon", "Mongrel2"] as const) {
    test(`${who} stands still for ${STOPPED / 1000} s: nobody is cut, nothing is missing`, async (t) => {
      const { pair, browsers, feed } = await start(t);
      await feed.more(100);
      const { pid } = who === "Mongrel2" ? pair.mongrel2 : pair.daemon;
      process.kill(pid, "SIGSTOP");
      await pause(STOPPED);
      process.kill(pid, "SIGCONT");
      await feed.more(100);
      await verifyReceived(browsers, feed, { duplicates: 0 });
      assert.ok(neverCut(browsers));
    });
  }

  test("publications that are queued in a PUSH socket arrive after the start of the daemon", async (t) => {
    const { pair, browsers, feed } = await start(t, 5);
    await pair.aged(4);
    await feed.more(10);
    const last = await feed.end();
    await pair.daemon.stop("SIGTERM");
    const numbers = Array.from({ length: 2000 }, (_, index) => last + 1000 + index);
    for (const number of numbers) void pair.publisher.publish(`${number}`);
    await pair.restart();
    const final = numbers.at(-1) ?? 0;
    for (const browser of browsers) {
      await browser.until(() => browser.received.includes(final), "the last one");
      assert.deepEqual(browser.received.slice(-2000), numbers);
    }
  });

  test("clients that stay receive every event while hundreds of others connect and disconnect", async (t) => {
    const { pair, browsers, feed } = await start(t, 30);
    const before = memory(pair);
    for (let round = 0; round < 20; round++) {
      const passing = await crowd(pair, 25, () => {});
      await Promise.all(passing.map((browser) => browser.leave()));
    }
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.ok(neverCut(browsers));
    assert.ok(memory(pair) - before < 50, `grew by ${memory(pair) - before} MB`);
    await pair.daemon.logged((line) => line.event === "disconnect" && line.clients === 30, "the last that left");
  });
});
