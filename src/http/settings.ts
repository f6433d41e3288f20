/** The settings of HTTP that may change while the daemon runs. */
import type { Access } from "./access.js";
import type { VisitorAddress } from "./visitor/visitor-address.js";

export interface HttpSettings {
  readonly access: Access;
  readonly corsOrigins: readonly string[];
  /** Hosts that are served; empty = every host. */
  readonly hosts: readonly string[];
  /** How long browsers wait before they reconnect, milliseconds. */
  readonly retryMs: number;
  /** Interval of heartbeats, milliseconds; 0 = there are none. */
  readonly heartbeatMs: number;
  /** Clients of all servers together; 0 = no limit. */
  readonly maxClients: number;
  /** Clients of one address; 0 = no limit. */
  readonly maxPerAddress: number;
  /** The cost of the patterns of all clients together; 0 = no limit. */
  readonly maxPatternCost: number;
  /** Longest time that one stream lasts, milliseconds; 0 = no limit. A token that expires earlier ends it then. */
  readonly maxLifetimeMs: number;
  /** Finds visitors behind trusted proxies; undefined = no proxy is trusted, and no header is read. */
  readonly visitors: VisitorAddress | undefined;
}

/** Holds the present settings; a reload replaces them as a whole. */
export interface LiveSettings {
  current: HttpSettings;
}
