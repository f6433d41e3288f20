/**
 * Readers that do not read, and more than Mongrel2 can write: with its flow control (download.flow_control 1) and without.
 * Of 1000 clients 100 are frozen; what do the others notice, what does it cost, who survives?
 * `node build/bench/slow.js [seconds]`.
 */
import { type Daemon, startDaemon } from "../test/support/daemon.js";
import { type Mongrel2, startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { cpuSeconds, daemonConfig, type Load, load, MEASURED_CORE, pin, publish, residentMegabytes } from "./tools.js";

const seconds = Number(process.argv[2] ?? 30);
const CLIENTS = 1000;
const rows: Record<string, unknown>[] = [];

interface Work {
  readonly what: string;
  readonly frozen?: number;
  readonly rate: number;
  readonly bytes?: number;
}

const WORKS: readonly Work[] = [
  { what: "all read, 100/s", rate: 100 },
  { what: "100 are frozen, 100/s", rate: 100, frozen: 100 },
  { what: "overload: 1000/s of 2 kB", rate: 1000, bytes: 2000 },
];

async function measure(flowControl: number, work: Work): Promise<void> {
  const mongrel2 = await startMongrel2({ settings: { "download.flow_control": flowControl } });
  pin(mongrel2.pid, MEASURED_CORE);
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const daemon = startDaemon({ config: daemonConfig(mongrel2, spec) });
  try {
    await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer");
    pin(daemon.pid, MEASURED_CORE);
    rows.push({ "flow control": flowControl, ...(await run(mongrel2, daemon, spec, work)) });
  } finally {
    await daemon.stop();
    await mongrel2.stop();
  }
}

async function run({ port, pid }: Mongrel2, daemon: Daemon, spec: string, { what, rate, frozen = 0, bytes }: Work) {
  let before = [0, 0];
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentMegabytes(daemon.pid));
  }, 500);
  let start = 0;
  const result = await load({ port, clients: CLIENTS, seconds: seconds + 3, frozen }, async () => {
    before = [cpuSeconds(daemon.pid), cpuSeconds(pid)];
    start = residentMegabytes(daemon.pid);
    await publish(spec, { rate, seconds, ...(bytes !== undefined && { bytes }) });
  });
  clearInterval(watch);
  const cpu = [cpuSeconds(daemon.pid) - (before[0] ?? 0), cpuSeconds(pid) - (before[1] ?? 0)];
  return row(what, result, cpu, most - start);
}

function row(what: string, { alive, slow_alive, missing, dup, events, lat_ms }: Load, cpu: number[], grown: number) {
  return {
    what,
    "readers alive": alive,
    "frozen alive": slow_alive,
    deliveries: events,
    missing,
    dup,
    "p50 ms": lat_ms.p50,
    "p99 ms": lat_ms.p99,
    "cpu s m2push/mongrel2": cpu.map((used) => used.toFixed(1)).join("/"),
    "grown by MB": Math.round(grown),
  };
}

for (const flowControl of [0, 1]) for (const work of WORKS) await measure(flowControl, work);
console.table(rows);
