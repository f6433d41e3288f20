/** The parts of the daemon that a snapshot reads. The composition root (daemon.ts) adds each when it has started. */
import type { FeedStatus } from "../../client-events/event-feed.js";
import type { WebhookStatus } from "../../client-events/webhooks.js";
import type { History } from "../../delivery/history.js";
import type { ServerDelivery } from "../../delivery/server-delivery.js";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { Clock } from "../../util/clock.js";
import type { Conditions } from "../../util/conditions.js";
import type { LimitUse, ServerSnapshot, Snapshot } from "../metrics/snapshot.js";
import { type SlowClient, slowestClients } from "./slowest-clients.js";

export interface ServerState {
  readonly server: ServerDelivery;
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** Whether the link is live. */
  readonly link: { readonly live: boolean };
}

export class DaemonState {
  phase: Snapshot["phase"] = "starting";
  history: History | undefined;
  /** The nodes of the cluster; absent = no cluster. */
  nodes: { snapshot(): readonly NodeSnapshot[] } | undefined;
  /** Absent = the hub has not started. */
  compression: Snapshot["compression"];
  /** Absent = they are not collected yet. */
  conditions: Conditions | undefined;
  /** How much of each limit is used now. */
  limits: () => readonly LimitUse[] = () => [];
  /** The PUB socket for client events; absent = there is none. */
  eventFeed: (() => FeedStatus) | undefined;
  webhooks: () => readonly WebhookStatus[] = () => [];
  readonly servers: ServerState[] = [];
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #startedMonotonic: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#startedMonotonic = clock.monotonic();
  }

  /** Clients connected to all servers. */
  get clients(): number {
    return this.servers.reduce((sum, { server }) => sum + server.clients.size, 0);
  }

  /** The clients that are furthest behind. */
  readonly slowestClients = (): SlowClient[] =>
    slowestClients(
      this.servers.map(({ server }) => server),
      this.#clock,
    );

  readonly snapshot = (): Snapshot => ({
    phase: this.phase,
    startedAt: this.#startedAt,
    uptime: (this.#clock.monotonic() - this.#startedMonotonic) / 1000,
    servers: this.servers.map((server) => serverSnapshot(server, this.conditions)),
    history: this.history && historySnapshot(this.history),
    nodes: this.nodes?.snapshot(),
    compression: this.compression,
    eventFeed: this.eventFeed?.(),
    webhooks: this.webhooks(),
    conditions: this.conditions?.active ?? [],
    limits: this.limits(),
  });
}

function serverSnapshot({ server, sendSpec, recvSpec, link }: ServerState, conditions?: Conditions): ServerSnapshot {
  const { name, figures } = server;
  const { clients, behind: catchingUp, audiences, waiting: queuedBodies, maxBehindEvents } = figures;
  const silent = conditions?.has("mongrel2_silent", name) ?? false;
  const counts = { clients, catchingUp, audiences, queuedBodies, maxBehindEvents };
  return { name, sendSpec, recvSpec, live: link.live, silent, ...counts };
}

const historySnapshot = ({ epoch, last, floor, keyCount: keys, count, keptCount: kept = 0, bytes }: History) => ({
  ...{ epoch, last, floor, keys, count, kept, bytes },
});
