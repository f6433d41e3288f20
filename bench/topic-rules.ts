/**
 * Publishing with [[topic]] tables: CPU of one event from its ZeroMQ message to the committed history (LMDB, 100,000 events), without
 * subscribers, and what keep = "last" costs on disk, in memory and at a start. Each case is a process of its own; all of them publish in
 * turn, round by round, on random topics. `node build/bench/topic-rules.js [topics] [rounds] [events a round]`.
 */
import { fork } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalBus } from "../src/cluster/local-bus.js";
import { KeptTopics } from "../src/delivery/kept-topics.js";
import { TopicLimits } from "../src/delivery/topic-limits.js";
import { VisibleHistory } from "../src/delivery/visible-history.js";
import { Hub } from "../src/hub/hub.js";
import { Ingress } from "../src/ingress/ingress.js";
import { TopicRules } from "../src/matching/topic-rules.js";
import { Publisher } from "../src/publishing/publisher.js";
import { RateLimiter } from "../src/publishing/rate-limiter.js";
import { nullClientStore } from "../src/storage/clients/null-client-store.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { load } from "../test/config/harness.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const [topicCount = 1_000_000, rounds = 10, eventsOfRound = 100_000] = process.argv.slice(2).map(Number);
const MAX_EVENTS = 100_000;
const FEW_TOPICS = 1000;
/** Messages that are handled in one turn of the event loop, and committed together. */
const MESSAGES_OF_TURN = 100;
const BASE = "http://localhost:6767/.well-known/mercure";
const LIMITS = { maxEvents: MAX_EVENTS, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;

interface Case {
  readonly name: string;
  readonly topics: number;
  /** Lines of a table for all topics; absent = there is no table. */
  readonly table?: string;
}

const CASES: readonly Case[] = [
  { name: "no tables", topics: topicCount },
  { name: "private, anonymous", topics: topicCount, table: "private = true\nanonymous = false" },
  { name: "rate", topics: topicCount, table: "rate = 1000000" },
  { name: "max_events", topics: topicCount, table: "max_events = 10" },
  { name: "no tables, few topics", topics: FEW_TOPICS },
  { name: "keep, few topics", topics: FEW_TOPICS, table: 'keep = "last"' },
  { name: "keep", topics: topicCount, table: 'keep = "last"' },
];

async function open(path: string, table: string | undefined) {
  const toml = table === undefined ? "" : `[[topic]]\ntemplate = "sensors/{id}"\n${table}\n`;
  const rules = new TopicRules(load(toml).config.topic, BASE);
  const stored = await openLmdbHistory({ ...LIMITS, path }, systemClock);
  const history = new VisibleHistory(stored, systemClock);
  const hub = new Hub({
    ...{ history, rules, base: BASE, clock: systemClock, clients: nullClientStore(systemClock) },
    bus: new LocalBus(history, systemClock),
    observe: () => {},
    presenceListener: { joined() {}, left() {}, adopted() {}, changed() {} },
    random: Math.random,
  });
  history.limit(new TopicLimits(rules, hub.topics));
  history.keep(new KeptTopics(rules, hub.topics));
  if (rules.keeps || rules.hasCounts) await hub.topics.ready();
  await hub.start();
  return { hub, history, stored, rules };
}

async function ingressOf({ hub, history, rules }: Awaited<ReturnType<typeof open>>) {
  let receive: (parts: Buffer[]) => unknown = () => {};
  const connection = { name: "bench", holdFor() {} };
  const ingress = new Ingress({
    source: {
      async start(to) {
        receive = (parts) => to.message(parts, connection);
      },
      async close() {},
    },
    post: (draft) => hub.post(draft),
    publisher: new Publisher({ hub, keys: history, repeated: () => {} }),
    rates: new RateLimiter({ rate: 0, burst: 1 }, systemClock, rules),
    batchLimits: { maxEvents: 1000, maxBytes: 1e6 },
    isReserved: () => false,
    rejected: (error) => {
      throw error;
    },
    observer: { refused() {}, failed() {}, recovered() {}, broken() {} },
  });
  await ingress.start();
  return receive;
}

/** Publishes events on random topics; returns the CPU time of one, microseconds. */
function publisherOf(receive: (parts: Buffer[]) => unknown, topics: number) {
  let seed = 1;
  const data = Buffer.from("x".repeat(100));
  return async (count: number, topicAt?: (event: number) => number): Promise<number> => {
    const start = process.cpuUsage();
    for (let event = 0; event < count; event++) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      const topic = topicAt?.(event) ?? Math.floor((seed / 2 ** 32) * topics);
      receive([Buffer.from(`sensors/${topic}`), data]);
      if (event % MESSAGES_OF_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setImmediate(resolve));
    const { user, system } = process.cpuUsage(start);
    return (user + system) / count;
  };
}

/** The process of one case: prepares, then publishes one round for each message. */
async function runCase({ topics, table }: Case): Promise<void> {
  const path = temporaryDirectory();
  const opened = await open(path, table);
  const publish = publisherOf(await ingressOf(opened), topics);
  await publish(topics, (event) => event);
  await publish(Math.max(MAX_EVENTS, topics / 2));
  process.on("message", (message) => {
    void (message === "round" ? publish(eventsOfRound) : end()).then((result) => process.send?.(result));
  });
  const end = async () => {
    await opened.history.close();
    const diskBytes = statSync(join(path, "history.mdb")).size;
    globalThis.gc?.();
    const before = process.memoryUsage();
    const start = performance.now();
    const again = await open(path, table);
    const seconds = (performance.now() - start) / 1000;
    globalThis.gc?.();
    const after = process.memoryUsage();
    const result = {
      diskBytes,
      seconds,
      memoryBytes: after.heapUsed - before.heapUsed,
      kept: again.history.keptCount,
      topics: again.hub.topics.size,
    };
    await again.history.close();
    removeDirectory(path);
    setImmediate(() => process.disconnect());
    return result;
  };
  process.send?.("ready");
}

type End = Awaited<
  ReturnType<() => Promise<{ diskBytes: number; seconds: number; memoryBytes: number; kept: number; topics: number }>>
>;

async function compare(): Promise<void> {
  const children = [];
  for (const [index] of CASES.entries()) {
    const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
      execArgv: ["--expose-gc", "--max-old-space-size=4000"],
      env: { ...process.env, BENCH_CASE: String(index) },
    });
    const answer = () => new Promise<unknown>((resolve) => child.once("message", resolve));
    const ready = answer();
    await ready;
    children.push({ child, answer, cpu: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { child, answer, cpu } of children) {
      const answered = answer();
      child.send("round");
      cpu.push((await answered) as number);
    }
  }
  const rows = [];
  for (const [index, { child, answer, cpu }] of children.entries()) {
    const answered = answer();
    child.send("end");
    const { diskBytes, seconds, memoryBytes, kept, topics } = (await answered) as End;
    const sorted = cpu.toSorted((a, b) => a - b);
    rows.push({
      ...{ case: CASES[index]?.name, topics: CASES[index]?.topics },
      "us an event": `${median(sorted).toFixed(2)} (${sorted[0]?.toFixed(2)} to ${sorted.at(-1)?.toFixed(2)})`,
      "x no tables": ratio(cpu, children[index < 4 || index === 6 ? 0 : 4]?.cpu ?? []).toFixed(3),
      "start s": seconds.toFixed(2),
      "disk MB": Math.round(diskBytes / 1e6),
      "heap MB": Math.round(memoryBytes / 1e6),
      ...{ kept, indexed: topics },
    });
  }
  console.table(rows);
  console.log(
    `keep: ${topicCount} topics against ${FEW_TOPICS}: x${ratio(children[6]?.cpu ?? [], children[5]?.cpu ?? []).toFixed(3)}`,
  );
}

const median = (sorted: readonly number[]): number => sorted[sorted.length >> 1] ?? Number.NaN;
/** The median of the ratios of the rounds. */
const ratio = (cpu: readonly number[], of: readonly number[]): number =>
  median(cpu.map((it, round) => it / (of[round] ?? Number.NaN)).toSorted((a, b) => a - b));

const own = CASES[Number(process.env.BENCH_CASE ?? -1)];
await (own ? runCase(own) : compare());
