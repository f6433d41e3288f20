/**
 * What the parts of a daemon share while they start, run and stop. A part sets its own fields in `start` and reads only those of parts
 * above it in the list of daemon.ts; a field is undefined until its part has started.
 */
import type { Nodes } from "../cluster/nodes.js";
import type { Config } from "../config/schema.js";
import type { ClientStore } from "../delivery/client-store.js";
import type { Compression } from "../delivery/compression.js";
import type { VisibleHistory } from "../delivery/visible-history.js";
import type { App } from "../http/app.js";
import type { Presence } from "../http/mercure/presence.js";
import type { Router } from "../http/router.js";
import type { Beacon } from "../hub/beacon.js";
import type { Bus } from "../hub/bus.js";
import type { Observe } from "../hub/events.js";
import type { Hub } from "../hub/hub.js";
import type { Revocations } from "../hub/revocations.js";
import type { TopicRules } from "../matching/topic-rules.js";
import type { ServedMongrel2 } from "../mongrel2/serve-mongrel2.js";
import type { DaemonState } from "../observability/admin/daemon-state.js";
import type { RecentConnections } from "../observability/admin/recent-connections.js";
import type { RunningAdmin } from "../observability/admin/start-admin.js";
import type { Logger } from "../observability/log/logger.js";
import type { MetricsObserver } from "../observability/metrics/metrics-observer.js";
import type { Traces } from "../observability/traces/open-traces.js";
import type { Publisher } from "../publishing/publisher.js";
import type { RateLimiter } from "../publishing/rate-limiter.js";
import type { Remover } from "../publishing/remover.js";
import type { FolderLock } from "../storage/folder-lock.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import type { ConnectionCaps } from "./connection-caps.js";
import type { EventListeners } from "./event-listeners.js";
import type { PublishSockets } from "./publish-sockets.js";

/** How the daemon was asked to run; see DaemonOptions for what each means. */
export interface RunOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly drain: boolean;
  readonly signal: AbortSignal;
  readonly takeover: boolean;
}

/** Gives every publication its position and stores it. */
export interface EventLog {
  readonly bus: Bus;
  readonly history: VisibleHistory;
  /** The daemons that share the stream; absent = this one is alone. */
  readonly nodes?: Nodes;
  /** The bus must be closed before. */
  close(): Promise<void>;
}

/** What tells backends of clients. */
export interface ClientEvents {
  /** Applies other webhooks. */
  reload(config: Config): void;
  close(): Promise<void>;
}

export class DaemonContext {
  /** As it was at the start. Keys that a reload changes are read from `config`. */
  readonly initial: Config;
  /** As it is now: reload() replaces it. */
  config: Config;
  readonly options: RunOptions;

  metrics!: MetricsObserver;
  recent!: RecentConnections;
  state!: DaemonState;
  listeners!: EventListeners;
  /** Resolves with the first link that is live. */
  live!: Promise<void>;
  observe!: Observe;
  /** Those that observe() calls; a part may add its own while it starts. */
  observers: Observe[] = [];
  conditions!: Conditions;

  /** Absent = traces are off. */
  traces: Traces | undefined;
  caps: ConnectionCaps | undefined;
  /** The data folder's lock; undefined = the storage holds it itself, or no data folder can be used. */
  lock: FolderLock | undefined;
  eventLog: EventLog | undefined;
  store: ClientStore | undefined;
  publishers: PublishSockets | undefined;
  presence: Presence | undefined;
  compression: Compression | undefined;
  hub: Hub | undefined;
  publisher: Publisher | undefined;
  revocations: Revocations | undefined;
  remover: Remover | undefined;
  /** The [[topic]] tables. Absent = the event log has not started. */
  rules: TopicRules | undefined;
  /** Absent = the hub has not started. */
  rates: RateLimiter | undefined;
  admin: RunningAdmin | undefined;
  app: App | undefined;
  router: Router | undefined;
  readonly served: ServedMongrel2[] = [];
  beacon: Beacon | undefined;
  /** What backends are told of; undefined = nothing. */
  clientEvents: ClientEvents | undefined;

  constructor(config: Config, options: RunOptions) {
    this.initial = config;
    this.config = config;
    this.options = options;
  }
}

/**
 * One line of the daemon's list. `stop` is called whenever `start` was called, also when that failed: it ends what has begun. Parts
 * stop in the reverse order.
 */
export interface Part {
  readonly name: string;
  start(context: DaemonContext): Promise<void> | void;
  stop?(context: DaemonContext): Promise<void> | void;
}

/** A field that a part above must have set. Throws a TypeError otherwise: the list of parts is wrong. */
export function started<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`the daemon's list of parts starts ${name} too late`);
  return value;
}
