/**
 * Many real connections: several Mongrel2s served by one daemon, a load client for each. `node build/bench/many.js [clients]
 * [servers]`; 50,000 over 3 take about 4 GB, and each process as many open files as a server has clients.
 */
import { startDaemon } from "../test/support/daemon.js";
import { type Mongrel2, startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { MONGREL2 } from "./contestants/contestant.js";
import { configFor } from "./contestants/m2push.js";
import { cpuSeconds, load, publish, residentMegabytes } from "./tools.js";

const [clients = 50_000, servers = 3] = process.argv.slice(2).map(Number);
const each = Math.floor(clients / servers);
const SECONDS = 10;
/** Connects to one Mongrel2 under way at once: its listen queue has room for 128, and who finds it full tries again after 1, 2, 4 ... s. */
const WINDOW = 100;

const spec = `tcp://127.0.0.1:${await freePort()}`;
const all: Mongrel2[] = [];
for (let at = 0; at < servers; at++) all.push(await startMongrel2(MONGREL2));
const daemon = startDaemon({ config: configFor(all, spec, '[log]\nlevel = "warn"\n[stream]\nheartbeat = "0"\n') });
try {
  console.table(await measure());
} finally {
  await daemon.stop();
  for (const mongrel2 of all) await mongrel2.stop();
}

async function measure(): Promise<Record<string, unknown>> {
  const memory = () => all.reduce((sum, { pid }) => sum + residentMegabytes(pid), 0);
  const [before, own] = [memory(), residentMegabytes(daemon.pid)];
  let open = 0;
  let go = () => {};
  const together = new Promise<void>((resolve) => {
    go = resolve;
  });
  const opened = () => {
    if (++open === servers) go();
    return together;
  };
  const path = { clients: each, rate: 2000, window: WINDOW, sources: 2, seconds: SECONDS + 10, quiet: 4 };
  const loads = all.map(({ port }, at) => load({ ...path, port, name: `${at}` }, opened));
  await together;
  const [grown, grew] = [memory() - before, residentMegabytes(daemon.pid) - own];
  const [theirs, ours] = [all.map(({ pid }) => cpuSeconds(pid)), cpuSeconds(daemon.pid)];
  await publish(spec, { rate: 1, seconds: SECONDS });
  const seen = await Promise.all(loads);
  const sum = (of: (it: (typeof seen)[number]) => number) => seen.reduce((total, it) => total + of(it), 0);
  const most = (of: (it: (typeof seen)[number]) => number) => Math.max(...seen.map(of));
  const used = all.reduce((total, { pid }, at) => total + cpuSeconds(pid) - (theirs[at] ?? 0), 0);
  return {
    clients: each * servers,
    servers,
    alive: sum(({ alive }) => alive),
    "s to connect": most(({ connect_s }) => connect_s),
    events: sum(({ events }) => events),
    missing: sum(({ missing }) => missing),
    "p50 ms": most(({ lat_ms }) => lat_ms.p50),
    "p99 ms": most(({ lat_ms }) => lat_ms.p99),
    "kB a client, Mongrel2": ((grown * 1024) / (each * servers)).toFixed(1),
    "kB a client, m2push": ((grew * 1024) / (each * servers)).toFixed(1),
    "s of processor, Mongrel2": used.toFixed(1),
    "s of processor, m2push": (cpuSeconds(daemon.pid) - ours).toFixed(1),
  };
}
