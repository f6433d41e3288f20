/** The whole admin side as one part of the daemon: the pulse, the figures, the feed and the server. */
import type { Hub } from "../../hub/hub.js";
import type { Clock } from "../../util/clock.js";
import type { ConnectionCap } from "../../util/descriptors.js";
import { Exposition } from "../metrics/exposition.js";
import type { MetricsObserver } from "../metrics/metrics-observer.js";
import { RateSampler } from "../metrics/rate-sampler.js";
import { adminRoutes } from "./admin-routes.js";
import { AdminServer } from "./admin-server.js";
import { ClientList } from "./client-list.js";
import type { DaemonState } from "./daemon-state.js";
import { DashboardStream } from "./dashboard-stream.js";
import { operatorRoutes } from "./operator-routes.js";
import { pageRoutes } from "./page-routes.js";
import type { RecentConnections } from "./recent-connections.js";
import { statusOf } from "./status.js";

export interface AdminOptions {
  /** "host:port"; "" = off: nothing is started. */
  readonly listen: string;
  /** For what is guarded; "" = none. */
  readonly token: string;
  readonly version: string;
  readonly metrics: MetricsObserver;
  readonly visits: RecentConnections;
  readonly observed: DaemonState;
  readonly hub: Pick<Hub, "end">;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
  /** How many connections there may be; absent = as many as the server takes. */
  readonly cap?: Pick<ConnectionCap, "maxConnections" | "limitReached">;
  /** A request to the admin address failed. */
  readonly failed: (error: unknown) => void;
}

export interface RunningAdmin {
  /** Where it listens; undefined = it is off. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Rejects with "link_failed" when the address cannot be had. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const { listen, token, version, metrics, visits, observed, hub, base, clock, cap, failed } = options;
  if (listen === "") return { url: undefined, close: async () => undefined };
  const { snapshot } = observed;
  const pulse = new RateSampler({ clock, counters: metrics.counters, lag: (ms) => metrics.histograms.lag(ms) });
  const exposition = new Exposition(metrics, snapshot);
  const parts = { version, metrics, pulse, snapshot, exposition };
  const feed = new DashboardStream({
    clock,
    visits,
    status: () => statusOf(parts),
    ...(cap && { most: Math.floor(cap.maxConnections / 2) }),
  });
  const servers = () => observed.servers.map(({ server }) => server);
  const clients = new ClientList({ hub, servers, epoch: () => observed.history?.epoch ?? "", base, clock });
  const routes = new Map([...adminRoutes(parts), ...pageRoutes(token !== "")]);
  const guarded = operatorRoutes(clients, feed);
  const server = new AdminServer({
    ...{ listen, routes, guarded, token, failed },
    ...(cap && { most: cap.maxConnections, full: cap.limitReached }),
  });
  await server.start();
  pulse.start();
  return {
    url: server.url,
    async close() {
      pulse.close();
      feed.close();
      await server.close();
    },
  };
}
