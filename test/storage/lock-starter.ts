/**
 * Takes the lock of a folder some times beside others that do the same, and at the end leaves it behind as a killed process does. Exit
 * code 1 when somebody else had the folder at the same time.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { M2pushError } from "../../src/errors.js";
import { type FolderLock, lockFolder } from "../../src/storage/folder-lock.js";
import { systemClock } from "../../src/util/clock.js";

const TIMES = 5;
const [, , folder = ""] = process.argv;
const held = join(folder, "held");

for (let time = 1; ; time++) {
  const lock = await take();
  writeFileSync(held, "", { flag: "wx" });
  for (let turns = 0; turns < 20; turns++) await turn();
  rmSync(held);
  if (time === TIMES) process.exit(0);
  await lock.release();
}

async function take(): Promise<FolderLock> {
  for (;;) {
    try {
      return await lockFolder(folder, systemClock, 0);
    } catch (error) {
      if (!(error instanceof M2pushError) || !error.message.includes("in use")) throw error;
    }
  }
}
