/** The admin address as one part of the daemon: rates, metrics, the dashboard's stream and the HTTP server. */
import type { Hub } from "../../hub/hub.js";
import type { Revocations } from "../../hub/revocations.js";
import type { Clock } from "../../util/clock.js";
import type { ConnectionCap } from "../../util/descriptors.js";
import { measureEventLoopLag } from "../metrics/event-loop-lag.js";
import { Exposition } from "../metrics/exposition.js";
import type { MetricsObserver } from "../metrics/metrics-observer.js";
import { RateSampler } from "../metrics/rate-sampler.js";
import { adminRoutes } from "./admin-routes.js";
import { AdminServer } from "./admin-server.js";
import { ClientList } from "./client-list.js";
import type { DaemonState } from "./daemon-state.js";
import { DashboardStream } from "./dashboard-stream.js";
import { type DocumentParts, describeAdmin, documentRoutes } from "./document-routes.js";
import { figuresOf, LastHourRecorder } from "./last-hour.js";
import { operatorRoutes } from "./operator-routes.js";
import { pageRoutes } from "./page-routes.js";
import type { RecentConnections } from "./recent-connections.js";
import { statusOf } from "./status.js";

export interface AdminOptions {
  readonly documents: DocumentParts;
  /** "host:port"; "" = the admin address is disabled: nothing is started. */
  readonly listen: string;
  /** Bearer token for the guarded routes; "" = none. */
  readonly token: string;
  readonly version: string;
  readonly metrics: MetricsObserver;
  /** Log lines dropped since the process began. */
  readonly droppedLogLines: () => number;
  readonly recentConnections: RecentConnections;
  readonly state: DaemonState;
  readonly hub: Pick<Hub, "end">;
  readonly revocations: Pick<Revocations, "revoke">;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
  /** How many connections there may be; absent = as many as the server takes. */
  readonly cap?: Pick<ConnectionCap, "maxConnections" | "limitReached">;
  /** A request to the admin address failed. */
  readonly failed: (error: unknown) => void;
}

export interface RunningAdmin {
  /** Where it listens; undefined = it is disabled. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Rejects with "link_failed" when the address cannot be bound. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const { listen, token, version, metrics, droppedLogLines, recentConnections, state } = options;
  const { hub, revocations, base, clock, cap, failed } = options;
  if (listen === "") return { url: undefined, close: async () => undefined };
  const { snapshot, slowestClients } = state;
  const { sampler, lastHour, ...measuring } = measure(options);
  const exposition = new Exposition({ metrics, snapshot, droppedLogLines, version });
  const parts = { version, metrics, sampler, snapshot, slowestClients, exposition };
  const stream = new DashboardStream({
    clock,
    recentConnections,
    lastHour: () => lastHour.read(),
    status: () => statusOf(parts, true),
    ...(cap && { maxWatchers: Math.floor(cap.maxConnections / 2) }),
  });
  const servers = () => state.servers.map(({ server }) => server);
  const clients = new ClientList({ hub, servers, epoch: () => state.history?.epoch ?? "", base, clock });
  const own = new Map([...adminRoutes(parts), ...pageRoutes(token !== "")]);
  const guarded = operatorRoutes(clients, stream, { revocations, clock });
  const documents = documentRoutes(version, options.documents, () => [
    describeAdmin([...own, ...documents], false),
    describeAdmin(guarded, true),
  ]);
  const routes = new Map([...own, ...documents]);
  const server = new AdminServer({
    ...{ listen, routes, guarded, token, failed },
    ...(cap && { maxConnections: cap.maxConnections, full: cap.limitReached }),
  });
  try {
    await server.start();
  } catch (error) {
    measuring.close();
    throw error;
  }
  measuring.start();
  return {
    url: server.url,
    async close() {
      measuring.close();
      stream.close();
      await server.close();
    },
  };
}

/** What is measured all the time, so that it can be shown later. */
function measure({ clock, metrics, state }: AdminOptions) {
  const { counters, histograms, hotTopics } = metrics;
  const lag = measureEventLoopLag(clock);
  const sampler = new RateSampler({ clock, counters, lag, observeLag: (ms) => histograms.lag(ms) });
  const figures = () => figuresOf({ clients: state.clients, counters, sampler });
  const lastHour = new LastHourRecorder({ clock, figures });
  const all = [sampler, lastHour, hotTopics];
  return {
    sampler,
    lastHour,
    start() {
      for (const it of all) it.start();
    },
    close() {
      for (const it of all) it.close();
    },
  };
}
