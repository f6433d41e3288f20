/**
 * Appends for ever, and prints the offset of each event that was acknowledged; the test kills it. Or ("killed") appends two, prints
 * the offset of the first, commits, and kills itself.
 */
import { writeSync } from "node:fs";
import { openLmdbHistory } from "../../../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../../../src/util/clock.js";
import { publication } from "../../contract/history.js";

const [path = "", durability = "commit", end] = process.argv.slice(2);
const options = { path, durability: durability as "commit", maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 };
const history = await openLmdbHistory(options, systemClock);
if (end === "killed") {
  for (const id of ["own a", "own b"]) void history.append(publication(history, history.last + 1, { id }));
  writeSync(1, `${history.last - 1}`);
  history.commit();
  process.kill(process.pid, "SIGKILL");
}
for (let offset = history.last + 1; ; offset++) {
  await history.append(publication(history, offset, { id: `own ${offset}` }));
  process.stdout.write(`${offset}\n`);
}
