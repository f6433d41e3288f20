/**
 * The faults of test/fault, mixed at random for as long as one likes: `npm run soak -- [minutes] [seed]`. After each, every
 * client must have every acknowledged event, in order, none twice but what was under way when a daemon was killed; and the
 * daemon's memory must not grow from round to round. Ends with exit code 1 and the seed at the first thing that is not so.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Browser, crowd, Feed, verifyReceived } from "../support/crowd.js";
import { type Pair, serving, startPair } from "../support/pair.js";

const minutes = Number(process.argv[2] ?? 2);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const CLIENTS = 60;
/** What may come twice when the daemon is killed. */
const WINDOW = 30;
/** Growth that is nobody's fault: code that is compiled, buffers of the pool. Megabytes. */
const SLACK = 80;

type Fault = (pair: Pair) => Promise<void>;

const FAULTS: Readonly<Record<string, { readonly fault: Fault; readonly duplicates: number }>> = {
  "the daemon is killed": {
    duplicates: WINDOW,
    async fault(pair) {
      await pair.aged(4);
      await pair.daemon.kill9();
      await pause(random() * 2000);
      await pair.restart();
    },
  },
  "the daemon is stopped": {
    duplicates: 0,
    async fault(pair) {
      await pair.aged(4);
      await pair.daemon.stop("SIGTERM");
      await pause(random() * 1000);
      await pair.restart();
    },
  },
  "Mongrel2 is killed": {
    duplicates: 0,
    async fault(pair) {
      const from = pair.daemon.log.length;
      await pair.mongrel2.kill9();
      await pause(random() * 1000);
      await pair.mongrel2.start();
      await serving(pair.daemon, from);
    },
  },
  "the daemon stands still": { duplicates: 0, fault: ({ daemon }) => still(daemon.pid) },
  "Mongrel2 stands still": { duplicates: 0, fault: ({ mongrel2 }) => still(mongrel2.pid) },
  "connections come and go": {
    duplicates: 0,
    async fault(pair) {
      for (let round = 0; round < 10; round++) {
        const passing = await crowd(pair, 20, () => {});
        await Promise.all(passing.map((browser) => browser.leave()));
      }
    },
  },
};

/** mulberry32: the same faults for the same seed. */
let state = seed;
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
}

async function still(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await pause(500 + random() * 4000);
  process.kill(pid, "SIGCONT");
}

/** Resident memory of the daemon, megabytes. */
function memory({ daemon }: Pair): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024;
}

/** One fault, and a crowd of its own that sees it from its first event to its last. */
async function round(pair: Pair, name: string): Promise<void> {
  const { fault, duplicates } = FAULTS[name] as (typeof FAULTS)[string];
  const browsers: Browser[] = await crowd(pair, CLIENTS, () => {});
  const feed = new Feed(pair);
  await feed.more(50);
  await fault(pair);
  await feed.more(50);
  await verifyReceived(browsers, feed, { duplicates });
  await Promise.all(browsers.map((browser) => browser.leave()));
}

async function soak(pair: Pair): Promise<void> {
  const names = Object.keys(FAULTS);
  const end = performance.now() + minutes * 60_000;
  let first: number | undefined;
  for (let rounds = 1; performance.now() < end; rounds++) {
    const name = names[Math.floor(random() * names.length)] ?? "";
    await round(pair, name);
    const now = memory(pair);
    console.log(`round ${rounds}: ${name}; ${Math.round(now)} MB`);
    if (rounds === 3) first = now;
    assert.ok(first === undefined || now - first < SLACK, `memory grew from ${first} to ${now} MB`);
  }
}

const ends: (() => unknown)[] = [];
console.log(`soak of ${minutes} minutes, seed ${seed}`);
try {
  const pair = await startPair(
    { after: (end) => void ends.push(end as () => unknown) },
    { settings: { "limits.tick_timer": 1 }, config: { auth: { allow_publish_from: ["127.0.0.1"] } } },
  );
  await soak(pair);
  console.log("nothing was lost");
} catch (error) {
  console.error(`seed ${seed}:`, error);
  process.exitCode = 1;
} finally {
  for (const end of ends.reverse()) await end();
}
