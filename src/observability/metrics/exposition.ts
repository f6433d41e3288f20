/**
 * The figures as Prometheus reads them (text format 0.0.4). One table, one line a metric: name, help, labels, and where the
 * values are read from when somebody asks. Names end in their base unit, and in _total where they only rise; labels come
 * from closed sets (server, reason, route, status).
 */

import { Counter, Gauge, type Registry } from "prom-client";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { LabelledCounter, ServerCounters } from "./counters.js";
import type { MetricsObserver } from "./metrics-observer.js";
import type { ServerSnapshot, Snapshot } from "./snapshot.js";

/** The values of the labels, in the order of their names, and the value. */
type Row = readonly [labels: readonly string[], value: number];
type Rows = () => Iterable<Row>;
type Kind = "counter" | "gauge";
type Metric = readonly [kind: Kind, name: string, help: string, labels: readonly string[], rows: Rows];

export class Exposition {
  readonly #metrics: MetricsObserver;
  readonly #snapshot: () => Snapshot;
  #now: Snapshot;

  constructor(metrics: MetricsObserver, snapshot: () => Snapshot) {
    this.#metrics = metrics;
    this.#snapshot = snapshot;
    this.#now = snapshot();
    for (const metric of [...this.#gauges(), ...this.#counters(), ...this.#process()])
      register(metrics.registry, metric);
  }

  get contentType(): string {
    return this.#metrics.registry.contentType;
  }

  /** Everything, now. */
  async text(): Promise<string> {
    this.#now = this.#snapshot();
    for (const { name } of this.#now.servers) this.#metrics.server(name);
    return await this.#metrics.registry.metrics();
  }

  #gauges(): Metric[] {
    const servers = (value: (server: ServerSnapshot) => number) => () =>
      this.#now.servers.map((server): Row => [[server.name], value(server)]);
    const history = (value: keyof Omit<NonNullable<Snapshot["history"]>, "epoch">) => () =>
      this.#now.history ? [one(this.#now.history[value])] : [];
    const nodes = (value: (all: readonly NodeSnapshot[]) => number) =>
      this.#now.nodes ? [one(value(this.#now.nodes))] : [];
    const lagOf = (all: readonly NodeSnapshot[]) => all.find(({ self }) => self)?.lag ?? 0;
    const conditions = () => this.#now.conditions.map(({ code, subject }): Row => [[code, subject], 1]);
    const of = ["server"];
    return [
      ["gauge", "clients", "Clients connected.", of, servers(({ clients }) => clients)],
      ["gauge", "clients_behind", "Clients that read from history: catching up.", of, servers(({ behind }) => behind)],
      ["gauge", "audiences", "Sets of clients that asked for the same.", of, servers(({ audiences }) => audiences)],
      ["gauge", "queue_bodies", "Bodies that wait to be sent.", of, servers(({ waiting }) => waiting)],
      ["gauge", "server_live", "Whether a fence has passed: 1 = serving.", of, servers(({ live }) => Number(live))],
      [
        "gauge",
        "server_silent",
        "Whether Mongrel2 owes an answer for seconds.",
        of,
        servers(({ silent }) => Number(silent)),
      ],
      ["gauge", "history_events", "Publications held.", [], history("count")],
      ["gauge", "history_bytes", "Bytes of the publications held.", [], history("bytes")],
      ["gauge", "history_last_offset", "Offset of the newest publication.", [], history("last")],
      ["gauge", "history_floor_offset", "Everything after this offset is held.", [], history("floor")],
      ["gauge", "condition", "Standing problems: 1 while one lasts.", ["code", "subject"], conditions],
      ["gauge", "bus_up", "Whether publications can be taken.", [], () => [one(Number(!isRejecting(this.#now)))]],
      [
        "gauge",
        "cluster_nodes",
        "Daemons that share the stream; none when alone.",
        [],
        () => nodes((all) => all.length),
      ],
      ["gauge", "cluster_lag_events", "Events that another daemon has, and not this one.", [], () => nodes(lagOf)],
    ];
  }

  #counters(): Metric[] {
    const { counters } = this.#metrics;
    const servers = (value: (server: ServerCounters) => number) => () =>
      [...counters.servers].map(([name, server]): Row => [[name], value(server)]);
    const counts = (them: LabelledCounter) => () => [...them].map(({ values, count }): Row => [values, count]);
    const of = ["server"];
    const why = ["server", "reason"];
    return [
      ["counter", "connects_total", "Clients that subscribed.", of, servers(({ connects }) => connects)],
      ["counter", "adoptions_total", "Clients served on after a restart.", of, servers(({ adoptions }) => adoptions)],
      [
        "counter",
        "orphans_closed_total",
        "Connections closed that an earlier process left without an answer or events.",
        of,
        servers(({ orphansClosed }) => orphansClosed),
      ],
      ["counter", "disconnects_total", "Clients that are gone.", why, counts(counters.disconnects)],
      ["counter", "publications_total", "Events published.", [], () => [one(counters.publications)]],
      ["counter", "publication_bytes_total", "Their bytes.", [], () => [one(counters.publicationBytes)]],
      ["counter", "repeated_ids_total", "Events whose id was used before.", [], () => [one(counters.repeatedIds)]],
      [
        "counter",
        "publications_rejected_total",
        "Publications rejected.",
        ["source", "reason"],
        counts(counters.rejected),
      ],
      ["counter", "peers_refused_total", "ZeroMQ peers disconnected.", ["reason"], counts(counters.refusedPeers)],
      ["counter", "deliveries_total", "Events times clients sent to.", of, servers(({ deliveries }) => deliveries)],
      ["counter", "frames_total", "Messages to Mongrel2 with events.", of, servers(({ frames }) => frames)],
      ["counter", "frame_bytes_total", "Bytes of their bodies.", of, servers(({ bytes }) => bytes)],
      ["counter", "gaps_total", "Clients told that publications are gone.", why, counts(counters.gaps)],
      ["counter", "parse_errors_total", "Bad messages from Mongrel2.", why, counts(counters.parseErrors)],
      ["counter", "server_losses_total", "Times that Mongrel2 was lost.", of, servers(({ losses }) => losses)],
      ["counter", "stale_drops_total", "Messages of an earlier Mongrel2, dropped.", of, servers(({ stale }) => stale)],
      [
        "counter",
        "control_failures_total",
        "Times that the control port did not answer.",
        of,
        servers(({ controlFailures }) => controlFailures),
      ],
      ["counter", "requests_total", "Requests answered.", ["server", "route", "status"], counts(counters.answers)],
    ];
  }

  #process(): Metric[] {
    const cpu = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    };
    return [
      [
        "gauge",
        "start_time_seconds",
        "When the daemon began, since 1970.",
        [],
        () => [one(this.#now.startedAt / 1000)],
      ],
      ["gauge", "resident_memory_bytes", "Memory of the process.", [], () => [one(process.memoryUsage.rss())]],
      ["gauge", "heap_used_bytes", "Of it, JavaScript objects.", [], () => [one(process.memoryUsage().heapUsed)]],
      ["counter", "cpu_seconds_total", "Time on processors.", [], () => [one(cpu())]],
    ];
  }
}

/** With durability "memory" publications are accepted although they cannot be stored. */
function isRejecting({ conditions }: Snapshot): boolean {
  return conditions.some(
    ({ code, details }) =>
      code === "cluster_unavailable" || (code === "storage_failing" && details?.publications === "rejected"),
  );
}

const one = (value: number): Row => [[], value];

/** A metric that is emptied and filled anew at each scrape: what is not there any more is not shown any more. */
function register(registry: Registry, [kind, name, help, labelNames, rows]: Metric): void {
  const options = { name: `m2push_${name}`, help, labelNames: [...labelNames], registers: [registry] };
  const fill = (reset: () => void, add: (labels: Record<string, string>, value: number) => void) => {
    reset();
    for (const [values, value] of rows()) {
      add(Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? ""])), value);
    }
  };
  if (kind === "counter") {
    new Counter({
      ...options,
      collect() {
        fill(this.reset.bind(this), this.inc.bind(this));
      },
    });
  } else {
    new Gauge({
      ...options,
      collect() {
        fill(this.reset.bind(this), this.set.bind(this));
      },
    });
  }
}
