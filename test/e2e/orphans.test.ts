/** What becomes of connections that a daemon has left behind, with a real Mongrel2 that is ours alone, or another application's, too. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { RawHandler } from "../support/handler.js";
import type { HandlerOptions } from "../support/mongrel2-conf.js";
import { type Pair, type PairOptions, startPair } from "../support/pair.js";
import { RawConnection } from "../support/sse-client.js";

/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };
const OURS: HandlerOptions = { routes: ["/esupdates()$", "/.well-known/mercure"] };
const OTHER: HandlerOptions = { routes: ["/other"] };
/** "Served, answered or closed within 15 s"; twice as much for a machine with ten times its load. */
const SOON_MS = 30_000;

/** A Mongrel2 that is ours alone. */
const alone = (t: TestContext, options: PairOptions = {}) =>
  startPair(t, {
    settings,
    ...options,
    server: async (it) => ({ database: it.database, ...(await options.server?.(it)) }),
  });

/** A Mongrel2 that another application shares, which is returned, too. */
async function shared(t: TestContext, orphanTimeout: string) {
  const server = async ({ database }: { database: string }) => ({ database, orphan_timeout: orphanTimeout });
  const pair = await startPair(t, { settings, handlers: [OURS, OTHER], server });
  const handler = pair.mongrel2.handlers[1];
  assert.ok(handler);
  const other = await RawHandler.connect(handler);
  t.after(() => other.close());
  return { pair, other };
}

const crowd = (pair: Pair) => Promise.all(Array.from({ length: 10 }, () => pair.stream()));

/** Each gets the next event on its old stream, or is closed, so that its browser comes back. */
async function nobodyIsSilent(pair: Pair, clients: Awaited<ReturnType<typeof crowd>>): Promise<void> {
  const before = clients.map(({ events }) => events.length);
  const publishing = setInterval(() => void pair.publisher.publish("is anybody silent?"), 200);
  try {
    const served = clients.map((client, at) =>
      client.until(
        ({ isClosed, events }) => isClosed || events.length > (before[at] ?? 0),
        "an event, or the end of its stream",
        SOON_MS,
      ),
    );
    await Promise.all(served);
  } finally {
    clearInterval(publishing);
  }
}

/** A connection of a client that sends a request and waits. */
function ask(t: TestContext, pair: Pair, path: string): RawConnection {
  const connection = new RawConnection(pair.mongrel2.port);
  t.after(() => connection.close());
  connection.write(request(path));
  return connection;
}

const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** Requests that Mongrel2 has handed to a daemon which does not read them any more, and then is killed. */
async function loseRequests(t: TestContext, pair: Pair): Promise<RawConnection[]> {
  const kept = new RawConnection(pair.mongrel2.port);
  t.after(() => kept.close());
  kept.write(request("/.well-known/mercure/subscriptions"));
  await kept.until(({ text }) => text.includes("\r\n\r\n"), "an answer");
  const page = new RawConnection(pair.mongrel2.port);
  t.after(() => page.close());
  page.write(request("/"));
  await page.until(({ text }) => text.includes("\r\n\r\n"), "the page");
  pair.daemon.signal("SIGSTOP");
  page.write(request("/esupdates"));
  if (!kept.isClosed) kept.write(request("/.well-known/mercure/subscriptions"));
  const fresh = Array.from({ length: 5 }, () => ask(t, pair, "/esupdates"));
  // Mongrel2 logs a request when it hands it to a handler, in the order in which they come.
  const sentinel = ask(t, pair, "/");
  await sentinel.until(({ text }) => text.includes("\r\n\r\n"), "the page");
  await pair.daemon.kill9();
  return [page, ...fresh];
}

