/**
 * The metrics as Prometheus reads them (text format 0.0.4). To add one, add a row to a table below: kind, name without "m2push_", help,
 * labels, and a function that reads the values at each scrape. Long because it is the table of all metrics. A counter needs a member of Counters too, which MetricsObserver raises.
 * Names are public: they end in their base unit, and in _total where they only rise. Label values come from closed sets.
 */

import type { WebhookStatus } from "../../client-events/webhooks.js";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { LabelledCounter, ServerCounters } from "./counters.js";
import { type Metric, one, type Row, register } from "./metric.js";
import type { MetricsObserver } from "./metrics-observer.js";
import { processMetrics } from "./process-metrics.js";
import type { CompressionSnapshot, LimitUse, ServerSnapshot, Snapshot } from "./snapshot.js";

export interface ExpositionOptions {
  readonly metrics: MetricsObserver;
  readonly snapshot: () => Snapshot;
  /** Since the process began. */
  readonly droppedLogLines: () => number;
  /** Of m2push. */
  readonly version: string;
}

export class Exposition {
  readonly #metrics: MetricsObserver;
  readonly #snapshot: () => Snapshot;
  readonly #droppedLogLines: () => number;
  #now: Snapshot;

  constructor({ metrics, snapshot, droppedLogLines, version }: ExpositionOptions) {
    this.#metrics = metrics;
    this.#droppedLogLines = droppedLogLines;
    this.#snapshot = snapshot;
    this.#now = snapshot();
    for (const metric of [...this.#gauges(), ...this.#counters(), ...processMetrics(version, () => this.#now)])
      register(metrics.registry, metric);
  }

  get contentType(): string {
    return this.#metrics.registry.contentType;
  }

  /** All metrics, as they are now. */
  async text(): Promise<string> {
    this.#now = this.#snapshot();
    for (const { name } of this.#now.servers) this.#metrics.server(name);
    return await this.#metrics.registry.metrics();
  }

  /** Long because it is a table. */
  #gauges(): Metric[] {
    const servers = (value: (server: ServerSnapshot) => number) => () =>
      this.#now.servers.map((server): Row => [[server.name], value(server)]);
    const history = (value: keyof Omit<NonNullable<Snapshot["history"]>, "epoch">) => () =>
      this.#now.history ? [one(this.#now.history[value])] : [];
    const nodes = (value: (all: readonly NodeSnapshot[]) => number) =>
      this.#now.nodes ? [one(value(this.#now.nodes))] : [];
    const lagOf = (all: readonly NodeSnapshot[]) => all.find(({ self }) => self)?.lag ?? 0;
    const conditions = () => this.#now.conditions.map(({ code, subject }): Row => [[code, subject], 1]);
    const limits = (value: (use: LimitUse) => number | undefined) => () =>
      this.#now.limits.flatMap((use): Row[] => {
        const number = value(use);
        return number === undefined ? [] : [[[use.limit], number]];
      });
    const of = ["server"];
    return [
      ["gauge", "clients", "Connected clients.", of, servers(({ clients }) => clients)],
      [
        "gauge",
        "clients_catching_up",
        "Clients that read from the history. They reconnected with an event id, or have no credit.",
        of,
        servers(({ catchingUp: behind }) => behind),
      ],
      [
        "gauge",
        "clients_behind_max_events",
        "Publications between the client that is furthest behind and the newest one. 0 while no client catches up.",
        of,
        servers(({ maxBehindEvents }) => maxBehindEvents),
      ],
      ["gauge", "audiences", "Sets of clients with the same subscriptions.", of, servers(({ audiences }) => audiences)],
      ["gauge", "queued_bodies", "Bodies queued for Mongrel2.", of, servers(({ queuedBodies: waiting }) => waiting)],
      [
        "gauge",
        "link_up",
        "State of the Mongrel2 link. 1 after a fence has passed: clients are served.",
        of,
        servers(({ live }) => Number(live)),
      ],
      [
        "gauge",
        "link_silent",
        "Silence of Mongrel2. 1 while it accepts messages and does not answer fences.",
        of,
        servers(({ silent }) => Number(silent)),
      ],
      ["gauge", "history_events", "Publications in the history.", [], history("count")],
      [
        "gauge",
        "history_kept_events",
        "Publications that are kept below the history's oldest one.",
        [],
        history("kept"),
      ],
      ["gauge", "history_bytes", "Size of the publications in the history.", [], history("bytes")],
      ["gauge", "history_last_offset", "Offset of the newest publication.", [], history("last")],
      [
        "gauge",
        "history_floor_offset",
        "Offset of the newest publication that was trimmed. The history has all later ones.",
        [],
        history("floor"),
      ],
      [
        "gauge",
        "limit_used",
        "How much of a limit is used. History limits are reached in normal operation; the others refuse somebody then.",
        ["limit"],
        limits(({ used }) => used),
      ],
      [
        "gauge",
        "limit_max",
        "Value of a limit. Absent for a limit that is switched off.",
        ["limit"],
        limits(({ max }) => max),
      ],
      ["gauge", "publish_keys", "Idempotency keys that are known.", [], history("keys")],
      [
        "gauge",
        "condition",
        "Conditions that last. 1 from the begin to the end of each; docs/operating.md lists the codes.",
        ["code", "subject"],
        conditions,
      ],
      [
        "gauge",
        "publishing_up",
        "State of publishing. 0 while publications are rejected: storage or NATS fails.",
        [],
        () => [one(Number(!isRejecting(this.#now)))],
      ],
      [
        "gauge",
        "event_subscribers",
        "Subscribers of the PUB socket for client events. Absent without [events] zmq.",
        [],
        () => (this.#now.eventFeed ? [one(this.#now.eventFeed.subscribers)] : []),
      ],
      [
        "gauge",
        "webhook_pending_events",
        "Events that wait for a webhook.",
        ["webhook"],
        this.#webhooks((it) => it.pending),
      ],
      [
        "gauge",
        "webhook_oldest_seconds",
        "Age of the oldest event that waits for a webhook.",
        ["webhook"],
        this.#webhooks((it) => it.oldestSeconds),
      ],
      [
        "gauge",
        "cluster_nodes",
        "Daemons that share the JetStream stream. Absent without a cluster.",
        [],
        () => nodes((all) => all.length),
      ],
      [
        "gauge",
        "cluster_lag_events",
        "Publications that another node has received and this one has not.",
        [],
        () => nodes(lagOf),
      ],
    ];
  }

  #webhooks(value: (webhook: WebhookStatus) => number): Metric[4] {
    return () => this.#now.webhooks.map((webhook): Row => [[webhook.name], value(webhook)]);
  }

  /** Long because it is a table. */
  #counters(): Metric[] {
    const { counters } = this.#metrics;
    const servers = (value: (server: ServerCounters) => number) => () =>
      [...counters.servers].map(([name, server]): Row => [[name], value(server)]);
    const counts = (them: LabelledCounter) => () => [...them].map(({ values, count }): Row => [values, count]);
    const encoded = (value: (counts: CompressionSnapshot["counts"][string]) => number) => () =>
      Object.entries(this.#now.compression?.counts ?? {}).map(([name, it]): Row => [[name], value(it)]);
    const of = ["server"];
    const why = ["server", "reason"];
    return [
      [
        "counter",
        "compressed_bodies_total",
        "Copies of bodies sent to clients of compressed streams, by encoding (shared, own, stored).",
        ["encoding"],
        encoded(({ bodies }) => bodies),
      ],
      [
        "counter",
        "compression_plain_bytes_total",
        "Size of these copies before compression.",
        ["encoding"],
        encoded(({ plainBytes }) => plainBytes),
      ],
      [
        "counter",
        "compression_wire_bytes_total",
        "Size of these copies as they are sent.",
        ["encoding"],
        encoded(({ wireBytes }) => wireBytes),
      ],
      ["counter", "connects_total", "Subscriptions of new clients.", of, servers(({ connects }) => connects)],
      [
        "counter",
        "replays_total",
        "Subscriptions of clients that had missed publications, or asked for more than a little state at once.",
        of,
        servers(({ replays }) => replays),
      ],
      [
        "counter",
        "clients_fell_behind_total",
        "Live clients that continue from the history, because they read too slowly or Mongrel2 takes too little.",
        why,
        counts(counters.fellBehind),
      ],
      [
        "counter",
        "adoptions_total",
        "Clients adopted from the previous process or link. Their streams continue.",
        of,
        servers(({ adoptions }) => adoptions),
      ],
      [
        "counter",
        "topic_changes_total",
        "Changes of the topics of open streams.",
        of,
        servers((it) => it.topicChanges),
      ],
      [
        "counter",
        "orphans_closed_total",
        "Connections closed that an earlier process left without a response.",
        of,
        servers(({ orphansClosed }) => orphansClosed),
      ],
      ["counter", "disconnects_total", "Disconnected clients, by reason.", why, counts(counters.disconnects)],
      ["counter", "publications_total", "Accepted publications.", [], () => [one(counters.publications)]],
      [
        "counter",
        "publication_bytes_total",
        "Size of the accepted publications as they are sent.",
        [],
        () => [one(counters.publicationBytes)],
      ],
      [
        "counter",
        "repeated_ids_total",
        "Publications whose id is in the history already.",
        [],
        () => [one(counters.repeatedIds)],
      ],
      ["counter", "removals_total", "Removals of stored publications.", [], () => [one(counters.removals)]],
      [
        "counter",
        "publish_repeats_total",
        "Requests and events that were not published again, because their idempotency key was used before.",
        [],
        () => [one(counters.repeats)],
      ],
      [
        "counter",
        "publish_keys_evicted_total",
        "Idempotency keys evicted within their window, because there were more than max_keys.",
        [],
        () => [one(counters.evictedKeys)],
      ],
      [
        "counter",
        "publications_rejected_total",
        "Rejected publications, by source (http, zmq, internal) and error code.",
        ["source", "reason"],
        counts(counters.rejected),
      ],
      [
        "counter",
        "peers_rejected_total",
        "Connections of ZeroMQ peers that the daemon closed, by error code.",
        ["reason"],
        counts(counters.rejectedPeers),
      ],
      [
        "counter",
        "spans_total",
        "Spans of traced events, by what became of them: the collector took them, it did not, or a limit was reached.",
        ["result"],
        counts(counters.spans),
      ],
      [
        "counter",
        "deliveries_total",
        "Publications sent, counted once for each client.",
        of,
        servers(({ deliveries }) => deliveries),
      ],
      ["counter", "frames_total", "Messages to Mongrel2 that carry events.", of, servers(({ frames }) => frames)],
      ["counter", "frame_bytes_total", "Size of the bodies of these messages.", of, servers(({ bytes }) => bytes)],
      ["counter", "gaps_total", "Clients told that they missed publications, by reason.", why, counts(counters.gaps)],
      [
        "counter",
        "state_requests_total",
        "Streams that asked for state at once (latest, last, since).",
        ["server", "kind"],
        counts(counters.states),
      ],
      [
        "counter",
        "malformed_messages_total",
        "Malformed messages from Mongrel2, by error code.",
        why,
        counts(counters.malformedMessages),
      ],
      ["counter", "link_losses_total", "Lost Mongrel2 links.", of, servers(({ linkLosses }) => linkLosses)],
      [
        "counter",
        "stale_messages_dropped_total",
        "Messages dropped because the Mongrel2 process that sent them may have ended.",
        of,
        servers(({ staleMessages }) => staleMessages),
      ],
      [
        "counter",
        "control_port_failures_total",
        "Failed requests to the Mongrel2 control port.",
        of,
        servers(({ controlFailures }) => controlFailures),
      ],
      [
        "counter",
        "requests_total",
        "Completed requests, by route and status.",
        ["server", "route", "status"],
        counts(counters.requests),
      ],
      [
        "counter",
        "events_dropped_total",
        "Client events that slow subscribers of [events] zmq have lost, counted once for each. Absent over libzmq.",
        [],
        () => (typeof this.#now.eventFeed?.dropped === "number" ? [one(this.#now.eventFeed.dropped)] : []),
      ],
      [
        "counter",
        "webhook_events_sent_total",
        "Events that a webhook has taken.",
        ["webhook"],
        this.#webhooks((it) => it.sent),
      ],
      [
        "counter",
        "webhook_failures_total",
        "Failed webhook requests.",
        ["webhook"],
        this.#webhooks((it) => it.failures),
      ],
      [
        "counter",
        "webhook_events_lost_total",
        "Events that were removed before a webhook got them: there were too many, or they were too old.",
        ["webhook"],
        this.#webhooks((it) => it.lost),
      ],
      [
        "counter",
        "log_lines_dropped_total",
        "Dropped log lines. Standard output was too slow, or could not be written.",
        [],
        () => [one(this.#droppedLogLines())],
      ],
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
