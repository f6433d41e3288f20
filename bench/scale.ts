/**
 * How one daemon stands 500,000 clients: against Mongrel2s that only count (fleet.ts), since what is measured is the daemon, and
 * connections would take 40 GB. `node build/bench/scale.js [clients] [servers]`.
 *
 *   connect   all ask at once: clients a second, and memory for each
 *   event     one event to everybody: frames, the time to the last one
 *   kill -9   and another daemon on the same data: until it has adopted everybody
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Status } from "../src/observability/admin/status.js";
import { type Daemon, startDaemon } from "../test/support/daemon.js";
import { freePort } from "../test/support/ports.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "../test/support/processes.js";
import { Publisher } from "../test/support/publisher.js";
import type { FleetOrder, FleetReport, FleetServer } from "./fleet.js";
import { cpuSeconds, LOAD_CORE, MEASURED_CORE, pin, residentMegabytes } from "./tools.js";

const [clients = 500_000, servers = 8] = process.argv.slice(2).map(Number);
const each = Math.floor(clients / servers);
const EVENTS = 20;
/** Nothing here takes longer, milliseconds. */
const PHASE_TIMEOUT_MS = 240_000;

const now = () => Number(process.hrtime.bigint()) / 1e6;
const fleet = fork(join(PROJECT, "build/bench/fleet.js"), [`${servers}`, `${each}`]);
const report = async () => (await once(fleet, "message"))[0] as FleetReport;
const order = (what: FleetOrder) => fleet.send(what);

const up = await report();
if (up.kind !== "up") throw new Error("the fleet did not start");
pin(fleet.pid ?? 0, LOAD_CORE);
const spec = `tcp://127.0.0.1:${await freePort()}`;
const admin = `127.0.0.1:${await freePort()}`;
const dir = temporaryDirectory();
const config = configFor(up.servers);
let daemon = await start();
const publisher = new Publisher(spec);
const result: Record<string, unknown> = { clients: each * servers, servers };
try {
  for (const phase of [connect, events, restart]) {
    await phase();
    console.error(JSON.stringify(result));
  }
} finally {
  publisher.close();
  order("stop");
  await daemon.stop();
  removeDirectory(dir);
}
console.table(result);

async function start(): Promise<Daemon> {
  const started = startDaemon({ config, dir });
  pin(started.pid, MEASURED_CORE);
  await until(({ ready }) => ready);
  return started;
}

/** Requests the status of the daemon until `look` accepts it. (A line of the log for each client would measure who reads the log.) */
async function until(look: (status: Status) => boolean): Promise<void> {
  for (const end = now() + PHASE_TIMEOUT_MS; now() < end; await pause(20)) {
    const status = await fetch(`http://${admin}/status`).catch(() => undefined);
    if (status && look((await status.json()) as Status)) return;
  }
  throw new Error("the daemon does not come so far");
}

async function connect(): Promise<void> {
  const [memory, cpu, began] = [residentMegabytes(daemon.pid), cpuSeconds(daemon.pid), now()];
  order("connect");
  await report();
  const seconds = (now() - began) / 1000;
  Object.assign(result, {
    "connects/s": Math.round((each * servers) / seconds),
    "us of processor a connect": (((cpuSeconds(daemon.pid) - cpu) * 1e6) / (each * servers)).toFixed(1),
    "MB before": memory.toFixed(0),
    "MB after": residentMegabytes(daemon.pid).toFixed(0),
    "bytes a client": Math.round(((residentMegabytes(daemon.pid) - memory) * 1024 * 1024) / (each * servers)),
  });
}

async function events(): Promise<void> {
  const [firsts, lasts, cpu]: [number[], number[], number[]] = [[], [], []];
  let frames = 0;
  for (let event = 0; event < EVENTS; event++) {
    order("count");
    await pause(200); // nothing else is under way
    const [used, sent] = [cpuSeconds(daemon.pid), now()];
    void publisher.send([`data: ${"x".repeat(90)}\n\n`]);
    const seen = await report();
    if (seen.kind !== "written") throw new Error("the fleet started again");
    ({ frames } = seen);
    firsts.push(seen.first - sent);
    lasts.push(seen.at - sent);
    cpu.push((cpuSeconds(daemon.pid) - used) * 1000);
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
  Object.assign(result, {
    "frames of an event": frames,
    "ms to the first frame": median(firsts).toFixed(1),
    "ms to the last frame": median(lasts).toFixed(1),
    "frames/s": Math.round(frames / ((median(lasts) - median(firsts)) / 1000)),
    "ms of processor an event": (cpu.reduce((sum, it) => sum + it, 0) / EVENTS).toFixed(1),
    "MB after events": residentMegabytes(daemon.pid).toFixed(0),
  });
}

async function restart(): Promise<void> {
  await daemon.kill9();
  const began = now();
  daemon = await start();
  const live = now();
  await until((status) => status.clients === each * servers && status.catchingUp === 0);
  Object.assign(result, {
    "s to live again": ((live - began) / 1000).toFixed(2),
    "s until all are served on": ((now() - began) / 1000).toFixed(2),
    "MB of the new one": residentMegabytes(daemon.pid).toFixed(0),
  });
}

function configFor(all: readonly FleetServer[]): string {
  const tables = all.map(
    ({ sendSpec, recvSpec, control, sendIdent }) => `[[mongrel2]]
name = "${sendIdent}"
send_spec = "${sendSpec}"
recv_spec = "${recvSpec}"
send_ident = "${sendIdent}"
control = "${control}"
`,
  );
  return `${tables.join("")}[publish]
zmq = "${spec}"
[beacon]
interval = "0"
[stream]
heartbeat = "0"
[admin]
listen = "${admin}"
[history]
path = "data"
[log]
level = "warn"
`;
}
