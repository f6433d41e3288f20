/** An event store in a temporary folder, opened again as by the next process. */
import { join } from "node:path";
import type { TestContext } from "node:test";
import { LmdbEventStore } from "../../src/storage/client-events/lmdb-event-store.js";
import { FakeClock } from "./clock.js";
import { removeDirectory, temporaryDirectory } from "./processes.js";

export const turn = () => new Promise(setImmediate);

export function eventStores(t: TestContext, maxAge = 86_400_000) {
  const folder = temporaryDirectory();
  const file = join(folder, "client-events.mdb");
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const opened: LmdbEventStore[] = [];
  t.after(async () => {
    for (const store of opened) await store.close();
    removeDirectory(folder);
  });
  /** Closes the former one. */
  const open = async () => {
    await opened.pop()?.close();
    const onWrite = (error: unknown) => {
      if (error !== undefined) errors.push(error);
    };
    const store = new LmdbEventStore({ file, maxAge, clock, onWrite });
    opened.push(store);
    return store;
  };
  return { folder, file, clock, errors, open };
}
