/**
 * State at once (latest, last) within one process, with an outlet in memory whose fences pass after a millisecond:
 *
 *   openings   what one opening costs the daemon among [topics] stored topics (CPU time), for exact topics, templates and patterns
 *   hostile    how long events to an innocent client wait while a pattern that fits nothing looks for its state
 *   storm      10,000 clients that open with latest=1 on a topic with 100 events/s: what each got, and the latency of live clients
 *
 * `node --expose-gc build/bench/state-at-once.js [topics] [clients]`. Exits with 1 where a client missed an event.
 */
import { setTimeout as pause } from "node:timers/promises";
import { LocalBus } from "../src/cluster/local-bus.js";
import type { Address, Outlet } from "../src/delivery/outlet.js";
import type { SelectionRequest } from "../src/delivery/selection.js";
import type { ServerDelivery } from "../src/delivery/server-delivery.js";
import { Hub } from "../src/hub/hub.js";
import { parseSelector, type Selector } from "../src/matching/selector.js";
import type { Publication } from "../src/protocol/publication.js";
import { nullClientStore } from "../src/storage/clients/null-client-store.js";
import { type LmdbHistory, openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const topicCount = Number(process.argv[2] ?? 1_000_000);
const clientCount = Number(process.argv[3] ?? 10_000);
const BASE = "http://hub.example/.well-known/mercure";
const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
/** Topics below one prefix, and events of the topic "many". */
const MATCHING = 1_000;
const FENCE_MS = 1;
const EVENT_INTERVAL_MS = 10;
const DATA_FIELD = Buffer.from("data: ");
const OPENINGS = 100;

/** Remembers the numbers of the events that each connection got. */
class CountingOutlet implements Outlet {
  readonly maxTargets = 128;
  readonly received = new Map<number, number[]>();
  /** Called with the ids and numbers of each frame. */
  delivered: (ids: readonly number[], numbers: readonly number[]) => void = () => {};
  readonly #addresses = new Map<Buffer, readonly number[]>();

  address(ids: readonly number[]): Address {
    const address = Buffer.from(ids.join(" "));
    this.#addresses.set(address, [...ids]);
    return address;
  }

  deliver(address: Address, body: Buffer): void {
    this.#take(this.#addresses.get(address) ?? [], body);
  }

  #take(ids: readonly number[], body: Buffer): void {
    const numbers = numbersIn(body);
    for (const id of ids) {
      const all = this.received.get(id);
      if (all) all.push(...numbers);
      else this.received.set(id, [...numbers]);
    }
    this.delivered(ids, numbers);
  }

  prepare(): void {}
  open(id: number, body: Buffer): void {
    this.#take([id], body);
  }
  close(): void {}
  cancel(): void {}
  keepAlive(): void {}
  fence(passed: () => void): void {
    setTimeout(passed, FENCE_MS);
  }
}

/** The numbers at the beginning of the data; without garbage that would count as the daemon's. */
function numbersIn(body: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = body.indexOf(DATA_FIELD); at >= 0; at = body.indexOf(DATA_FIELD, at + 1)) {
    let number: number | undefined;
    for (let digit = at + DATA_FIELD.length; ; digit++) {
      const value = (body[digit] ?? 0) - 0x30;
      if (value < 0 || value > 9) break;
      number = 10 * (number ?? 0) + value;
    }
    if (number !== undefined) numbers.push(number);
  }
  return numbers;
}

interface World {
  readonly history: LmdbHistory;
  readonly hub: Hub;
  readonly server: ServerDelivery;
  readonly outlet: CountingOutlet;
  close(): Promise<void>;
}

async function openWorld(fill: (history: LmdbHistory) => Promise<void>): Promise<World> {
  const path = temporaryDirectory();
  const history = await openLmdbHistory({ ...BOUNDS, path }, systemClock);
  await fill(history);
  const hub = new Hub({
    ...{ history, clock: systemClock, base: BASE, random: Math.random },
    bus: new LocalBus(history, systemClock),
    clients: nullClientStore(systemClock),
    observe() {},
    presenceListener: { joined() {}, adopted() {}, changed() {}, left() {} },
  });
  await hub.start();
  const outlet = new CountingOutlet();
  const server = hub.serveMongrel2("main", outlet, { keepalive: 45_000, heartbeat: 15_000 });
  server.start();
  return {
    ...{ history, hub, server, outlet },
    async close() {
      hub.handOver();
      await history.close();
      removeDirectory(path);
    },
  };
}

