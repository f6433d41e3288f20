/**
 * Delivery through one real Mongrel2: burst, sustained rate, light load beside a bare C handler, 10,000 clients.
 * Mongrel2 and the handler share one core, the load client and the publisher the other. `npm run bench -- [rounds]`.
 */
import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { cpuSeconds, type Load, load, MEASURED_CORE, pin, publish, residentMegabytes, tool } from "./tools.js";

const rounds = Number(process.argv[2] ?? 3);
const settings = { "superpoll.max_fd": 32768, "superpoll.hot_dividend": 2, "disable.access_logging": 1 };
const mongrel2 = await startMongrel2({ settings });
pin(mongrel2.pid, MEASURED_CORE);
const { port } = mongrel2;
const spec = `tcp://127.0.0.1:${await freePort()}`;
const rows: Record<string, unknown>[] = [];

const config = `
[[mongrel2]]
send_spec = "${mongrel2.sendSpec}"
recv_spec = "${mongrel2.recvSpec}"
send_ident = "${mongrel2.sendIdent}"
[publish]
zmq = "${spec}"
[beacon]
interval = "0"
[admin]
listen = ""
[history]
path = "data"
`;

/** Runs one measurement against a fresh daemon. */
async function withDaemon(name: string, measure: () => Promise<Load>): Promise<void> {
  const daemon = startDaemon({ config });
  await daemon.logged(({ event }) => event === "live", "Mongrel2 to answer");
  pin(daemon.pid, MEASURED_CORE);
  const before = [cpuSeconds(daemon.pid), cpuSeconds(mongrel2.pid)];
  const result = await measure();
  const cpu = [cpuSeconds(daemon.pid) - (before[0] ?? 0), cpuSeconds(mongrel2.pid) - (before[1] ?? 0)];
  report(name, result, {
    "cpu s daemon/mongrel2": cpu.map((used) => used.toFixed(1)).join("/"),
    "rss MB": Math.round(residentMegabytes(daemon.pid)),
  });
  await daemon.stop();
}

/** The same load on the bare C handler, which makes its events itself. */
async function withHandler(name: string, rate: number, seconds: number): Promise<void> {
  const args = ["-c", MEASURED_CORE, tool("handler"), mongrel2.sendSpec, mongrel2.recvSpec, `${rate}`, "100", "rate"];
  const handler = spawn("taskset", args, { stdio: "inherit" });
  await pause(200);
  report(name, await load({ port, clients: 1000, seconds }), {});
  handler.kill("SIGKILL");
}

function report(name: string, result: Load, more: Record<string, unknown>): void {
  const { clients, alive, events, missing, dup, out_of_order, lat_ms, connect_s, deliveries_per_s } = result;
  const row = {
    name,
    clients,
    alive,
    events,
    missing,
    dup,
    out_of_order,
    "deliveries/s": Math.round(deliveries_per_s),
  };
  rows.push({ ...row, "p50 ms": lat_ms.p50, "p99 ms": lat_ms.p99, "connect s": connect_s, ...more });
}

try {
  for (let round = 1; round <= rounds; round++) {
    await withDaemon("burst of 2000", () =>
      load({ port, clients: 1000, seconds: 20 }, () => publish(spec, { burst: 2000 })),
    );
    await withDaemon("burst of 5000", () =>
      load({ port, clients: 1000, seconds: 20 }, () => publish(spec, { burst: 5000 })),
    );
    await withDaemon("1000/s for 10 s", () =>
      load({ port, clients: 1000, seconds: 14 }, () => publish(spec, { rate: 1000, seconds: 10 })),
    );
    await withDaemon("10/s for 8 s", () =>
      load({ port, clients: 1000, seconds: 11 }, () => publish(spec, { rate: 10, seconds: 8 })),
    );
    await withHandler("10/s, C handler", 10, 8);
    await withDaemon("10,000 clients, 10/s", () =>
      load({ port, clients: 10_000, seconds: 14, rate: 5000 }, () => publish(spec, { rate: 10, seconds: 8 })),
    );
  }
} finally {
  await mongrel2.stop();
}
console.table(rows);
