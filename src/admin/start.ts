/** The whole admin side as one part of the daemon: the pulse, the figures and the server. */
import { Exposition } from "../metrics/exposition.js";
import type { MetricsJournal } from "../metrics/journal.js";
import { Pulse } from "../metrics/pulse.js";
import type { Clock } from "../util/clock.js";
import type { Observed } from "./observed.js";
import { adminRoutes } from "./routes.js";
import { AdminServer } from "./server.js";

export interface AdminOptions {
  /** "host:port"; "" = off: nothing is started. */
  readonly listen: string;
  readonly version: string;
  readonly journal: MetricsJournal;
  readonly observed: Observed;
  readonly clock: Clock;
  /** A request to the admin address failed. */
  readonly failed: (error: unknown) => void;
}

export interface Admin {
  /** Where it listens; undefined = it is off. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Rejects with "link.failed" when the address cannot be had. */
export async function startAdmin({ listen, version, journal, observed, clock, failed }: AdminOptions): Promise<Admin> {
  if (listen === "") return { url: undefined, close: async () => undefined };
  const { snapshot } = observed;
  const pulse = new Pulse({ clock, tally: journal.tally, lag: (ms) => journal.histograms.lag(ms) });
  const exposition = new Exposition(journal, snapshot);
  const server = new AdminServer({
    listen,
    routes: adminRoutes({ version, journal, pulse, snapshot, exposition }),
    failed,
  });
  await server.start();
  pulse.start();
  return {
    url: server.url,
    async close() {
      pulse.close();
      await server.close();
    },
  };
}
