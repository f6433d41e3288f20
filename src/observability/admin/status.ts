/** What GET /status answers, as JSON; `m2push status` reads it. Times end in their unit, rates in PerSecond. */
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { ActiveCondition } from "../../util/conditions.js";
import type { MetricsObserver } from "../metrics/metrics-observer.js";
import type { RateSampler, Rates } from "../metrics/rate-sampler.js";
import type { HistorySnapshot, ServerSnapshot, Snapshot } from "../metrics/snapshot.js";
import { readinessProblems } from "./readiness.js";

/** A standing problem; it may or may not keep the daemon from being ready. */
interface ConditionStatus extends Pick<ActiveCondition, "code" | "subject" | "message" | "fix" | "details"> {
  /** ISO 8601. */
  readonly since: string;
}

export interface ServerStatus extends ServerSnapshot {
  /** Round trip of the fence after the last flush; null = none since it is live. */
  readonly fenceMs: number | null;
  /** Age of the oldest publication of the last flush when Mongrel2 had taken it. */
  readonly latencyMs: number | null;
  readonly deliveriesPerSecond: number;
  /** Since the daemon began. */
  readonly connects: number;
  readonly disconnects: number;
  readonly deliveries: number;
  readonly losses: number;
}

export interface Status {
  /** The version. */
  readonly m2push: string;
  readonly pid: number;
  readonly phase: Snapshot["phase"];
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly problems: readonly string[];
  /** Standing problems, the oldest first. */
  readonly conditions: readonly ConditionStatus[];
  /** ISO 8601. */
  readonly started: string;
  readonly uptimeSeconds: number;
  readonly clients: number;
  readonly behind: number;
  readonly publications: number;
  /** Over the last five seconds. */
  readonly perSecond: Rates;
  /** The latest a timer was in the last five seconds. */
  readonly lagMs: number;
  readonly servers: readonly ServerStatus[];
  readonly history: HistorySnapshot | null;
  /** This daemon and the others that share its stream, itself first; null = it is alone. */
  readonly nodes: readonly NodeSnapshot[] | null;
}

export interface StatusParts {
  readonly version: string;
  readonly metrics: MetricsObserver;
  readonly pulse: RateSampler;
  readonly snapshot: () => Snapshot;
}

export function statusOf({ version, metrics, pulse, snapshot }: StatusParts): Status {
  const now = snapshot();
  const found = readinessProblems(now);
  const servers = now.servers.map((server) => serverStatus(server, metrics, pulse));
  return {
    m2push: version,
    pid: process.pid,
    phase: now.phase,
    ready: found.length === 0,
    problems: found,
    conditions: now.conditions.map(conditionStatus),
    started: new Date(now.startedAt).toISOString(),
    uptimeSeconds: round(now.uptime),
    clients: sum(servers, ({ clients }) => clients),
    behind: sum(servers, ({ behind }) => behind),
    publications: metrics.counters.publications,
    perSecond: rounded(pulse.rates),
    lagMs: round(pulse.lag),
    servers,
    history: now.history ?? null,
    nodes: now.nodes?.map((node) => ({ ...node, heard: round(node.heard) })) ?? null,
  };
}

function conditionStatus({ code, subject, message, fix, details, since }: ActiveCondition): ConditionStatus {
  return { code, subject, message, fix, ...(details && { details }), since: new Date(since).toISOString() };
}

function serverStatus(server: ServerSnapshot, metrics: MetricsObserver, pulse: RateSampler): ServerStatus {
  const { fenceMs, latencyMs, connects, disconnects, deliveries, losses } = metrics.server(server.name);
  return {
    ...server,
    fenceMs: fenceMs === undefined ? null : round(fenceMs),
    latencyMs: latencyMs === undefined ? null : round(latencyMs),
    deliveriesPerSecond: round(pulse.deliveries(server.name)),
    connects,
    disconnects,
    deliveries,
    losses,
  };
}

function rounded(rates: Rates): Rates {
  const { publications, deliveries, connects, disconnects, frames, bytes } = rates;
  return {
    publications: round(publications),
    deliveries: round(deliveries),
    connects: round(connects),
    disconnects: round(disconnects),
    frames: round(frames),
    bytes: round(bytes),
  };
}

const sum = (servers: readonly ServerStatus[], of: (server: ServerStatus) => number): number =>
  servers.reduce((total, server) => total + of(server), 0);

/** Three places are more than anybody measures. */
const round = (value: number): number => Math.round(value * 1000) / 1000;