const data = Buffer.from(`data: 0 ${"x".repeat(100)}\n\n`);
let lastId = 0;

function open({ hub, server }: World, selectors: readonly Selector[], selection?: SelectionRequest): number {
  const id = ++lastId;
  const replay = { lastEventId: undefined, offset: undefined };
  hub.subscribe(server, {
    ...{ id, remote: "192.0.2.1", interest: { selectors, grants: [] }, replay, selection },
    head: Buffer.from(": open\n\n"),
  });
  return id;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const quantile = (values: readonly number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(2));
};

/** Resolves when every client is live. */
async function allLive({ server }: World): Promise<void> {
  while (server.figures.behind > 0) await pause(1);
}

/** The CPU time of one opening until its client is live, milliseconds: the median and the highest of OPENINGS. */
async function costOf(world: World, selectors: readonly Selector[], selection: SelectionRequest) {
  const costs: number[] = [];
  let events = 0;
  for (let opening = 0; opening < OPENINGS; opening++) {
    const start = cpuMs();
    const id = open(world, selectors, selection);
    await allLive(world);
    costs.push(cpuMs() - start);
    events = world.outlet.received.get(id)?.length ?? 0;
    world.hub.leave(world.server, id, "left");
  }
  return { events, "median ms": quantile(costs, 0.5), "highest ms": quantile(costs, 1) };
}

/** Publishes at 100 events/s; returns a function that stops and resolves with the latencies to the first client, ms. */
function publishing(world: World, topic: string, live: number): () => Promise<readonly number[]> {
  const sent = new Map<number, number>();
  const latencies: number[] = [];
  world.outlet.delivered = (ids, numbers) => {
    if (!ids.includes(live)) return;
    for (const number of numbers) {
      const at = sent.get(number);
      if (at !== undefined) latencies.push(performance.now() - at);
    }
  };
  let number = 0;
  let isStopped = false;
  const start = performance.now();
  const run = (async () => {
    while (!isStopped) {
      const due = start + number * EVENT_INTERVAL_MS;
      await pause(Math.max(0, due - performance.now()));
      number++;
      sent.set(number, Math.max(due, start)); // a late timer is a delay, too
      void world.hub.publish({ topics: [topic], data: `${number}`, private: false });
    }
  })();
  return async () => {
    isStopped = true;
    await run;
    await allLive(world);
    await world.hub.delivered();
    return latencies;
  };
}

