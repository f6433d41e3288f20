/** The JSON of GET /status; `m2push status` reads it. Names are public: durations end in their unit, rates in PerSecond. */
import type { FeedStatus } from "../../client-events/event-feed.js";
import type { WebhookStatus } from "../../client-events/webhooks.js";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { ActiveCondition } from "../../util/conditions.js";
import type { HotTopic } from "../metrics/hot-topics.js";
import type { MetricsObserver } from "../metrics/metrics-observer.js";
import type { QuantileWindow } from "../metrics/quantile-window.js";
import type { RateSampler, Rates } from "../metrics/rate-sampler.js";
import type { HistorySnapshot, LimitName, LimitUse, ServerSnapshot, Snapshot } from "../metrics/snapshot.js";
import { notReadyReasons } from "./readiness.js";
import type { SlowClient } from "./slowest-clients.js";

/** A condition that lasts; it may or may not make the daemon not ready. */
interface ConditionStatus extends Pick<ActiveCondition, "code" | "subject" | "message" | "fix" | "details"> {
  /** ISO 8601. */
  readonly since: string;
}

/** How much of a limit is used. */
interface LimitStatus {
  readonly limit: LimitName;
  readonly used: number;
  /** Null = no limit. */
  readonly max: number | null;
}

/** How old publications were when Mongrel2 had taken them: of each flush the oldest one, over the last 30 to 60 seconds. */
interface Lateness {
  /** Flushes in this time. */
  readonly flushes: number;
  /** Milliseconds, exact to 5 %; null = there was no flush. */
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
}

interface HotTopics {
  /** The rates are averages over this number of seconds, 60 at most. */
  readonly windowSeconds: number;
  /** At most 10, the one with the most publications and deliveries first. */
  readonly topics: readonly HotTopic[];
}

/** Counts since the daemon began. */
interface Losses {
  /** Clients that were told that they miss publications, by reason. */
  readonly gaps: Readonly<Record<string, number>>;
  /** Rejected publications, by source (http, zmq, internal) and error code. */
  readonly rejected: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface ServerStatus extends ServerSnapshot {
  /** From the last acknowledged flush to its acknowledgement; null = none since the link is live. */
  readonly fenceRoundTripMs: number | null;
  /** Age of the oldest publication of that flush when it was acknowledged. */
  readonly publishToFenceMs: number | null;
  readonly lateness: Lateness;
  readonly deliveriesPerSecond: number;
  /** Counts since the daemon began. */
  readonly connects: number;
  readonly disconnects: number;
  /** Live clients that had to continue from the history, because they or Mongrel2 were slow. */
  readonly fellBehind: number;
  readonly deliveries: number;
  readonly linkLosses: number;
}

export interface Status {
  /** The version; its name tells that the response is from m2push. */
  readonly m2push: string;
  readonly pid: number;
  readonly phase: Snapshot["phase"];
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly notReadyReasons: readonly string[];
  /** The oldest first. */
  readonly conditions: readonly ConditionStatus[];
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly clients: number;
  readonly catchingUp: number;
  readonly publications: number;
  /** Over the last five seconds. */
  readonly perSecond: Rates;
  /** The longest delay of the event loop in the last five seconds. */
  readonly eventLoopLagMs: number;
  readonly servers: readonly ServerStatus[];
  readonly history: HistorySnapshot | null;
  /** The nodes that share the JetStream stream, this one first; null = no cluster. */
  readonly nodes: readonly NodeSnapshot[] | null;
  readonly limits: readonly LimitStatus[];
  readonly losses: Losses;
  /** For operators; null for everybody else: topics may name people. */
  readonly hotTopics: HotTopics | null;
  /** The clients that are furthest behind, at most 10. For operators; null for everybody else. */
  readonly slowestClients: readonly SlowClient[] | null;
  /** The PUB socket of [events] zmq; null = there is none. */
  readonly eventFeed: FeedStatus | null;
  readonly webhooks: readonly WebhookStatus[];
}

export interface StatusParts {
  readonly version: string;
  readonly metrics: MetricsObserver;
  readonly sampler: RateSampler;
  readonly snapshot: () => Snapshot;
  readonly slowestClients: () => readonly SlowClient[];
}

/** `isOperator`: whether it may name topics and clients. */
export function statusOf(parts: StatusParts, isOperator: boolean): Status {
  const { version, metrics, sampler, snapshot } = parts;
  const now = snapshot();
  const reasons = notReadyReasons(now);
  const servers = now.servers.map((server) => serverStatus(server, metrics, sampler));
  return {
    m2push: version,
    pid: process.pid,
    phase: now.phase,
    ready: reasons.length === 0,
    notReadyReasons: reasons,
    conditions: now.conditions.map(conditionStatus),
    startedAt: new Date(now.startedAt).toISOString(),
    uptimeSeconds: round(now.uptime),
    clients: sum(servers, ({ clients }) => clients),
    catchingUp: sum(servers, ({ catchingUp }) => catchingUp),
    publications: metrics.counters.publications,
    perSecond: rounded(sampler.rates),
    eventLoopLagMs: round(sampler.lagMs),
    servers,
    history: now.history ?? null,
    nodes: now.nodes?.map((node) => ({ ...node, heard: round(node.heard) })) ?? null,
    limits: now.limits.flatMap(limitStatus),
    losses: { gaps: metrics.counters.gapsByReason, rejected: metrics.counters.rejectedBySource },
    hotTopics: isOperator ? hotTopics(metrics) : null,
    slowestClients: isOperator ? parts.slowestClients() : null,
    eventFeed: now.eventFeed ?? null,
    webhooks: now.webhooks,
  };
}

const limitStatus = ({ limit, used, max }: LimitUse): LimitStatus[] =>
  used === undefined ? [] : [{ limit, used, max: max ?? null }];

function hotTopics({ hotTopics: counted }: MetricsObserver): HotTopics {
  const topics = counted.top().map(({ topic, publicationsPerSecond, bytesPerSecond, deliveriesPerSecond }) => ({
    topic,
    publicationsPerSecond: round(publicationsPerSecond),
    bytesPerSecond: round(bytesPerSecond),
    deliveriesPerSecond: round(deliveriesPerSecond),
  }));
  return { windowSeconds: round(counted.windowSeconds), topics };
}

function latenessOf(window: QuantileWindow): Lateness {
  const quantile = (share: number) => {
    const ms = window.quantile(share);
    return ms === undefined ? null : round(ms);
  };
  return { flushes: window.count, p50Ms: quantile(0.5), p90Ms: quantile(0.9), p99Ms: quantile(0.99) };
}

function conditionStatus({ code, subject, message, fix, details, since }: ActiveCondition): ConditionStatus {
  return { code, subject, message, fix, ...(details && { details }), since: new Date(since).toISOString() };
}

function serverStatus(server: ServerSnapshot, metrics: MetricsObserver, sampler: RateSampler): ServerStatus {
  const { fenceMs, latencyMs, connects, disconnects, deliveries, linkLosses } = metrics.server(server.name);
  return {
    ...server,
    fenceRoundTripMs: fenceMs === undefined ? null : round(fenceMs),
    publishToFenceMs: latencyMs === undefined ? null : round(latencyMs),
    lateness: latenessOf(metrics.lateness(server.name)),
    deliveriesPerSecond: round(sampler.deliveries(server.name)),
    connects,
    disconnects,
    fellBehind: metrics.counters.fellBehindOf(server.name),
    deliveries,
    linkLosses,
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

/** To three decimal places. */
const round = (value: number): number => Math.round(value * 1000) / 1000;
