/** Uses the history in a folder in every way: reads, finds, appends, trims. Exit 0; 3 when it was refused in words. */
import { M2pushError } from "../../src/errors.js";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../../src/util/clock.js";
import { publication } from "../contract/history.js";

const [path = ""] = process.argv.slice(2);
try {
  const options = { path, durability: "commit", maxEvents: 100, maxAge: 1e15, maxBytes: 1e12 } as const;
  const history = await openLmdbHistory(options, systemClock);
  const { last } = history;
  for (let at = history.floor; at < last; ) at = history.read(at, { through: last, maxBytes: 100_000 }).through;
  for (let offset = 1; offset <= last; offset++) history.find(`own ${offset}`);
  const kept = [];
  for (let offset = last + 1; offset <= last + 300; offset++) {
    kept.push(
      history.append(publication(history, offset, { id: `own ${offset}`, bytes: Buffer.alloc(offset % 9000) })),
    );
    if (offset % 50 === 0) await Promise.all(kept);
  }
  await Promise.all(kept);
  await history.close();
} catch (error) {
  if (!(error instanceof M2pushError)) throw error;
  process.exit(3);
}
