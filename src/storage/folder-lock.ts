/**
 * Locks a data folder for one daemon. The lock is a Unix socket in the folder, `lock`: the process that listens on it owns the folder,
 * across containers as well. The folder is 0700, so that no other user can take the name. A socket that refuses connections is stale.
 * A pid file beside it names the process that receives SIGTERM on a takeover.
 *
 * Two processes must not both replace a stale socket, so each first listens on a socket with a unique name (`lock.<random>`). A process
 * that finds another answering candidate withdraws; of two, the later one always finds the earlier. A process that finds none renames
 * its socket to `lock`.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { M2pushError, messageOf } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { makePrivateFolder, PRIVATE_MODE, privately } from "../util/private-files.js";

const LOCK_NAME = "lock";
const CANDIDATE_NAME = /^lock\.[0-9a-f]{16}$/;
const PID_FILE = "daemon.pid";
/** Pause between two attempts to lock the folder of a daemon that is stopping. */
const RETRY_INTERVAL_MS = 25;
/** How long processes that start at the same moment may withdraw for each other. */
const ELECTION_TIMEOUT_MS = 2000;
/** The fix for a daemon that finds another one. */
const DAEMON_FIX = "stop it, start this one with --takeover, or give this one another [history] path";

export interface FolderLock {
  /** What an operator should know; absent = nothing. */
  readonly warning?: string;
  release(): Promise<void>;
}

/** "candidate": only processes that start at this moment contend for the lock. */
type Attempt = FolderLock | "held" | "candidate";

/**
 * Locks a folder, which is created if it does not exist. When another process has it, rejects with "storage_unusable", whose message
 * ends with `fix`; with a `timeoutMs` above 0 it first sends SIGTERM to the process and waits for it that long.
 */
export async function lockFolder(
  folder: string,
  clock: Clock,
  timeoutMs: number,
  fix = DAEMON_FIX,
): Promise<FolderLock> {
  makeFolder(folder);
  const began = clock.monotonic();
  for (let hasSignalled = false; ; ) {
    const attempt = await tryLock(folder);
    if (typeof attempt === "object") return attempt;
    const limit = attempt === "held" ? timeoutMs : Math.max(timeoutMs, ELECTION_TIMEOUT_MS);
    if (clock.monotonic() - began >= limit) throw folderInUse(folder, fix);
    if (attempt === "held" && !hasSignalled) requestStop(holderPid(folder));
    hasSignalled ||= attempt === "held";
    // Random, so that two candidates do not withdraw for each other forever.
    await new Promise<void>((resolve) => clock.after(RETRY_INTERVAL_MS * (0.5 + Math.random()), resolve));
  }
}

/** The error that prevents writing to a folder, which is created if it does not exist; undefined = it is writable. */
export function checkFolder(folder: string): unknown {
  try {
    makePrivateFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return error;
  }
}

function makeFolder(path: string): void {
  try {
    makePrivateFolder(path);
  } catch (cause) {
    const why = messageOf(cause);
    const fix = "make it writable for this user, or set [history] path to a folder that is";
    throw new M2pushError("storage_unusable", `the folder ${path} cannot be used: ${why}; fix: ${fix}`, { cause });
  }
}

/** Addresses the sockets through a descriptor of the folder, because a socket path has at most 108 bytes (unix(7)). */
async function tryLock(folder: string): Promise<Attempt> {
  const directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const at = (name: string) => `/proc/self/fd/${directory}/${name}`;
  const name = `${LOCK_NAME}.${randomBytes(8).toString("hex")}`;
  const server = createServer((socket) => socket.destroy());
  const withdraw = async () => {
    rmSync(at(name), { force: true });
    await closeLock(server, directory);
  };
  try {
    // Listens under a hidden name first, so that every visible candidate answers.
    privately(() => server.listen(at(`.${name}`)));
    await once(server, "listening");
    chmodSync(at(`.${name}`), PRIVATE_MODE);
    renameSync(at(`.${name}`), at(name));
    const contender = await findContender(at, name);
    if (contender !== undefined) {
      await withdraw();
      return contender;
    }
    renameSync(at(name), at(LOCK_NAME));
  } catch (cause) {
    await withdraw();
    const why = messageOf(cause);
    throw new M2pushError(
      "storage_unusable",
      `${folder} cannot be locked: ${why}; fix: see that it is a folder of this user on a local disk`,
      { cause },
    );
  }
  server.unref();
  return holdLock(server, directory, folder);
}

/** Finds another process, the owner last, because a candidate may become the owner meanwhile. Removes stale sockets. */
async function findContender(at: (name: string) => string, own: string): Promise<"held" | "candidate" | undefined> {
  const candidates = readdirSync(at("")).filter((name) => CANDIDATE_NAME.test(name) && name !== own);
  let isContested = false;
  for (const name of candidates) {
    if (await isListening(at(name))) isContested = true;
    else rmSync(at(name), { force: true });
  }
  if (await isListening(at(LOCK_NAME))) return "held";
  return isContested ? "candidate" : undefined;
}

/** Only a refused connection, or a missing socket, proves that no process listens. */
async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch (cause) {
    return !["ECONNREFUSED", "ENOENT", "ENOTSOCK"].includes((cause as NodeJS.ErrnoException).code ?? "");
  } finally {
    socket.destroy();
  }
}

function holdLock(server: Server, directory: number, folder: string): FolderLock {
  const file = join(folder, PID_FILE);
  const warning = writePid(file);
  return {
    ...(warning !== undefined && { warning }),
    async release() {
      rmSync(file, { force: true });
      rmSync(`/proc/self/fd/${directory}/${LOCK_NAME}`, { force: true });
      await closeLock(server, directory);
    },
  };
}

/** The lock works without a pid file. Returns a warning for operators when it cannot be written. */
function writePid(file: string): string | undefined {
  try {
    writeFileSync(file, `${process.pid}\n`, { mode: PRIVATE_MODE });
    return undefined;
  } catch (error) {
    const why = messageOf(error);
    return `the pid file cannot be written: ${why}; --takeover will not find this process: stop it with SIGTERM instead`;
  }
}

async function closeLock(server: Server, directory: number): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  closeSync(directory);
}

function holderPid(folder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(folder, PID_FILE), "utf8"));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The process holds the lock at this moment, so the pid is its own, unless it has not written it yet. */
function requestStop(pid: number | undefined): void {
  try {
    if (pid !== undefined && pid !== process.pid) process.kill(pid, "SIGTERM");
  } catch {
    // The process has ended, or belongs to another user: the wait for the lock decides.
  }
}

function folderInUse(folder: string, fix: string): M2pushError {
  const pid = holderPid(folder);
  const who = pid === undefined ? "another m2push" : `the m2push with pid ${pid}`;
  return new M2pushError("storage_unusable", `${folder} is in use by ${who}: ${fix}`);
}
