/**
 * What 1000 clients at 100 events/s notice when a part is killed: `node build/bench/restart.js [clients]`. The daemon is away for
 * two seconds; those of Mongrel2's clients come back by themselves. Ends with exit code 1 where somebody lost an event, or was cut
 * off for a daemon's sake.
 *
 * Where the daemon is killed the publisher waits for each acknowledgement and repeats what it got none for. ZeroMQ tells nobody what
 * it has handed to a process that is dying: its sockets take messages until its memory is given back, 2 to 9 ms after the signal,
 * and at 100 events/s one of them is lost most times. A second row shows that.
 */
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { SECRET, sign } from "../test/http/auth/tokens.js";
import { crowd } from "../test/support/crowd.js";
import { type Pair, serving, startPair } from "../test/support/pair.js";
import { type Load, load, publish } from "./tools.js";

const clients = Number(process.argv[2] ?? 1000);
const RATE = 100;
/** How long is published, and when within it the fault comes, seconds. */
const SECONDS = 14;
const FAULT_AT = 6;
const AWAY = 2;
const EVENTS = RATE * SECONDS;

/** The load ends earlier, when nothing comes any more. */
const LONGEST = 90;

/** How long an answer is waited for: requests of the time when the daemon is away are answered by the next one. */
const RESPONSE_TIMEOUT_MS = 5000;

type Row = Record<string, unknown> & { readonly holds: boolean };

const rows: Record<string, Row> = {
  "daemon: kill -9": await daemonEnds((pair) => pair.daemon.kill9(), publishAcknowledged, { twice: RATE, lost: 0 }),
  "daemon: kill -9, ZeroMQ": await daemonEnds((pair) => pair.daemon.kill9(), publishPushed, { twice: RATE, lost: 3 }),
  "daemon: SIGTERM": await daemonEnds((pair) => pair.daemon.stop("SIGTERM"), publishPushed, { twice: 0, lost: 0 }),
  "Mongrel2: kill -9": await mongrel2Dies(),
};
console.table(rows);
process.exitCode = Object.values(rows).every(({ holds }) => holds) ? 0 : 1;

/** Starts a pair for `measure`, and stops it. */
async function withPair(measure: (pair: Pair) => Promise<Row>): Promise<Row> {
  const ends: (() => unknown)[] = [];
  const after = ((end: () => unknown) => ends.unshift(end)) as TestContext["after"];
  try {
    const config = { auth: { publisher_key: SECRET.toString() } };
    return await measure(await startPair({ after }, { settings: { "limits.tick_timer": 1 }, config }));
  } finally {
    for (const end of ends) await end();
  }
}

/** `most`: how many events may come twice to each client, or not at all. */
function daemonEnds(
  end: (pair: Pair) => Promise<unknown>,
  publishAll: (pair: Pair) => Promise<unknown>,
  most: { readonly twice: number; readonly lost: number },
): Promise<Row> {
  return withPair(async (pair) => {
    let away = 0;
    const { port } = pair.mongrel2;
    const result = await load({ port, path: "/esupdates", clients, seconds: LONGEST, quiet: 8 }, async () => {
      const published = publishAll(pair);
      await pause(FAULT_AT * 1000);
      const began = performance.now();
      await end(pair);
      await pause(AWAY * 1000);
      await pair.restart();
      away = performance.now() - began;
      return published;
    });
    return { ...noticed(result, most), "s away": (away / 1000).toFixed(1) };
  });
}

function noticed(result: Load, most: { readonly twice: number; readonly lost: number }): Row {
  const { alive, disconnects, missing, dup, out_of_order, min_events } = result;
  // The load client calls "out of order" what is below the highest it has seen: two that come again are one of those, and one twice.
  // (An event that really comes late would be missing, too.)
  const twice = dup + out_of_order;
  const isWhole = alive === clients && disconnects === 0;
  const isComplete = missing <= most.lost * clients && min_events >= EVENTS - 1 - most.lost;
  const holds = isWhole && isComplete && twice <= most.twice * clients;
  return { clients, "cut off": disconnects, "least events": min_events, missing, "came twice": twice, holds };
}

function publishPushed({ publishSpec }: Pair): Promise<unknown> {
  return publish(publishSpec, { rate: RATE, seconds: SECONDS });
}

/** Over HTTP, each when the one before is acknowledged and its time has come: 40 to 100 a second. */
async function publishAcknowledged({ mongrel2 }: Pair): Promise<void> {
  const authorization = `Bearer ${await sign({ mercure: { publish: ["*"] } })}`;
  const began = performance.now();
  for (let number = 1; number <= EVENTS; number++) {
    const data = `t=${process.hrtime.bigint()} s=${number} `;
    const body = new URLSearchParams({ topic: "test", data: data.padEnd(100, "x") });
    const isAcknowledged = () =>
      fetch(`${mongrel2.url}/.well-known/mercure`, {
        method: "POST",
        headers: { authorization },
        body,
        signal: AbortSignal.timeout(RESPONSE_TIMEOUT_MS),
      }).then(
        (answer) => answer.ok,
        () => false,
      );
    while (!(await isAcknowledged()));
    await pause(Math.max(0, began + (number * 1000) / RATE - performance.now()));
  }
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
