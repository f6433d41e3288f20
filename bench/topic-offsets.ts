/**
 * The index of topics (conditional publishing, state at once): what it costs to read the stored events once, memory for each topic, a
 * look-up with and without its event, and a publication that updates it. `node --expose-gc build/bench/topic-offsets.js [topics]`.
 */
import { TopicOffsets } from "../src/delivery/topic-offsets.js";
import type { Publication } from "../src/protocol/publication.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const topicCount = Number(process.argv[2] ?? 1_000_000);
const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
const LOOKUPS = 100_000;

const path = temporaryDirectory();
const history = await openLmdbHistory({ ...BOUNDS, path }, systemClock);
const bytes = Buffer.from(`data: ${"x".repeat(100)}\n\n`);
const publication = (offset: number): Publication => ({
  ...{ offset, id: `#${history.epoch}.${offset}`, topics: [`topic/${offset % topicCount}`] },
  ...{ private: false, time: 0, bytes },
});
for (let offset = 1; offset <= topicCount; offset++) {
  const kept = history.append(publication(offset));
  if (offset % 10_000 === 0) await kept;
}
history.commit();

const topics = new TopicOffsets(history);
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
const topicOf = (lookup: number) => `topic/${(lookup * 7919) % topicCount}`;

const before = heapBytes();
const read = await cpuOf(topicCount, () => topics.ready());
const memory = (heapBytes() - before) / topicCount;
const lookUp = await cpuOf(LOOKUPS, () => {
  for (let lookup = 0; lookup < LOOKUPS; lookup++) for (const _ of topics.newestFirst(topicOf(lookup))) break;
});
const lookUpEvent = await cpuOf(LOOKUPS, () => {
  for (let lookup = 0; lookup < LOOKUPS; lookup++) void topics.newestOf(topicOf(lookup));
});
const events = Array.from({ length: LOOKUPS }, (_, event) => publication(topicCount + event + 1));
const updated = await cpuOf(LOOKUPS, () => {
  for (const event of events) topics.published(event);
});
console.table({
  topics: topicCount,
  "CPU to read one stored event": read,
  "bytes a topic": Math.round(memory),
  "CPU of a look-up": lookUp,
  "CPU of a look-up with its event": lookUpEvent,
  "CPU of an update": updated,
});
await history.close();
removeDirectory(path);
