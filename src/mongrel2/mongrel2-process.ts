/**
 * Runs Mongrel2 as a child process, for `m2push up`: loads its configuration into a database, starts the server from it, and restarts it
 * when it exits (its own stop often ends with SIGABRT, docs/architecture/mongrel2.md 2.7). It writes below the working directory, as its
 * configuration says: logs/, run/, tmp/.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { promisify } from "node:util";
import { M2pushError } from "../errors.js";
import { backoff } from "../util/backoff.js";
import type { Cancel, Clock } from "../util/clock.js";

const run = promisify(execFile);

/** Folders that Mongrel2's configuration names; Mongrel2 does not create them. */
const SERVER_FOLDERS = ["logs", "run", "tmp"];
/** The files of one Mongrel2, relative to the working directory. */
export interface Mongrel2Files {
  /** A mongrel2.conf with one server. */
  readonly conf: string;
  readonly database: string;
  /** As `pid_file` in the conf. */
  readonly pid: string;
  /** What it prints. */
  readonly output: string;
}

/** The files of the only Mongrel2. */
export function onlyMongrel2(conf: string): Mongrel2Files {
  return { conf, database: "run/config.sqlite", pid: "run/mongrel2.pid", output: "logs/mongrel2.log" };
}

/** A server that ran longer is restarted after the first delay of the backoff. */
const STABLE_AFTER_MS = 10_000;

const FIRST_RESTART_DELAY_MS = 500;
const MAX_RESTART_DELAY_MS = 10_000;
/** From SIGTERM to SIGKILL. */
const STOP_TIMEOUT_MS = 3000;
/** Between two looks whether a killed Mongrel2 has closed its sockets. */
const CLOSE_CHECK_INTERVAL_MS = 10;

interface Mongrel2Events {
  started(pid: number): void;
  /** It exited by itself; it is restarted after `delayMs`. */
  exited(how: string, delayMs: number): void;
}

export class Mongrel2Process {
  readonly #files: Mongrel2Files;
  readonly #clock: Clock;
  readonly #events: Mongrel2Events;
  readonly #backoff = backoff(FIRST_RESTART_DELAY_MS, MAX_RESTART_DELAY_MS);
  #uuid = "";
  #child: ChildProcess | undefined;
  #cancelRestart: Cancel | undefined;
  #isStopping = false;

  constructor(files: Mongrel2Files, clock: Clock, events: Mongrel2Events) {
    this.#files = files;
    this.#clock = clock;
    this.#events = events;
  }

  /** Loads the configuration. Rejects with "config_invalid" or "unavailable", and says how to correct it. */
  async prepare(): Promise<void> {
    for (const folder of SERVER_FOLDERS) mkdirSync(folder, { recursive: true });
    this.#uuid = await load(this.#files);
  }

  /** Kills a Mongrel2 that an earlier `up` left, and starts the server. Call prepare() first. */
  async start(): Promise<void> {
    await stopLeftover(this.#files, this.#clock);
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
    const cancelKill = this.#clock.after(STOP_TIMEOUT_MS, () => child.kill("SIGKILL"));
    await ended;
    cancelKill();
  }

  #spawn(): void {
    const output = openSync(this.#files.output, "a");
    // In its own process group: Ctrl-C on the terminal must reach it through stop(), after the streams have been closed.
    const child = spawn("mongrel2", [this.#files.database, this.#uuid], {
      detached: true,
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    const startedAt = this.#clock.monotonic();
    this.#child = child;
    if (child.pid !== undefined) this.#events.started(child.pid);
    child.once("error", () => {}); // `exit` follows; or it never started, but load() has found m2sh of the same package
    child.once("exit", (code, signal) => this.#exited(signal ?? `code ${code}`, this.#clock.monotonic() - startedAt));
  }

  #exited(how: string, ranMs: number): void {
    if (this.#isStopping) return;
    if (ranMs > STABLE_AFTER_MS) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    const { output } = this.#files;
    this.#events.exited(`${how}; the end of ${output}: ${lastError(output)}`, delayMs);
    this.#cancelRestart = this.#clock.after(delayMs, () => this.#spawn());
  }
}

/** Throws "config_invalid" where Mongrel2's configuration does not exist. */
export function requireConf(conf: string): void {
  if (existsSync(conf)) return;
  throw new M2pushError(
    "config_invalid",
    `${conf} is missing: Mongrel2's configuration for 'm2push up'; m2push comes with one, in config/`,
  );
}

/** Loads a configuration into the database and returns the server's uuid. m2sh exits with 0 at every error, so its output is read. */
async function load({ conf, database }: Mongrel2Files): Promise<string> {
  requireConf(conf);
  rmSync(database, { force: true });
  const env = { ...process.env, LOGNAME: process.env.LOGNAME ?? "m2push" };
  const m2sh = (...args: string[]) => run("m2sh", args, { env }).catch(explain);
  const loaded = await m2sh("load", "-config", conf, "-db", database);
  const fault = /\[ERROR\][^\n]*\) ([^\n]+)/.exec(loaded.stdout + loaded.stderr);
  if (fault) throw new M2pushError("config_invalid", `${conf}: m2sh reports: ${fault[1]}`);
  const servers = await m2sh("servers", "-db", database);
  const uuid = /^\S+ \S+ ([A-Za-z0-9-]+)\s*$/m.exec(servers.stdout)?.[1];
  if (!uuid) throw new M2pushError("config_invalid", `${conf}: no server in it`);
  return uuid;
}

function explain(cause: NodeJS.ErrnoException): never {
  const fix = "install it with 'apt-get install mongrel2-core', or run 'm2push serve' beside a Mongrel2 elsewhere";
  const message =
    cause.code === "ENOENT" ? `Mongrel2 (m2sh) is not installed: ${fix}` : `m2sh failed: ${cause.message}`;
  throw new M2pushError("unavailable", message, { cause });
}

/**
 * Kills a Mongrel2 that an earlier, killed `up` left: it holds the port. It is ours if it runs from our database. Any other pid file is
 * out of date: another process has the number, and Mongrel2 would refuse to start.
 */
async function stopLeftover(files: Mongrel2Files, clock: Clock): Promise<void> {
  const pid = leftoverPid(files);
  if (pid !== undefined) {
    process.kill(pid, "SIGKILL");
    // The addresses are in use until its sockets are closed.
    while (existsSync(`/proc/${pid}/fd/0`))
      await new Promise<void>((resolve) => clock.after(CLOSE_CHECK_INTERVAL_MS, resolve));
  }
  rmSync(files.pid, { force: true });
}

/** The process of the pid file, if it is a Mongrel2 that runs from the database of this folder. */
export function leftoverPid({ pid: file, database: own }: Mongrel2Files): number | undefined {
  const pid = Number(readIfThere(file));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const [program, database] = readIfThere(`/proc/${pid}/cmdline`).split("\0");
  const isOurs = program?.endsWith("mongrel2") && database === own && workingFolder(pid) === process.cwd();
  return isOurs ? pid : undefined;
}

function workingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function lastError(output: string): string {
  const lines = readIfThere(output).trim().split("\n");
  return lines.findLast((line) => line.includes("[ERROR]")) ?? lines.at(-1) ?? "";
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
