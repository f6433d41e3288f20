/** Appends for ever, and prints the offset of each event that was acknowledged. The test kills it. */
import { openLmdb } from "../../src/history/lmdb.js";
import { systemClock } from "../../src/util/clock.js";
import { publication } from "../contract/history.js";

const [path = "", durability = "commit"] = process.argv.slice(2);
const options = { path, durability: durability as "commit", maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 };
const history = await openLmdb(options, systemClock);
for (let offset = history.last + 1; ; offset++) {
  await history.append(publication(history, offset, { id: `own ${offset}` }));
  process.stdout.write(`${offset}\n`);
}
