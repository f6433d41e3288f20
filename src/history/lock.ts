/**
 * One daemon for one folder of data. The lock is a Unix socket in Linux's abstract namespace that is named after the folder:
 * the kernel takes it away with the process, however that ends, so nothing stale is ever left. A pid file beside the data
 * only tells whom to ask.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";

const PID_FILE = "daemon.pid";
/** Between two tries to get the lock of a daemon that is stopping, milliseconds. */
const TRY_EVERY = 25;
/** What a daemon can do that finds another one there. */
const MEND = "stop it, start this one with --takeover, or give this one another [history] path";

export interface Lock {
  /** What an operator should know; absent = nothing. */
  readonly warning?: string;
  release(): Promise<void>;
}

/**
 * Takes the lock of a folder, which is made if it is not there. When another process has it: rejects with
 * "history.unusable", whose message ends with `mend`; or, with a `patience` above 0 (milliseconds), tells it to stop (SIGTERM)
 * and waits for it that long.
 */
export async function lockFolder(folder: string, clock: Clock, patience: number, mend = MEND): Promise<Lock> {
  makeFolder(folder);
  const name = `\0m2push:${createHash("sha256").update(realpathSync(folder)).digest("hex")}`;
  const end = clock.monotonic() + patience;
  for (let told = false; ; told = true) {
    const server = await listen(name);
    if (server) return hold(server, folder);
    if (clock.monotonic() >= end) throw taken(folder, mend);
    if (!told) stop(holder(folder));
    await new Promise<void>((resolve) => clock.after(TRY_EVERY, resolve));
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const mend = "make it writable for this user, or set [history] path to a folder that is";
    throw new M2pushError("history.unusable", `the folder ${path} cannot be made: ${why}; ${mend}`, { cause });
  }
}

function hold(server: Server, folder: string): Lock {
  const file = join(folder, PID_FILE);
  const warning = writePid(file);
  return {
    ...(warning !== undefined && { warning }),
    async release() {
      rmSync(file, { force: true });
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The lock holds without it. What to tell an operator where it cannot be written. */
function writePid(file: string): string | undefined {
  try {
    writeFileSync(file, `${process.pid}\n`);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `the pid file cannot be written: ${why}; --takeover will not find this process: stop it with SIGTERM instead`;
  }
}

/** A server under this name, or undefined when the name is taken. It accepts nobody, and keeps no process alive. */
function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server.unref()));
  });
}

function holder(folder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(folder, PID_FILE), "utf8"));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** It holds the lock at this moment, so the pid is its own, unless it has not written it yet. */
function stop(pid: number | undefined): void {
  try {
    if (pid !== undefined && pid !== process.pid) process.kill(pid, "SIGTERM");
  } catch {
    // Gone by now, or another user's: then the wait for the lock tells.
  }
}

function taken(folder: string, mend: string): M2pushError {
  const pid = holder(folder);
  const who = pid === undefined ? "another m2push" : `the m2push with pid ${pid}`;
  return new M2pushError("history.unusable", `${folder} is in use by ${who}: ${mend}`);
}
