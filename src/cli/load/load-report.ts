/** The result of `m2push load`, as text and as JSON, with a hint for sizing. */
import { printableLine } from "../../util/escape.js";
import type { ClientCounts } from "./load-clients.js";
import type { PublishCounts } from "./load-publisher.js";

/** Latencies from publishing to reading, milliseconds; all null where nothing of this run has arrived. */
export interface Latency {
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

export interface LoadResult {
  readonly clients: number;
  readonly wantedEventsPerSecond: number;
  readonly connectSeconds: number;
  readonly counts: ClientCounts;
  /** Undefined = it only listened. */
  readonly published: PublishCounts | undefined;
  /** Time of the measurement. */
  readonly seconds: number;
  readonly latencyMs: Latency;
  /** Of one core, that this program used, 0 to 1 and above. */
  readonly cpuShare: number;
}

/** A program that uses more of a core than this measures itself. */
const MAX_CPU_RATIO = 0.8;
/** A smaller share of the wanted rate is reported. */
const MIN_RATE_RATIO = 0.95;
/** To the reader of a page an event comes at once below this. */
const LATE_AFTER_MS = 250;
const MS_PER_SECOND = 1000;

const expectedDeliveries = ({ counts, published }: LoadResult): number =>
  (published?.acknowledged ?? 0) * counts.opened;

const missing = (result: LoadResult): number => Math.max(0, expectedDeliveries(result) - result.counts.delivered);

export function asJson(result: LoadResult): string {
  const { clients, counts, published, seconds, connectSeconds, latencyMs, cpuShare } = result;
  return JSON.stringify({
    ...{ clients, connected: counts.opened, failed: counts.failed, connectSeconds: round(connectSeconds) },
    ...{ published: published?.acknowledged ?? 0, rejected: published?.rejected ?? 0 },
    ...{ expected: expectedDeliveries(result), delivered: counts.delivered, missing: missing(result) },
    ...{ repeated: counts.repeated, gaps: counts.gaps, cut: counts.cut, otherEvents: counts.otherEvents },
    ...{ seconds: round(seconds), bytes: counts.bytes, latencyMs, cpuShare: round(cpuShare) },
    hints: hints(result),
  });
}

export function asText(result: LoadResult): string {
  const { clients, counts, seconds, connectSeconds, latencyMs: ms, cpuShare } = result;
  const events = counts.delivered + counts.otherEvents;
  const lines = [
    `connected  ${count(counts.opened)} of ${count(clients)} clients in ${connectSeconds.toFixed(1)} s, ${count(counts.failed)} failed, ${count(counts.cut)} cut`,
    ...publishedLine(result),
    ...(ms.p50 === null
      ? []
      : [`latency    p50 ${time(ms.p50)}, p90 ${time(ms.p90)}, p99 ${time(ms.p99)}, max ${time(ms.max)}`]),
    `received   ${count(events / seconds)} events/s, ${(counts.bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(1)} s; this program used ${Math.round(cpuShare * 100)} % of a core`,
    ...hints(result).map((hint) => `hint: ${hint}`),
  ];
  return `${lines.map(printableLine).join("\n")}\n`;
}

function publishedLine(result: LoadResult): string[] {
  const { counts, published } = result;
  if (!published) return [];
  const { acknowledged, rejected, tookMs } = published;
  return [
    `published  ${count(acknowledged)} events in ${(tookMs / MS_PER_SECOND).toFixed(1)} s, ${count(rejected)} rejected`,
    `delivered  ${count(counts.delivered)} of ${count(expectedDeliveries(result))}, ${count(missing(result))} missing, ${count(counts.repeated)} repeated, ${count(counts.gaps)} gaps`,
  ];
}

/** What limits this installation, as far as this program can tell; the most important first. */
export function hints(result: LoadResult): string[] {
  const { counts, published, cpuShare, clients, wantedEventsPerSecond: wanted, seconds } = result;
  const found: string[] = [];
  if (counts.failed > 0)
    found.push(
      `${count(counts.failed)} clients were not served (${counts.firstFailure}): ${connectFix(counts.firstFailure)}`,
    );
  if (published && published.rejected > 0) found.push(`events were rejected: ${published.firstRejection}`);
  if (cpuShare > MAX_CPU_RATIO)
    found.push(
      "this program was near the limit of its core, so the latencies are its own: run it on another machine, or several of it with fewer clients each",
    );
  if (published && published.acknowledged > 0 && counts.delivered === 0 && counts.opened > 0)
    found.push(
      "no event arrived: the publishing address and the URL belong to different hubs, or the topic needs a token",
    );
  else if (published && missing(result) > 0)
    found.push(
      `events are missing (${count(counts.cut)} clients cut, ${count(counts.gaps)} gaps): look into the log of the daemon and of the proxies, or take fewer --clients or --events`,
    );
  if (
    published &&
    published.acknowledged < wanted * Math.min(seconds, published.tookMs / MS_PER_SECOND) * MIN_RATE_RATIO
  )
    found.push(
      `${count(published.acknowledged / (published.tookMs / MS_PER_SECOND))} events/s were published instead of ${count(wanted)}: acknowledgements were late; ZeroMQ has 100 under way, HTTP one`,
    );
  return found.length > 0 ? found : [sizing(result, clients)];
}

function connectFix(reason: string): string {
  if (/^status (?:503|429)/.test(reason)) return "see [stream] max_clients, max_per_address and max_pattern_cost";
  if (/^status (?:401|403)/.test(reason)) return "pass --token-file";
  if (reason.startsWith("status 404")) return "pass the URL of a hub";
  return "compare superpoll.max_fd of Mongrel2 (at most 65,536), the limits of open files, and --connect-rate";
}

function sizing({ counts, latencyMs: { p99 }, seconds, published }: LoadResult, clients: number): string {
  if (!published) return "it only listened; with --events N it publishes, and measures latencies and losses";
  const perSecond = count(counts.delivered / seconds);
  if (p99 !== null && p99 > LATE_AFTER_MS)
    return `complete, but late (p99 ${time(p99)}): ${count(clients)} clients at ${perSecond} deliveries/s are more than this installation should carry`;
  return (
    `carried: ${count(clients)} clients, ${perSecond} deliveries/s. Double --events, then --clients, until p99 rises above ${LATE_AFTER_MS} ms or ` +
    "something is missing, and plan for half of that. One Mongrel2 uses one core and holds at most 65,536 connections: m2push up --servers"
  );
}

const count = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
const time = (ms: number | null): string => `${(ms ?? 0).toFixed((ms ?? 0) < 10 ? 2 : 1)} ms`;
const round = (value: number): number => Math.round(value * 1000) / 1000;
