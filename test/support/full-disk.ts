/**
 * A data folder that runs out of room, for any user. Root mounts a small tmpfs: its writes fail with ENOSPC. Every user may limit
 * the size of the files that a process of his writes: its writes fail with EFBIG. To lmdb both are a write that failed.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Daemon } from "./daemon.js";
import { removeDirectory, temporaryDirectory } from "./processes.js";

/** What the history can take before it is full, bytes. */
const ROOM_BYTES = 600_000;
const DISK_BYTES = 1_048_576;

export interface FullDisk {
  readonly name: string;
  /** Makes a folder that a daemon can have its data in. */
  folder(test: Pick<TestContext, "after">): string;
  /** Of a daemon that serves from this folder: from now on there is room for ROOM_BYTES, no more. */
  limit(daemon: Daemon, folder: string): void;
}

const tmpfs: FullDisk = {
  name: "ENOSPC",
  folder(test) {
    const folder = temporaryDirectory();
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES},mode=777`, "tmpfs", folder]);
    test.after(() => {
      execFileSync("umount", ["-l", folder]);
      removeDirectory(folder);
    });
    return folder;
  },
  limit() {}, // the disk itself is as small as that
};

const sizeLimit: FullDisk = {
  name: "EFBIG",
  folder(test) {
    const folder = temporaryDirectory();
    test.after(() => removeDirectory(folder));
    return folder;
  },
  limit(daemon, folder) {
    const { size } = statSync(join(folder, "history.mdb"));
    execFileSync("prlimit", ["--pid", `${daemon.pid}`, `--fsize=${size + ROOM_BYTES}:`]);
  },
};

/** Every way in which this user can fill a disk. */
export const fullDisks: readonly FullDisk[] = process.getuid?.() === 0 ? [sizeLimit, tmpfs] : [sizeLimit];
