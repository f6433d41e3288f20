/** What can be read off the running daemon at any moment, for gauges, /readyz and /status. Nobody keeps one: it is made anew. */

import type { NodeSnapshot } from "../../hub/node-state.js";
import type { ActiveCondition } from "../../util/conditions.js";

export interface ServerSnapshot {
  readonly name: string;
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** A fence has passed in this life of the link: it is served. */
  readonly live: boolean;
  /** Mongrel2 has not answered for some seconds (the condition mongrel2_silent). */
  readonly silent: boolean;
  readonly clients: number;
  /** Clients that get their publications from history, because they came back or have no credit. */
  readonly behind: number;
  readonly audiences: number;
  /** Bodies that wait to be sent, over all audiences. */
  readonly waiting: number;
}

export interface HistorySnapshot {
  readonly epoch: string;
  readonly last: number;
  readonly floor: number;
  readonly count: number;
  readonly bytes: number;
}

export interface Snapshot {
  readonly phase: "starting" | "running" | "stopping";
  /** When the daemon began, milliseconds since 1970. */
  readonly startedAt: number;
  /** Seconds. */
  readonly uptime: number;
  readonly servers: readonly ServerSnapshot[];
  /** Undefined until it is open. */
  readonly history: HistorySnapshot | undefined;
  /** This daemon and the others that share its stream; undefined = it is alone. */
  readonly nodes: readonly NodeSnapshot[] | undefined;
  /** Standing problems, the oldest first. */
  readonly conditions: readonly ActiveCondition[];
}