describe("A Mongrel2 that is ours alone", { concurrency: 3 }, () => {
  const lose: Readonly<Record<string, (pair: Pair) => Promise<unknown>>> = {
    "its record of clients is removed": async ({ daemon, dir }) => {
      await daemon.stop();
      rmSync(join(dir, "data/clients.mdb"));
    },
    "its history is moved away": async ({ daemon, dir }) => {
      await daemon.stop();
      rmSync(join(dir, "data/history.mdb"));
    },
    "its data folder is deleted": async ({ daemon, dir }) => {
      await daemon.kill9();
      rmSync(join(dir, "data"), { recursive: true });
    },
  };
  for (const [what, happens] of Object.entries(lose)) {
    test(`leaves no stream silent when ${what}`, async (t) => {
      const pair = await alone(t);
      const clients = await crowd(pair);
      await pair.aged(3);
      await happens(pair);
      await pair.restart();
      await nobodyIsSilent(pair, clients);
    });
  }

  test("leaves no stream silent when a daemon with its history in memory is killed", async (t) => {
    const pair = await alone(t, { config: { history: { store: "memory" } } });
    const clients = await crowd(pair);
    await pair.aged(3);
    await pair.daemon.kill9();
    await pair.restart();
    await nobodyIsSilent(pair, clients);
    assert.equal(pair.daemon.log.filter(({ event }) => event === "adopt").length, 10);
    assert.ok(clients.every(({ events }) => events.some(({ type }) => type === "m2push-gap")));
  });

  test("leaves no stream silent when the control port never answers", async (t) => {
    const pair = await alone(t, { server: async () => ({ control: "ipc:///nowhere/control" }) });
    const clients = await crowd(pair);
    await pair.daemon.kill9();
    rmSync(join(pair.dir, "data"), { recursive: true });
    await pair.restart();
    await nobodyIsSilent(pair, clients);
  });

  test("leaves no request hanging after three kills in a row", async (t) => {
    const pair = await alone(t);
    const lost: RawConnection[] = [];
    for (let kills = 0; kills < 3; kills++) {
      lost.push(...(await loseRequests(t, pair)));
      await pair.restart();
    }
    await Promise.all(lost.map((connection) => connection.over(SOON_MS)));
  });
});

describe("A Mongrel2 that another application shares", { concurrency: 3 }, () => {
  test("keeps the requests that it thinks about through SIGTERM and kill -9", async (t) => {
    const { pair, other } = await shared(t, "60s");
    const clients = await crowd(pair);
    await pair.aged(3);
    const waiting = Array.from({ length: 3 }, () => ask(t, pair, "/other"));
    const ids = await Promise.all(waiting.map(async () => (await other.request()).id));
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await pair.daemon.stop(signal);
      await pair.restart();
      await nobodyIsSilent(pair, clients);
    }
    await other.send(ids, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    await Promise.all(waiting.map((it) => it.until(({ text }) => text.endsWith("slow"), "the other's answer")));
  });

  test("is told of streams whose record is missing, and they are closed after orphan_timeout, others are not", async (t) => {
    const { pair, other } = await shared(t, "3s");
    const waiting = ask(t, pair, "/other");
    const { id } = await other.request();
    const clients = await crowd(pair);
    await pair.daemon.stop();
    rmSync(join(pair.dir, "data/clients.mdb"));
    await pair.restart();
    const told = await pair.daemon.logged(({ code }) => code === "orphans_unknown", "the condition");
    assert.equal(told.connections, 10);
    await Promise.all(clients.map((client) => client.until(({ isClosed }) => isClosed, "its end", SOON_MS)));
    await pair.daemon.logged(({ event }) => event === "condition_ended", "the end of the condition");
    await other.send([id], "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    await waiting.until(({ text }) => text.endsWith("slow"), "the other's answer");
  });

  test("leaves no request hanging after three kills in a row and orphan_timeout", async (t) => {
    const { pair } = await shared(t, "5s");
    const lost: RawConnection[] = [];
    for (let kills = 0; kills < 3; kills++) {
      lost.push(...(await loseRequests(t, pair)));
      await pair.restart();
    }
    await Promise.all(lost.map((connection) => connection.over(SOON_MS)));
    await pair.daemon.logged(({ event }) => event === "condition_ended", "the end of the condition");
    assert.deepEqual(
      readdirSync(join(pair.dir, "data")).filter((name) => name.endsWith(".previous")),
      [],
    );
  });
});
