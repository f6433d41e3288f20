/** One Mongrel2 that the hub serves: the way out to it, its clients, and what waits for them. */
import type { Arrivals } from "./arrivals.js";
import type { Catchup } from "./catchup.js";
import type { Client } from "./client.js";
import type { Keepalive } from "./keepalive.js";
import type { Outbox } from "./outbox.js";
import type { Outlet } from "./ports.js";
import type { Registry } from "./registry.js";

export interface Server {
  readonly name: string;
  readonly outlet: Outlet;
  readonly registry: Registry;
  readonly outbox: Outbox;
  readonly catchup: Catchup;
  readonly keepalive: Keepalive;
  readonly arrivals: Arrivals;
  /** What Mongrel2 last said may be under way to one connection: it says so only in the first request of each. */
  allowance: number | undefined;
  /** Counts how often its connections were lost: an id from an earlier life is somebody else's. */
  life: number;
  /** Whether its ids are known to be the connections that they were: to no other may a private event be sent. */
  servesPrivate: boolean;
  /** Clients that might see private events, and get none because of that. */
  readonly publicOnly: WeakSet<Client>;
}

/** Its connections are lost: nothing that waits or is known of them counts any more. */
export function resetServer(server: Server): void {
  server.life++;
  server.outbox.reset();
  server.catchup.clear();
  server.registry.clear();
  server.keepalive.reset();
  server.arrivals.clear();
}
