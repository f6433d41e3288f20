/**
 * Mongrel2 as a child of ours, for `m2push up`: its configuration is loaded into a database, the server is started from it,
 * watched, and started again when it dies (it often ends its own stop with SIGABRT, see Debian's 1.12.2). Everything it
 * writes stands below the working directory, as its configuration names it: logs/, run/, tmp/.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { promisify } from "node:util";
import { M2pushError } from "../errors.js";
import { backoff } from "../util/backoff.js";
import type { Cancel, Clock } from "../util/clock.js";

const run = promisify(execFile);

/** Folders that Mongrel2's configuration names. */
const SERVER_FOLDERS = ["logs", "run", "tmp"];
/** Below the working directory. */
export const DATABASE_FILE = "run/config.sqlite";
const PID_FILE = "run/mongrel2.pid";
const OUTPUT_FILE = "logs/mongrel2.log";
/** One that lived this long is started again at once when it dies, milliseconds. */
const STABLE_AFTER_MS = 10_000;

export interface Mongrel2Events {
  started(pid: number): void;
  /** It ended by itself; it is started again after `wait` milliseconds. */
  exited(how: string, wait: number): void;
}

export class Mongrel2Process {
  readonly #conf: string;
  readonly #clock: Clock;
  readonly #events: Mongrel2Events;
  readonly #backoff = backoff(500, 10_000);
  #uuid = "";
  #child: ChildProcess | undefined;
  #cancelRestart: Cancel | undefined;
  #isStopping = false;

  /** `conf`: path of a mongrel2.conf with one server. */
  constructor(conf: string, clock: Clock, events: Mongrel2Events) {
    this.#conf = conf;
    this.#clock = clock;
    this.#events = events;
  }

  /** Loads the configuration; rejects with what to do where that is not possible. */
  async prepare(): Promise<void> {
    for (const folder of SERVER_FOLDERS) mkdirSync(folder, { recursive: true });
    this.#uuid = await load(this.#conf);
  }

  /** Ends what an earlier `up` has left, and starts the server; after prepare(). */
  async start(): Promise<void> {
    await stopLeftover(this.#clock);
    this.#spawn();
  }

  /** Stops it, and resolves when it has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelRestart?.();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const harder = this.#clock.after(3000, () => child.kill("SIGKILL"));
    await ended;
    harder();
  }

  #spawn(): void {
    const output = openSync(OUTPUT_FILE, "a");
    // A group of its own: Ctrl-C on the terminal must reach it through stop(), after the streams have been closed.
    const child = spawn("mongrel2", [DATABASE_FILE, this.#uuid], { detached: true, stdio: ["ignore", output, output] });
    closeSync(output);
    const started = this.#clock.monotonic();
    this.#child = child;
    if (child.pid !== undefined) this.#events.started(child.pid);
    child.once("error", () => {}); // followed by exit, or never started: load() has found m2sh, its twin
    child.once("exit", (code, signal) => this.#exited(signal ?? `code ${code}`, this.#clock.monotonic() - started));
  }

  #exited(how: string, lived: number): void {
    if (this.#isStopping) return;
    if (lived > STABLE_AFTER_MS) this.#backoff.reset();
    const wait = this.#backoff.next();
    this.#events.exited(`${how}; the end of ${OUTPUT_FILE}: ${lastError()}`, wait);
    this.#cancelRestart = this.#clock.after(wait, () => this.#spawn());
  }
}

/** Loads a configuration into the database and returns the server's uuid. m2sh exits 0 at every error: its words count. */
async function load(conf: string): Promise<string> {
  if (!existsSync(conf))
    throw new M2pushError(
      "config_invalid",
      `${conf} is missing: Mongrel2's configuration for 'm2push up'; m2push comes with one, in config/`,
    );
  rmSync(DATABASE_FILE, { force: true });
  const env = { ...process.env, LOGNAME: process.env.LOGNAME ?? "m2push" };
  const m2sh = (...args: string[]) => run("m2sh", args, { env }).catch(explain);
  const loaded = await m2sh("load", "-config", conf, "-db", DATABASE_FILE);
  const fault = /\[ERROR\][^\n]*\) ([^\n]+)/.exec(loaded.stdout + loaded.stderr);
  if (fault) throw new M2pushError("config_invalid", `${conf}: m2sh says: ${fault[1]}`);
  const servers = await m2sh("servers", "-db", DATABASE_FILE);
  const uuid = /^\S+ \S+ ([A-Za-z0-9-]+)\s*$/m.exec(servers.stdout)?.[1];
  if (!uuid) throw new M2pushError("config_invalid", `${conf}: no server in it`);
  return uuid;
}

function explain(cause: NodeJS.ErrnoException): never {
  const mend = "install it with 'apt-get install mongrel2-core', or run 'm2push serve' beside a Mongrel2 elsewhere";
  const message =
    cause.code === "ENOENT" ? `Mongrel2 (m2sh) is not installed: ${mend}` : `m2sh failed: ${cause.message}`;
  throw new M2pushError("unavailable", message, { cause });
}

/**
 * A Mongrel2 that an earlier `up` left behind (it was killed) holds the port: it is ours if it runs from our database. A pid file
 * of anything else is stale: the number is another process's by now, and Mongrel2 would refuse to start because of it.
 */
async function stopLeftover(clock: Clock): Promise<void> {
  const pid = leftoverPid();
  if (pid !== undefined) {
    process.kill(pid, "SIGKILL");
    // Until its sockets are closed the addresses are taken.
    while (existsSync(`/proc/${pid}/fd/0`)) await new Promise<void>((resolve) => clock.after(10, resolve));
  }
  rmSync(PID_FILE, { force: true });
}

/** The Mongrel2 of the pid file, where it runs from the database of this folder. */
export function leftoverPid(): number | undefined {
  const pid = Number(readIfThere(PID_FILE));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const [program, database] = readIfThere(`/proc/${pid}/cmdline`).split("\0");
  const isOurs = program?.endsWith("mongrel2") && database === DATABASE_FILE && workingFolder(pid) === process.cwd();
  return isOurs ? pid : undefined;
}

function workingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function lastError(): string {
  const lines = readIfThere(OUTPUT_FILE).trim().split("\n");
  return lines.findLast((line) => line.includes("[ERROR]")) ?? lines.at(-1) ?? "";
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
