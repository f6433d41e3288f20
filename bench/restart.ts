/**
 * What 1000 clients at 100 events/s notice when a part is killed: `node build/bench/restart.js [clients]`. The daemon is away for
 * two seconds; those of Mongrel2's clients come back by themselves. Ends with exit code 1 where somebody lost an event, or was cut
 * off for a daemon's sake.
 */
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { crowd } from "../test/support/crowd.js";
import { type Pair, serving, startPair } from "../test/support/pair.js";
import { load, publish } from "./tools.js";

const clients = Number(process.argv[2] ?? 1000);
const RATE = 100;
/** How long is published, and when within it the fault comes, seconds. */
const SECONDS = 14;
const FAULT_AT = 6;
const AWAY = 2;
const EVENTS = RATE * SECONDS;

type Row = Record<string, unknown> & { readonly holds: boolean };

const rows: Record<string, Row> = {
  "daemon: kill -9": await daemonEnds((pair) => pair.daemon.kill9(), RATE),
  "daemon: SIGTERM": await daemonEnds((pair) => pair.daemon.stop("SIGTERM"), 0),
  "Mongrel2: kill -9": await mongrel2Dies(),
};
console.table(rows);
process.exitCode = Object.values(rows).every(({ holds }) => holds) ? 0 : 1;

/** Starts a pair for `measure`, and stops it. */
async function withPair(measure: (pair: Pair) => Promise<Row>): Promise<Row> {
  const ends: (() => unknown)[] = [];
  const after = ((end: () => unknown) => ends.unshift(end)) as TestContext["after"];
  try {
    return await measure(await startPair({ after }, { settings: { "limits.tick_timer": 1 } }));
  } finally {
    for (const end of ends) await end();
  }
}

/** `window`: how many events may come twice to each. */
function daemonEnds(end: (pair: Pair) => Promise<unknown>, window: number): Promise<Row> {
  return withPair(async (pair) => {
    let away = 0;
    const { port } = pair.mongrel2;
    const result = await load({ port, path: "/esupdates", clients, seconds: SECONDS + 10, quiet: 8 }, async () => {
      const published = publish(pair.publishSpec, { rate: RATE, seconds: SECONDS });
      await pause(FAULT_AT * 1000);
      const began = performance.now();
      await end(pair);
      await pause(AWAY * 1000);
      await pair.restart();
      away = performance.now() - began;
      return published;
    });
    const { alive, disconnects, missing, dup, out_of_order } = result;
    const had = { "least events": result.min_events, missing, "came twice": dup, "out of order": out_of_order };
    const complete = alive === clients && disconnects === 0 && missing === 0 && out_of_order === 0;
    const holds = complete && result.min_events >= EVENTS - 1 && dup <= window * clients;
    return { clients, "cut off": disconnects, ...had, "s away": (away / 1000).toFixed(1), holds };
  });
}

function mongrel2Dies(): Promise<Row> {
  return withPair(async (pair) => {
    const leaving: (() => Promise<unknown>)[] = [];
    const browsers = await crowd(pair, clients, (end) => leaving.push(end));
    const numbers = Array.from({ length: EVENTS }, (_, index) => index + 1);
    const published = publishNumbers(pair, numbers);
    await pause(FAULT_AT * 1000);
    const from = pair.daemon.log.length;
    const began = performance.now();
    await pair.mongrel2.kill9();
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    await Promise.all(browsers.map((it) => it.until(() => it.opens > 1, "the stream after")));
    const back = performance.now() - began;
    await published;
    await Promise.all(browsers.map((it) => it.until(() => it.received.includes(EVENTS), "the last event")));
    await Promise.all(leaving.map((leave) => leave()));
    const missing = browsers.reduce((sum, { received }) => sum + EVENTS - new Set(received).size, 0);
    const twice = browsers.reduce((sum, { received }) => sum + received.length - new Set(received).size, 0);
    const strangers = browsers.filter(({ received }) => received.some((number) => !(number >= 1 && number <= EVENTS)));
    const gaps = browsers.filter(({ gaps }) => gaps.length > 0).length;
    const holds = missing === 0 && gaps === 0 && strangers.length === 0 && back < 10_000;
    return { clients, missing, "came twice": twice, "s until all are back": (back / 1000).toFixed(1), holds };
  });
}

async function publishNumbers({ publisher }: Pair, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    await publisher.publish(`${number}`);
    await pause(1000 / RATE);
  }
}
