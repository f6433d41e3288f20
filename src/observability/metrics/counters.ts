/**
 * What has happened so far, in plain numbers. The hot path only adds to these; prom-client sees them when somebody asks
 * (see exposition.ts), so a publication costs two additions instead of two look-ups of a label set.
 */
import { DISCONNECT_REASONS, FALL_BEHIND_REASONS, GAP_REASONS } from "../../delivery/reasons.js";
import { STATE_KINDS } from "../../delivery/selection.js";
import type { PublicationSource } from "../../hub/bus.js";

/** Counts by the values of labels. The values must come from closed sets: each combination is kept for ever. */
export class LabelledCounter {
  readonly #counts = new Map<string, { readonly values: readonly string[]; count: number }>();

  /** Adds to one combination; 0 makes it known, so that a scrape shows it before the first time. */
  add(values: readonly string[], count = 1): void {
    const key = keyOf(values);
    const known = this.#counts.get(key);
    if (known) known.count += count;
    else this.#counts.set(key, { values, count });
  }

  get(...values: readonly string[]): number {
    return this.#counts.get(keyOf(values))?.count ?? 0;
  }

  /** The sum of all combinations. */
  get total(): number {
    let total = 0;
    for (const { count } of this.#counts.values()) total += count;
    return total;
  }

  [Symbol.iterator](): Iterator<{ readonly values: readonly string[]; readonly count: number }> {
    return this.#counts.values();
  }
}

/** In a storm of requests join() was most of what counting one costs. */
function keyOf(values: readonly string[]): string {
  let key = "";
  for (const value of values) key += `${value}\n`;
  return key;
}

/** One server's share. */
export interface ServerCounters {
  connects: number;
  /** Of these: clients that had missed publications, or asked for state at once. */
  replays: number;
  adoptions: number;
  topicChanges: number;
  disconnects: number;
  /** Publications times the clients they were sent to. */
  deliveries: number;
  frames: number;
  /** Bodies in frames, heads not counted; a frame reaches up to maxTargets clients. */
  bytes: number;
  linkLosses: number;
  /** Messages dropped because they may have been of a Mongrel2 that is gone. */
  staleMessages: number;
  controlFailures: number;
  /** Connections closed that an earlier process had left without an answer or events. */
  orphansClosed: number;
  /** Of the last flush; undefined = none since the server was live. */
  fenceMs: number | undefined;
  latencyMs: number | undefined;
}

/** Codes of errors.ts that a message of Mongrel2 can have. */
const PARSE_REASONS = ["invalid", "too_large"];
/** And those that a rejected publication can, by where it came from. */
const STORING = ["storage_failed", "unavailable"];
const REJECT_REASONS: Readonly<Record<PublicationSource, readonly string[]>> = {
  http: ["unauthenticated", "forbidden", "invalid", "too_large", "key_reused", "rate_limited", ...STORING],
  zmq: ["invalid", "too_large", "key_reused", "rate_limited", ...STORING],
  internal: ["invalid", "too_large", ...STORING],
};
/** And those for which a publisher's connection is ended. */
const PEER_REASONS = PARSE_REASONS;

export class Counters {
  publications = 0;
  publicationBytes = 0;
  /** Publications whose publisher used an id again. */
  repeatedIds = 0;
  /** Requests that took events back. */
  removals = 0;
  /** Requests and events that were not published again, because their idempotency key was used before. */
  repeats = 0;
  /** Idempotency keys that were evicted within their window. */
  evictedKeys = 0;
  readonly servers = new Map<string, ServerCounters>();
  /** By server and reason. */
  readonly disconnects = new LabelledCounter();
  readonly gaps = new LabelledCounter();
  /** Live clients that continue from the history. */
  readonly fellBehind = new LabelledCounter();
  readonly malformedMessages = new LabelledCounter();
  /** By server and kind. */
  readonly states = new LabelledCounter();
  /** By source and reason. */
  readonly rejected = new LabelledCounter();
  readonly rejectedPeers = new LabelledCounter();
  /** By what became of them. */
  readonly spans = new LabelledCounter();
  /** By server, route and status. */
  readonly requests = new LabelledCounter();

  constructor() {
    for (const [source, reasons] of Object.entries(REJECT_REASONS))
      for (const reason of reasons) this.rejected.add([source, reason], 0);
    for (const reason of PEER_REASONS) this.rejectedPeers.add([reason], 0);
  }

  /** The share of a server; it begins with zeros everywhere, so that the first event is seen as a rise. */
  server(name: string): ServerCounters {
    let counters = this.servers.get(name);
    if (!counters) {
      counters = zeros();
      this.servers.set(name, counters);
      for (const reason of DISCONNECT_REASONS) this.disconnects.add([name, reason], 0);
      for (const reason of GAP_REASONS) this.gaps.add([name, reason], 0);
      for (const reason of FALL_BEHIND_REASONS) this.fellBehind.add([name, reason], 0);
      for (const kind of STATE_KINDS) this.states.add([name, kind], 0);
      for (const reason of PARSE_REASONS) this.malformedMessages.add([name, reason], 0);
    }
    return counters;
  }

  /** Live clients of a server that continued from the history, for any reason. */
  fellBehindOf(server: string): number {
    return FALL_BEHIND_REASONS.reduce((sum, reason) => sum + this.fellBehind.get(server, reason), 0);
  }

  /** Gaps of all servers, by reason. */
  get gapsByReason(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const reason of GAP_REASONS) sum[reason] = 0;
    for (const { values, count } of this.gaps) sum[values[1] ?? ""] = (sum[values[1] ?? ""] ?? 0) + count;
    return sum;
  }

  /** Rejected publications, by source and error code. */
  get rejectedBySource(): Record<string, Record<string, number>> {
    const sources: Record<string, Record<string, number>> = {};
    for (const { values, count } of this.rejected) {
      const [source = "", reason = ""] = values;
      sources[source] = { ...sources[source], [reason]: count };
    }
    return sources;
  }

  /** The sum of one count over all servers. */
  sum(count: "connects" | "disconnects" | "deliveries" | "frames" | "bytes"): number {
    let sum = 0;
    for (const server of this.servers.values()) sum += server[count];
    return sum;
  }
}

function zeros(): ServerCounters {
  const counts = {
    connects: 0,
    replays: 0,
    adoptions: 0,
    topicChanges: 0,
    disconnects: 0,
    deliveries: 0,
    frames: 0,
    bytes: 0,
  };
  const trouble = { linkLosses: 0, staleMessages: 0, controlFailures: 0, orphansClosed: 0 };
  return { ...counts, ...trouble, fenceMs: undefined, latencyMs: undefined };
}
