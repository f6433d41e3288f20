/**
 * How long one batch of 256 KiB holds the event loop: parsing and checking bodies of the worst kinds, and publishing 1,000 events through
 * bus, hub and history with the commit. CPU time of this process. `node build/bench/batches.js`.
 */
import { LocalBus } from "../src/cluster/local-bus.js";
import { parseEventBody } from "../src/protocol/event-body.js";
import { InvalidEvents } from "../src/protocol/event-fault.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const BYTES = 262_144;
const REPEATS = 30;
const rules = { limits: { maxEvents: 1_000, maxBytes: BYTES } };

/** Lines of equal length that fill a body of 256 KiB. */
const lines = (line: (room: string) => string) => {
  const room = Math.floor(BYTES / 1_000) - line("").length - 1;
  return `${line("x".repeat(room))}\n`.repeat(1_000);
};
const NDJSON = "application/x-ndjson";
const nested = "[".repeat(100);
const BODIES: readonly [what: string, type: string, body: string][] = [
  ["1,000 events as JSON lines", NDJSON, lines((room) => `{"topic":"t","data":"${room}"}`)],
  ["1,000 events with object data", NDJSON, lines((room) => `{"topic":"t","data":{"a":["${room}"]}}`)],
  ["1,000 wrong events, 5 faults each", NDJSON, lines((room) => `{"retry":"","id":7,"type":7,"key":7,"x":"${room}"}`)],
  ["one event of 99 kB in lines", "application/json", JSON.stringify({ topic: "t", data: "\n".repeat(14_000) })],
  [
    "an array of deep data",
    "application/json",
    `[${Array(900).fill(`{"topic":"t","data":${nested}${"]".repeat(100)}}`)}]`,
  ],
  ["262,144 line ends", NDJSON, "\n".repeat(BYTES)],
];

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function parse(type: string, body: Buffer): void {
  try {
    parseEventBody({ headers: new Map([["content-type", [type]]]), body }, rules);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error instanceof InvalidEvents && error.faults.length === 0) throw error;
  }
}

const rows: Record<string, unknown>[] = [];
for (const [what, type, text] of BODIES) {
  const body = Buffer.from(text);
  const took = Array.from({ length: REPEATS }, () => {
    const start = cpuMs();
    parse(type, body);
    return cpuMs() - start;
  }).sort((a, b) => a - b);
  const [median = 0, worst = 0] = [took[REPEATS / 2], took.at(-1)];
  rows.push({ body: what, bytes: body.length, "median ms": median.toFixed(2), "worst ms": worst.toFixed(2) });
}

const path = temporaryDirectory();
const limits = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
const history = await openLmdbHistory({ ...limits, path }, systemClock);
const bus = new LocalBus(history, systemClock);
await bus.start((publications) => publications.map((it) => history.append(it)).at(-1));
const body = Buffer.from(BODIES[0]?.[2] ?? "");
const { drafts = [] } = parseEventBody({ headers: new Map([["content-type", [NDJSON]]]), body }, rules) ?? {};
const took: number[] = [];
for (let repeat = 0; repeat < REPEATS; repeat++) {
  const start = cpuMs();
  await bus.publishAll(drafts);
  took.push(cpuMs() - start);
}
took.sort((a, b) => a - b);
rows.push({
  body: "storing 1,000 events, with the commit",
  bytes: body.length,
  "median ms": took[REPEATS / 2]?.toFixed(2),
  "worst ms": took.at(-1)?.toFixed(2),
});
console.table(rows);
await history.close();
removeDirectory(path);
