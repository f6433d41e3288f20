/** The whole admin side as one part of the daemon: the pulse, the figures, the feed and the server. */
import type { Hub } from "../hub/hub.js";
import { Exposition } from "../metrics/exposition.js";
import type { MetricsJournal } from "../metrics/journal.js";
import { Pulse } from "../metrics/pulse.js";
import type { Clock } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import { Clients } from "./clients.js";
import { Feed } from "./feed.js";
import type { Observed } from "./observed.js";
import { operatorRoutes } from "./operator.js";
import { pageRoutes } from "./pages.js";
import { adminRoutes } from "./routes.js";
import { AdminServer } from "./server.js";
import { statusOf } from "./status.js";
import type { Visits } from "./visits.js";

export interface AdminOptions {
  /** "host:port"; "" = off: nothing is started. */
  readonly listen: string;
  /** For what is guarded; "" = none. */
  readonly token: string;
  readonly version: string;
  readonly journal: MetricsJournal;
  readonly visits: Visits;
  readonly observed: Observed;
  readonly hub: Pick<Hub, "end">;
  /** The hub's URL. */
  readonly base: string;
  readonly clock: Clock;
  /** How many connections there may be; absent = as many as the server takes. */
  readonly cap?: Pick<ConnectionCap, "most" | "reached">;
  /** A request to the admin address failed. */
  readonly failed: (error: unknown) => void;
}

export interface Admin {
  /** Where it listens; undefined = it is off. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Rejects with "link.failed" when the address cannot be had. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { listen, token, version, journal, visits, observed, hub, base, clock, cap, failed } = options;
  if (listen === "") return { url: undefined, close: async () => undefined };
  const { snapshot } = observed;
  const pulse = new Pulse({ clock, tally: journal.tally, lag: (ms) => journal.histograms.lag(ms) });
  const exposition = new Exposition(journal, snapshot);
  const parts = { version, journal, pulse, snapshot, exposition };
  const feed = new Feed({
    clock,
    visits,
    status: () => statusOf(parts),
    ...(cap && { most: Math.floor(cap.most / 2) }),
  });
  const servers = () => observed.servers.map(({ server }) => server);
  const clients = new Clients({ hub, servers, epoch: () => observed.history?.epoch ?? "", base, clock });
  const routes = new Map([...adminRoutes(parts), ...pageRoutes(token !== "")]);
  const guarded = operatorRoutes(clients, feed);
  const server = new AdminServer({
    ...{ listen, routes, guarded, token, failed },
    ...(cap && { most: cap.most, full: cap.reached }),
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
