/** What is measured of each contestant: the rows of the comparison. */
import { setTimeout as pause } from "node:timers/promises";
import type { Running } from "./contestants/contestant.js";
import { cpuSeconds, dataSegments, type Load, load, residentMegabytes } from "./tools.js";

export interface Row {
  readonly name: string;
  /** One line on what is done. */
  readonly what: string;
  /** The figures that it is about, in this order. */
  readonly figures: readonly (keyof Figures)[];
  /** What has been served by then, not measured; absent = nothing, the contestant has just started. */
  readonly before?: (running: Running) => Promise<unknown>;
  run(running: Running): Promise<Load>;
}

/** Of one measurement. */
export interface Figures {
  /** Clients that are open at the end, of those that were opened. */
  readonly alive: number;
  readonly events: number;
  readonly missing: number;
  readonly "deliveries/s": number;
  /** TCP segments with data, of all sockets in this network namespace (`unshare -n`), while events were delivered. */
  readonly "writes/s": number;
  readonly "p50 ms": number;
  readonly "p99 ms": number;
  /** Until all are open. */
  readonly "connect s": number;
  /** Processor time for a delivery: of who writes to the sockets, and of the handler. */
  readonly "server us": number;
  readonly "handler us": number;
  /** Grown by so much for each client while they connected: both together, kilobytes. */
  readonly "kB/client": number;
}

const LIGHT = 8;
/** As many deliveries a second as in a light load, in more events: of 80 the very first, which compile what they need, are p99. */
const WARM = { clients: 20, rate: 500, seconds: 8 };
const SUSTAINED = 10;
const TOPICS = 1000;

/** After a storm, milliseconds, until all that it was has been heard of and let go of. */
const AFTERMATH = 3000;

export const ROWS: readonly Row[] = [
  {
    name: "light",
    what: "1000 clients, 10 events/s for 8 s",
    figures: ["alive", "p50 ms", "p99 ms", "server us", "handler us", "kB/client"],
    run: light,
  },
  {
    name: "light-warm",
    what: "the same, after 20 clients and 500 events/s for 8 s",
    figures: ["alive", "p50 ms", "p99 ms", "server us", "handler us", "kB/client"],
    before: ({ port, path, publish }) =>
      load({ port, path, clients: WARM.clients, seconds: WARM.seconds + 1 }, () => publish(WARM)),
    run: light,
  },
  {
    name: "sustained",
    what: "1000 clients, 1000 events/s for 10 s",
    figures: ["alive", "missing", "deliveries/s", "writes/s", "p50 ms", "p99 ms", "server us", "handler us"],
    run: ({ port, path, publish }) =>
      load({ port, path, clients: 1000, seconds: SUSTAINED + 20 }, () => publish({ rate: 1000, seconds: SUSTAINED })),
  },
  {
    name: "burst",
    what: "5000 events back-to-back to 1000 clients",
    figures: ["alive", "missing", "deliveries/s", "writes/s", "p99 ms"],
    run: ({ port, path, publish }) => load({ port, path, clients: 1000, seconds: 30 }, () => publish({ burst: 5000 })),
  },
  {
    name: "10k",
    what: "10,000 clients, 10 events/s for 8 s",
    figures: ["alive", "missing", "deliveries/s", "writes/s", "p50 ms", "p99 ms", "kB/client"],
    run: ({ port, path, publish }) =>
      load({ port, path, clients: 10_000, rate: 5000, seconds: LIGHT + 6 }, () =>
        publish({ rate: 10, seconds: LIGHT }),
      ),
  },
  {
    name: "storm",
    what: "10,000 clients connect, 500 at once",
    figures: ["alive", "connect s"],
    run: storm,
  },
  {
    name: "reconnect",
    what: "the same, of 10,000 that were there before",
    figures: ["alive", "connect s"],
    before: async (running) => {
      await storm(running);
      await pause(AFTERMATH);
    },
    run: storm,
  },
  {
    name: "unicast",
    what: "200,000 events back-to-back, each to one of 1000 clients with topics of their own",
    figures: ["alive", "missing", "deliveries/s", "writes/s"],
    run: ({ port, topicPath = "", publish }) =>
      load({ port, path: topicPath, clients: TOPICS, seconds: 30 }, () => publish({ burst: 200_000, topics: TOPICS })),
  },
];

function light({ port, path, publish }: Running): Promise<Load> {
  return load({ port, path, clients: 1000, seconds: LIGHT + 3 }, () => publish({ rate: 10, seconds: LIGHT }));
}

function storm({ port, path }: Running): Promise<Load> {
  return load({ port, path, clients: 10_000, rate: 100_000, window: 500, seconds: 1, quiet: 1 });
}

/** Runs a row, and takes the processor time and the memory of its processes. */
export async function measure(row: Row, running: Running): Promise<Figures> {
  const sum = (pids: readonly number[], of: (pid: number) => number) => pids.reduce((all, pid) => all + of(pid), 0);
  const { servers, handlers } = running;
  const memory = () => sum([...servers, ...handlers], residentMegabytes);
  await row.before?.(running);
  const before = memory();
  let [connected, server, handler, segments] = [before, 0, 0, 0];
  const publish: Running["publish"] = (publishing) => {
    connected = memory();
    [server, handler, segments] = [sum(servers, cpuSeconds), sum(handlers, cpuSeconds), dataSegments()];
    return running.publish(publishing);
  };
  const result = await row.run({ ...running, publish });
  const writes = segments === 0 ? 0 : dataSegments() - segments;
  const each = (seconds: number) => (result.events > 0 ? (seconds / result.events) * 1e6 : 0);
  return {
    alive: result.alive,
    events: result.events,
    missing: result.missing,
    "deliveries/s": result.deliveries_per_s,
    "writes/s": result.events > 0 ? Math.round((result.deliveries_per_s * writes) / result.events) : 0,
    "p50 ms": result.lat_ms.p50,
    "p99 ms": result.lat_ms.p99,
    "connect s": result.connect_s,
    "server us": each(sum(servers, cpuSeconds) - server),
    "handler us": each(sum(handlers, cpuSeconds) - handler),
    "kB/client": ((connected - before) * 1024) / result.clients,
  };
}
