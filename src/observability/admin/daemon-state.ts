/** The parts of a daemon that a snapshot looks at. The composition root adds each when it is there. */
import type { History } from "../../delivery/history.js";
import type { Server } from "../../delivery/server-delivery.js";
import type { NodeSnapshot } from "../../hub/node-state.js";
import type { Clock } from "../../util/clock.js";
import type { Conditions } from "../../util/conditions.js";
import type { ServerSnapshot, Snapshot } from "../metrics/snapshot.js";

export interface ServerState {
  readonly server: Server;
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** The endpoint: whether its link is live. */
  readonly link: { readonly live: boolean };
}

export class DaemonState {
  phase: Snapshot["phase"] = "starting";
  history: History | undefined;
  /** The daemons that share a stream; absent = this one is alone. */
  nodes: { snapshot(): readonly NodeSnapshot[] } | undefined;
  /** Standing problems; absent = none are collected yet. */
  conditions: Conditions | undefined;
  readonly servers: ServerState[] = [];
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #began: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#began = clock.monotonic();
  }

  /** Clients connected to all servers. */
  get clients(): number {
    return this.servers.reduce((sum, { server }) => sum + server.clients.size, 0);
  }

  readonly snapshot = (): Snapshot => ({
    phase: this.phase,
    startedAt: this.#startedAt,
    uptime: (this.#clock.monotonic() - this.#began) / 1000,
    servers: this.servers.map((server) => look(server, this.conditions)),
    history: this.history && measures(this.history),
    nodes: this.nodes?.snapshot(),
    conditions: this.conditions?.active ?? [],
  });
}

function look({ server, sendSpec, recvSpec, link }: ServerState, conditions?: Conditions): ServerSnapshot {
  const { name, figures } = server;
  const { clients, behind, audiences, waiting } = figures;
  const silent = conditions?.has("mongrel2_silent", name) ?? false;
  return { name, sendSpec, recvSpec, live: link.live, silent, clients, behind, audiences, waiting };
}

const measures = ({ epoch, last, floor, count, bytes }: History) => ({ epoch, last, floor, count, bytes });
