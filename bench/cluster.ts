/**
 * What NATS adds: two machines (Mongrel2 and daemon each) that share a stream, half of the events published at each, against
 * the same two machines alone, all events published at each. All of it on one core, so that what is delivered costs the same
 * in both. `node build/bench/cluster.js [seconds] [rounds]`. Rounds are interleaved; three of 10 s take 5 minutes.
 */
import type { TestContext } from "node:test";
import { type Daemon, startDaemon } from "../test/support/daemon.js";
import { type Mongrel2, startMongrel2 } from "../test/support/mongrel2.js";
import { startNats } from "../test/support/nats.js";
import { freePort } from "../test/support/ports.js";
import { MONGREL2, missingPrograms } from "./contestants/contestant.js";
import { configFor } from "./contestants/m2push.js";
import { type Load, load, MEASURED_CORE, pin, publish } from "./tools.js";

const [seconds, rounds] = [Number(process.argv[2] ?? 10), Number(process.argv[3] ?? 3)];
/** Clients at each machine, and events a second that each client gets. */
const WORKS = [
  { clients: 50, rate: 100 },
  { clients: 500, rate: 100 },
  { clients: 500, rate: 200 },
];
type Work = (typeof WORKS)[number];

interface Machine {
  readonly mongrel2: Mongrel2;
  readonly daemon: Daemon;
  readonly spec: string;
}

type Ends = Pick<TestContext, "after">;

async function startMachine(ends: Ends, more = ""): Promise<Machine> {
  const mongrel2 = await startMongrel2(MONGREL2);
  ends.after(() => mongrel2.stop());
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const daemon = startDaemon({ config: configFor([mongrel2], spec, more) });
  ends.after(() => daemon.stop());
  await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer");
  for (const { pid } of [mongrel2, daemon]) pin(pid, MEASURED_CORE);
  return { mongrel2, daemon, spec };
}

/** What each machine's clients see; `rate` is what is published at each. */
async function run(machines: readonly Machine[], { clients, rate }: Work): Promise<Load[]> {
  const at = async ({ mongrel2 }: Machine, name: number) => {
    let opened = () => {};
    const open = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const seen = load({ port: mongrel2.port, clients, seconds: seconds + 3, name: `${name}` }, async () => opened());
    await open;
    return { seen };
  };
  const loads = await Promise.all(machines.map(at));
  await Promise.all(machines.map(({ spec }) => publish(spec, { rate, seconds })));
  return Promise.all(loads.map(({ seen }) => seen));
}

async function measure(
  bus: "alone" | "NATS",
  { clients, rate }: Work,
  config: (ends: Ends) => Promise<string> | string,
) {
  const stops: (() => unknown)[] = [];
  const ends: Ends = { after: (stop) => void stops.push(stop as () => unknown) };
  try {
    const more = await config(ends);
    const machines = [await startMachine(ends, more), await startMachine(ends, more)];
    const seen = await run(machines, { clients, rate: bus === "NATS" ? rate / machines.length : rate });
    const worst = (of: (load: Load) => number) => Math.max(...seen.map(of));
    const sum = (of: (load: Load) => number) => seen.reduce((all, it) => all + of(it), 0);
    rows.push({
      "clients at each": clients,
      "events/s": rate,
      bus,
      alive: sum(({ alive }) => alive),
      events: sum(({ events }) => events),
      "p50 ms": worst(({ lat_ms }) => lat_ms.p50),
      "p99 ms": worst(({ lat_ms }) => lat_ms.p99),
    });
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

const rows: Record<string, unknown>[] = [];
const missing = missingPrograms("mongrel2", "m2sh", "nats-server");
if (missing !== undefined) throw new Error(missing);
for (let round = 0; round < rounds; round++) {
  for (const work of WORKS) {
    await measure("alone", work, () => "");
    await measure("NATS", work, async (ends) => `[cluster]\nnats = ["${(await startNats(ends)).url}"]\n`);
  }
}
console.table(rows);
