/** The load client, the publisher and the baseline handler: C programs, compiled when a measurement first needs them. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Mongrel2 } from "../test/support/mongrel2.js";
import { PROJECT } from "../test/support/processes.js";

export const SOURCES = join(PROJECT, "bench/tools");
const BUILT = join(PROJECT, "build/tools");
/** The load client has a core of its own; what is measured shares the other. */
export const LOAD_CORE = cpus().length > 1 ? "1" : "0";
export const MEASURED_CORE = "0";

/** The configuration of a daemon beside Mongrel2 for a measurement: publishers at `spec`, no beacon, no admin server. `more`: further tables. */
export function daemonConfig(
  { sendSpec, recvSpec, sendIdent }: Pick<Mongrel2, "sendSpec" | "recvSpec" | "sendIdent">,
  spec: string,
  more = "",
): string {
  return `
[[mongrel2]]
send_spec = "${sendSpec}"
recv_spec = "${recvSpec}"
send_ident = "${sendIdent}"
[publish]
zmq = "${spec}"
[beacon]
interval = "0"
[admin]
listen = ""
[history]
path = "data"
${more}`;
}

/** What the load client prints; see the head of sseload.c. */
export interface Load {
  readonly clients: number;
  readonly opened: number;
  readonly alive: number;
  /** Of those that never read. */
  readonly slow_alive: number;
  readonly connect_s: number;
  readonly connect_ms_p50: number;
  readonly connect_ms_p99: number;
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
  /** Of 127.0.0.1; several are taken in turn. */
  readonly port: number | readonly number[];
  readonly clients: number;
  /** Seconds to listen after all have connected; ends early after `quiet` seconds without an event. */
  readonly seconds: number;
  /** Connects per second. */
  readonly rate?: number;
  /** Connects under way at once; absent = any number. */
  readonly window?: number;
  /** "%d" in it is the client's number. */
  readonly path?: string;
  /** The number of the first client; absent = 0. */
  readonly first?: number;
  /** Local addresses to connect from; absent = 1. */
  readonly sources?: number;
  /** Clients that never read. */
  readonly frozen?: number;
  /** Counts the bytes of streams instead of their events. */
  readonly raw?: boolean;
  /** Of each request, "Name: value". */
  readonly header?: string;
  /** Tells loads apart that run at the same time. */
  readonly name?: string;
  /** Absent = 2. */
  readonly quiet?: number;
}

/** Opens clients, runs `during` when all are open, and resolves with what they saw. */
export async function load(options: LoadOptions, during: () => Promise<unknown> = async () => {}): Promise<Load> {
  const ready = join(BUILT, `ready-${process.pid}-${options.name ?? ""}`);
  rmSync(ready, { force: true });
  const running = output("taskset", ["-c", LOAD_CORE, tool("sseload"), ...flags({ ...options, ready })]);
  while (!existsSync(ready)) await Promise.race([pause(20), running]);
  rmSync(ready);
  await pause(200);
  await during();
  return JSON.parse(await running);
}

function flags(options: LoadOptions & { readonly ready: string }): string[] {
  const { port, clients, seconds, rate = 2000, path = "/esupdates", frozen = 0, quiet = 2 } = options;
  const { window = 0, first = 0, sources = 1, raw = false, header, ready } = options;
  const addr = [port].flat().map((it) => `127.0.0.1:${it}`);
  const given = {
    ...{ addr, path, clients, rate, duration: seconds, quiet, slow: frozen, window, first, sources, ready },
    raw: Number(raw),
    ...(header !== undefined && { header }),
  };
  return Object.entries(given).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

export interface Publishing {
  /** Events per second, for `seconds` seconds. */
  readonly rate?: number;
  readonly seconds?: number;
  /** Number of events that are sent at once instead. */
  readonly burst?: number;
  /** How many were published before: events are numbered. */
  readonly first?: number;
  /** Of one event. */
  readonly bytes?: number;
  /** Number of topics c0, c1 ... that receive the events in turn. */
  readonly topics?: number;
}

/** Publishes through ZeroMQ. */
export function publish(spec: string, publishing: Publishing): Promise<string> {
  return publishVia("zmq-raw", spec, publishing);
}

/** `mode` and `target` as ssepub.c has them; "%d" in `topic` is the number of the topic. */
export function publishVia(mode: string, target: string, publishing: Publishing, topic?: string): Promise<string> {
  const { rate = 0, seconds = 1, burst = 0, first = 0, bytes = 100, topics = 0 } = publishing;
  const args = [mode, target, `${rate}`, `${bytes}`, `${seconds}`, ...(burst > 0 ? [`${burst}`] : [])];
  const name = topic ?? (topics > 0 ? "c%d" : undefined);
  const env = [`SEQ=${first}`, ...(topics > 0 ? [`TOPICS=${topics}`] : []), ...(name ? [`TOPIC=${name}`] : [])];
  return output("env", [...env, "taskset", "-c", LOAD_CORE, tool("ssepub"), ...args]);
}

/** Moves a running process, and every thread it has, to a core. */
export function pin(pid: number, core: string): void {
  execFileSync("taskset", ["-a", "-p", "-c", core, `${pid}`], { stdio: "ignore" });
}

/** CPU seconds a process has used so far (proc(5): utime and stime, in ticks of 10 ms); 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  const text = contents(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** Resident memory, megabytes; 0 when it is gone. */
export function residentMegabytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(contents(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

/** TCP segments with data that this network namespace has sent; on the loopback one write of up to 64 kB is one segment. */
export function dataSegments(): number {
  const [names = "", values = ""] = contents("/proc/net/netstat").split("\n");
  const at = names.split(" ").indexOf("TCPOrigDataSent");
  return Number(values.split(" ")[at] ?? 0);
}

/** A process and all that came from it. */
export function familyOf(pid: number): number[] {
  const children = contents(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

function contents(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** What a command prints; rejects when it fails. */
export function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (some) => {
      text += some;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ${args.join(" ")}: exit ${code}`));
    });
  });
}