async function measureIndex(): Promise<boolean> {
  const world = await openWorld(async (history) => {
    const bytesOf = (offset: number, topic: string): Publication => ({
      ...{ offset, id: `#${history.epoch}.${offset}`, topics: [topic], private: false, time: 0, bytes: data },
    });
    for (let offset = 1; offset <= topicCount; offset++) {
      const topic =
        offset % (topicCount / MATCHING) === 0 ? `match/${offset}` : offset % 997 === 0 ? "many" : `topic/${offset}`;
      const kept = history.append(bytesOf(offset, topic));
      if (offset % 10_000 === 0) await kept;
    }
    history.commit();
  });
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  let start = cpuMs();
  for (let reading = world.hub.topics.ready(); reading; reading = world.hub.topics.ready()) await reading;
  const built = cpuMs() - start;
  globalThis.gc?.();
  const indexBytes = process.memoryUsage().heapUsed - before;
  start = cpuMs();
  for (let reading = world.hub.topics.sorted(); reading; reading = world.hub.topics.sorted()) await reading;
  const sorted = cpuMs() - start;
  globalThis.gc?.();
  const sortedBytes = process.memoryUsage().heapUsed - before - indexBytes;
  const { size } = world.hub.topics;
  console.table({
    topics: size,
    "CPU to read, ms": Math.round(built),
    "bytes a topic": Math.round(indexBytes / size),
    "CPU to sort, ms": Math.round(sorted),
    "more bytes a topic, sorted": Math.round(sortedBytes / size),
  });

  const exact = (value: string): Selector => ({ kind: "exact", value });
  const template = (value: string) => parseSelector("template", value, BASE);
  const matching = Array.from({ length: MATCHING }, (_, at) => exact(`match/${(at + 1) * (topicCount / MATCHING)}`));
  const latest: SelectionRequest = { kind: "latest" };
  console.table({
    "latest, 1 exact topic": await costOf(world, [exact("many")], latest),
    "latest, 100 exact topics": await costOf(world, matching.slice(0, 100), latest),
    "latest, 1000 exact topics": await costOf(world, matching, latest),
    "last=1000, 1 exact topic": await costOf(world, [exact("many")], { kind: "last", count: MATCHING }),
    "latest, a template of 1000 topics": await costOf(world, [template("match/{id}")], latest),
    "latest, *": await costOf(world, [{ kind: "any" }], latest),
    "latest, a template that fits none of its 1,000,000": await costOf(world, [template("topic/{id}/none")], latest),
  });

  const rows: Record<string, Record<string, number>> = {};
  const live = open(world, [exact("live")]);
  const hostile = Array.from({ length: 20 }, (_, at) => template(`topic/{a}{b}{c}{d}{e}{f}{g}/none${at}`));
  for (const [name, attack] of [
    ["no attack", async () => pause(3000)],
    ["a pattern that fits none", async () => attackWith(world, hostile.slice(0, 1), 1)],
    ["20 streams of 20 such patterns", async () => attackWith(world, hostile, 20)],
  ] as const) {
    const stop = publishing(world, "live", live);
    await attack();
    const latencies = await stop();
    rows[name] = {
      events: latencies.length,
      "p50 ms": quantile(latencies, 0.5),
      "p99 ms": quantile(latencies, 0.99),
      "highest ms": quantile(latencies, 1),
    };
  }
  console.table(rows);
  await world.close();
  return true;
}

async function attackWith(world: World, selectors: readonly Selector[], streams: number): Promise<void> {
  const end = performance.now() + 3000;
  const ids = Array.from({ length: streams }, () => open(world, selectors, { kind: "latest" }));
  while (performance.now() < end) await pause(20);
  for (const id of ids) world.hub.leave(world.server, id, "left");
}

/** Every client must have a run of numbers that ends with the newest one. */
function isComplete(received: readonly number[], newest: number): boolean {
  const first = received[0] ?? 0;
  return received.length === newest - first + 1 && received.every((number, at) => number === first + at);
}

async function measureStorm(): Promise<boolean> {
  const rows: Record<string, Record<string, number>> = {};
  let holds = true;
  for (const [name, selection] of [
    ["plain", undefined],
    ["latest=1", { kind: "latest" }],
    ["plain again", undefined],
    ["latest=1 again", { kind: "latest" }],
  ] as const) {
    const world = await openWorld(async () => {});
    for (let reading = world.hub.topics.ready(); reading; reading = world.hub.topics.ready()) await reading;
    const topic: readonly Selector[] = [{ kind: "exact", value: "state" }];
    const live = open(world, topic);
    const stop = publishing(world, "state", live);
    await pause(500);
    const clients: number[] = [];
    const start = cpuMs();
    while (clients.length < clientCount) {
      for (let opening = 0; opening < 20; opening++) clients.push(open(world, topic, selection));
      await pause(5);
    }
    await pause(500);
    const cpu = cpuMs() - start;
    const latencies = await stop();
    const newest = latencies.length;
    const wrong = clients.filter((id) => !isComplete(world.outlet.received.get(id) ?? [], newest)).length;
    if (selection) holds &&= wrong === 0;
    rows[name] = {
      events: newest,
      "clients with a gap or a repetition": wrong,
      "live p50 ms": quantile(latencies, 0.5),
      "live p99 ms": quantile(latencies, 0.99),
      "live highest ms": quantile(latencies, 1),
      "CPU ms": Math.round(cpu),
    };
    await world.close();
  }
  console.table(rows);
  return holds;
}

const holds = [await measureIndex(), await measureStorm()];
process.exitCode = holds.every(Boolean) ? 0 : 1;
