/**
 * The index of newest events (conditional publishing): what it costs to read the stored events once, memory for each topic, a look-up, and a
 * publication that updates it. `node --expose-gc build/bench/newest.js [topics]`.
 */
import type { Publication } from "../src/protocol/publication.js";
import { NewestEvents } from "../src/publishing/newest-events.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const topics = Number(process.argv[2] ?? 1_000_000);
const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
const LOOKUPS = 100_000;

const path = temporaryDirectory();
const history = await openLmdbHistory({ ...BOUNDS, path }, systemClock);
const bytes = Buffer.from(`data: ${"x".repeat(100)}\n\n`);
const publication = (offset: number): Publication => ({
  ...{ offset, id: `#${history.epoch}.${offset}`, topics: [`topic/${offset % topics}`] },
  ...{ private: false, time: 0, bytes },
});
for (let offset = 1; offset <= topics; offset++) {
  const kept = history.append(publication(offset));
  if (offset % 10_000 === 0) await kept;
}
history.commit();

let update: (publication: Publication) => void = () => {};
const newest = new NewestEvents({ history, watch: (published) => (update = published) });
const heapBytes = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
/** CPU time of this process, so that other load on the machine does not count. */
const cpuMicroseconds = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
async function cpuOf(count: number, work: () => unknown): Promise<string> {
  const start = cpuMicroseconds();
  await work();
  return `${((cpuMicroseconds() - start) / count).toFixed(2)} us`;
}

const before = heapBytes();
const read = await cpuOf(topics, () => newest.of("topic/1"));
const memory = (heapBytes() - before) / topics;
const lookUp = await cpuOf(LOOKUPS, () => {
  for (let lookup = 0; lookup < LOOKUPS; lookup++) void newest.of(`topic/${(lookup * 7919) % topics}`);
});
const events = Array.from({ length: LOOKUPS }, (_, event) => publication(topics + event + 1));
const updated = await cpuOf(LOOKUPS, () => {
  for (const event of events) update(event);
});
console.table({
  topics,
  "CPU to read one stored event": read,
  "bytes a topic": Math.round(memory),
  "CPU of a look-up": lookUp,
  "CPU of an update": updated,
});
await history.close();
removeDirectory(path);
