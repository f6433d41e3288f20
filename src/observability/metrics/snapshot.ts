/** The state of the running daemon at one moment, made for each reading of gauges, /readyz and /status. */

import type { FeedStatus } from "../../client-events/event-feed.js";
import type { WebhookStatus } from "../../client-events/webhooks.js";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { ActiveCondition } from "../../util/conditions.js";

export interface ServerSnapshot {
  readonly name: string;
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** A fence has passed since the link is connected: its clients are served. */
  readonly live: boolean;
  /** Mongrel2 has not answered for some seconds (the condition mongrel2_silent). */
  readonly silent: boolean;
  readonly clients: number;
  /** Clients that read from the history: they reconnected with an event id, or have no credit. */
  readonly catchingUp: number;
  readonly audiences: number;
  /** Bodies queued for Mongrel2, over all audiences. */
  readonly queuedBodies: number;
  /** Publications, of all topics, between the client that is furthest behind and the newest one; 0 = no client catches up. */
  readonly maxBehindEvents: number;
}

/** A closed set: they are labels of metrics. The history is full in normal operation; the others are not. */
export const LIMIT_NAMES = [
  "compression_windows",
  "descriptors",
  "clients",
  "pattern_cost",
  "revoked_tokens",
  "history_events",
  "history_bytes",
  "publish_keys",
] as const;

export type LimitName = (typeof LIMIT_NAMES)[number];

/** How much of a limit is used. */
export interface LimitUse {
  readonly limit: LimitName;
  /** Undefined = unknown on this system. */
  readonly used: number | undefined;
  /** Undefined = no limit. */
  readonly max: number | undefined;
}

export interface HistorySnapshot {
  readonly epoch: string;
  readonly last: number;
  readonly floor: number;
  /** Idempotency keys that are known. */
  readonly keys: number;
  readonly count: number;
  /** Publications that are kept below the floor. */
  readonly kept: number;
  readonly bytes: number;
}

/** Copies of bodies that were sent to clients of compressed streams. */
interface EncodedCounts {
  readonly bodies: number;
  readonly plainBytes: number;
  readonly wireBytes: number;
}

export interface CompressionSnapshot {
  /** By encoding. */
  readonly counts: Readonly<Record<string, EncodedCounts>>;
}

export interface Snapshot {
  readonly phase: "starting" | "running" | "stopping";
  /** When the daemon began, milliseconds since 1970. */
  readonly startedAt: number;
  /** Seconds. */
  readonly uptime: number;
  readonly servers: readonly ServerSnapshot[];
  /** Undefined until the history is open. */
  readonly history: HistorySnapshot | undefined;
  /** The nodes that share the JetStream stream; undefined = no cluster. */
  readonly nodes: readonly NodeSnapshot[] | undefined;
  /** Undefined until the hub has started. */
  readonly compression: CompressionSnapshot | undefined;
  /** The PUB socket for client events; undefined = there is none. */
  readonly eventFeed: FeedStatus | undefined;
  readonly webhooks: readonly WebhookStatus[];
  /** Conditions that last, the oldest first. */
  readonly conditions: readonly ActiveCondition[];
  readonly limits: readonly LimitUse[];
}
