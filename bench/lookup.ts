/**
 * What it costs to find an id, ours or a publisher's own, among a few stored events and among a million.
 * `node build/bench/lookup.js [events]`.
 */

import { positionId } from "../src/protocol/position.js";
import { openLmdbHistory } from "../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../src/util/clock.js";
import { removeDirectory, temporaryDirectory } from "../test/support/processes.js";

const many = Number(process.argv[2] ?? 1_000_000);
const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
const LOOKUPS = 200_000;

const few = await measure(1000);
const all = await measure(many);
console.table([few, all]);
console.log(
  `ours: ${(all["ours ns"] / few["ours ns"]).toFixed(2)}x, own: ${(all["own ns"] / few["own ns"]).toFixed(2)}x`,
);

async function measure(events: number) {
  const path = temporaryDirectory();
  const history = await openLmdbHistory({ ...BOUNDS, path }, systemClock);
  const bytes = Buffer.from(`data: ${"x".repeat(100)}\n\n`);
  for (let offset = 1; offset <= events; offset++) {
    const id = offset % 2 === 0 ? positionId(history.epoch, offset) : `own ${offset}`;
    const kept = history.append({ offset, id, topics: ["t"], private: false, time: Date.now(), bytes });
    if (offset % 10_000 === 0 || offset === events) await kept;
  }
  // Reopened: the memory tail is empty.
  const { epoch } = history;
  await history.close();
  const opened = await openLmdbHistory({ ...BOUNDS, path }, systemClock);
  const time = (idOf: (offset: number) => string, parity: number) => {
    const start = performance.now();
    for (let lookup = 0; lookup < LOOKUPS; lookup++) {
      const offset = ((lookup * 7919) % Math.floor(events / 2)) * 2 + parity;
      if (opened.find(idOf(offset)) !== offset) throw new Error(`${idOf(offset)} was not found`);
    }
    return Math.round(((performance.now() - start) / LOOKUPS) * 1e6);
  };
  const row = {
    events,
    "ours ns": time((offset) => positionId(epoch, offset), 2),
    "own ns": time((offset) => `own ${offset}`, 1),
  };
  await opened.close();
  removeDirectory(path);
  return row;
}
