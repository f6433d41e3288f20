/** Removes events from a stream without a daemon: stores the removal, which the daemons that run apply as well, and carries it out. */
import { randomUUID } from "node:crypto";
import type { Config } from "../config/schema.js";
import { RemovalSet } from "../delivery/removals.js";
import { concerns, type RemovalTarget } from "../protocol/removal.js";
import type { Clock } from "../util/clock.js";
import { eraseRemoved } from "./erase-removed.js";
import { readRemovals } from "./removal-notes.js";
import { openStreamArchive } from "./stream-archive.js";
import { encodeStreamRemoval, REMOVALS_KEY } from "./stream-record.js";

/** Resolves with the number of removed events, when the stream has nothing of them any more. Rejects with "unavailable". */
export async function purgeStream(
  config: Pick<Config, "cluster" | "history">,
  target: RemovalTarget,
  clock: Clock,
): Promise<number> {
  const archive = await openStreamArchive(config, clock);
  try {
    const { session, header } = archive;
    const offsets: number[] = [];
    for await (const it of archive.publications) if (concerns(target, it)) offsets.push(it.offset);
    const [first, last] = [offsets[0], offsets.at(-1)];
    if (first === undefined || last === undefined) return 0;
    const { epoch } = header;
    const name = randomUUID();
    let count = 0;
    const newId = () => `${name}.${++count}`;
    const data = encodeStreamRemoval({ ...target, after: first - 1, through: last }, epoch);
    const record = await session.send({ epoch, key: REMOVALS_KEY, id: newId(), data });
    const { records } = await readRemovals(session, epoch, record);
    await eraseRemoved({ session, epoch, removals: RemovalSet.of(records), newId });
    return offsets.length;
  } finally {
    await archive.close();
  }
}
