/** What an idempotency key costs: publications one after the other and 20 at a time, stored in LMDB, with a key, repeated, and without. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalBus } from "../src/cluster/local-bus.js";
import { Publisher } from "../src/publishing/publisher.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";

const EVENTS = 40_000;
const ROUNDS = 5;
const LIMITS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 };
const MODES = ["without a key", "with a key", "repeated"] as const;

const folder = mkdtempSync(join(tmpdir(), "m2push-keys-"));
const history = await openLmdbHistory({ ...LIMITS, path: join(folder, "data"), durability: "commit" }, systemClock);
const bus = new LocalBus(history, systemClock);
await bus.start((publications) => {
  let stored: Promise<void> | undefined;
  for (const publication of publications) stored = history.append(publication);
  return stored;
});
const publisher = new Publisher({ hub: bus, keys: history, repeated: () => {} });
let next = 0;

async function measure(mode: (typeof MODES)[number], atOnce: number): Promise<number> {
  if (mode !== "repeated") next += EVENTS;
  const start = performance.now();
  for (let event = 0; event < EVENTS; event += atOnce) {
    const requests = Array.from({ length: atOnce }, (_, index) => {
      const key = mode === "without a key" ? {} : { key: `order-${next + event + index}` };
      const draft = { topics: ["t"], data: `${next + event + index}`, private: false } as const;
      return publisher.publish({ drafts: [draft], publisher: "bench", ...key });
    });
    await Promise.all(requests);
  }
  return ((performance.now() - start) * 1000) / EVENTS;
}

for (const atOnce of [1, 20]) {
  const results = new Map<string, number[]>(MODES.map((mode) => [mode, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const mode of MODES) results.get(mode)?.push(await measure(mode, atOnce));
  for (const [mode, values] of results) {
    const [low, middle, high] = [0, 2, 4].map((at) => values.sort((a, b) => a - b)[at]?.toFixed(1));
    console.log(`${atOnce} at a time, ${mode}: ${middle} us for an event (${low} to ${high})`);
  }
}
console.log(`${history.keyCount} keys`);
await history.close();
rmSync(folder, { recursive: true });
