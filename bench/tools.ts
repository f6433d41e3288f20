/** The load client, the publisher and the baseline handlers: C programs, compiled when a measurement first needs them. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { PROJECT } from "../test/support/processes.js";

const SOURCES = join(PROJECT, "bench/tools");
const BUILT = join(PROJECT, "build/tools");
/** The load client has a core of its own; what is measured shares the other. */
export const LOAD_CORE = cpus().length > 1 ? "1" : "0";
export const MEASURED_CORE = "0";

/** What the load client prints; see the head of sseload.c. */
export interface Load {
  readonly clients: number;
  readonly alive: number;
  /** Of those that never read. */
  readonly slow_alive: number;
  readonly connect_s: number;
  readonly disconnects: number;
  readonly events: number;
  /** Received by the client that received least. */
  readonly min_events: number;
  /** From the first event that was counted to the last, seconds. */
  readonly active_s: number;
  readonly deliveries_per_s: number;
  readonly lat_ms: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly missing: number;
  readonly dup: number;
  readonly out_of_order: number;
}

/** The path of a tool, compiled if it is older than its source. */
export function tool(name: "sseload" | "ssepub" | "handler"): string {
  const [source, program] = [join(SOURCES, `${name}.c`), join(BUILT, name)];
  mkdirSync(BUILT, { recursive: true });
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    execFileSync("gcc", ["-O2", "-o", program, source, "-lzmq"], { stdio: "inherit" });
  }
  return program;
}

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  /** Seconds to listen after all have connected; ends early after `quiet` seconds without an event. */
  readonly seconds: number;
  /** Connects per second. */
  readonly rate?: number;
  readonly path?: string;
  /** Clients that never read. */
  readonly frozen?: number;
  /** Tells loads apart that run at the same time. */
  readonly name?: string;
  /** Absent = 2. */
  readonly quiet?: number;
}

/** Opens clients, runs `during` when all are open, and resolves with what they saw. */
export async function load(options: LoadOptions, during: () => Promise<unknown> = async () => {}): Promise<Load> {
  const ready = join(BUILT, `ready-${process.pid}-${options.name ?? ""}`);
  rmSync(ready, { force: true });
  const { port, clients, seconds, rate = 2000, path = "/esupdates", frozen = 0 } = options;
  const flags = {
    addr: `127.0.0.1:${port}`,
    path,
    clients,
    rate,
    duration: seconds,
    ready,
    quiet: options.quiet ?? 2,
    slow: frozen,
  };
  const running = output("taskset", [
    "-c",
    LOAD_CORE,
    tool("sseload"),
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]),
  ]);
  while (!existsSync(ready)) await Promise.race([pause(20), running]);
  await pause(200);
  await during();
  return JSON.parse(await running);
}

/** Publishes events through ZeroMQ: `rate` a second for some seconds, or a burst of so many at once. */
export function publish(spec: string, { rate = 0, seconds = 1, burst = 0, first = 0, bytes = 100 }): Promise<string> {
  const args = ["zmq-raw", spec, `${rate}`, `${bytes}`, `${seconds}`, ...(burst > 0 ? [`${burst}`] : [])];
  return output("env", [`SEQ=${first}`, "taskset", "-c", LOAD_CORE, tool("ssepub"), ...args]);
}

/** Moves a running process to a core. */
export function pin(pid: number, core: string): void {
  execFileSync("taskset", ["-a", "-p", "-c", core, `${pid}`], { stdio: "ignore" });
}

/** CPU seconds a process has used so far (proc(5): utime and stime, in ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory, megabytes. */
export function residentMegabytes(pid: number): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", `${pid}`], { encoding: "utf8" })) / 1024;
}

function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (some) => {
      text += some;
    });
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ${args[2]}: exit ${code}`)),
    );
  });
}
