/**
 * One Mongrel2 and all that belongs to it: its link, its endpoint, its place in the hub, what an earlier process left of its
 * clients, and who takes its messages.
 */
import type { ServerConfig } from "../config/schema.js";
import type { Hub } from "../hub/hub.js";
import type { KeepaliveTimes } from "../hub/keepalive.js";
import type { ClientStore, Legacy } from "../hub/ports.js";
import type { Server } from "../hub/server.js";
import type { Chronicle } from "../metrics/tee.js";
import { RequestError } from "../protocol/request.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { Asker } from "../zmq/dealer.js";
import { Link, type LinkObserver } from "../zmq/link.js";
import { Control } from "./control.js";
import { Endpoint, type EndpointEvents } from "./endpoint.js";
import { reachability } from "./reachability.js";
import { reception, type Visitors } from "./reception.js";
import { Recovery } from "./recovery.js";

/** How long the control port may take to answer, milliseconds. */
const CONTROL_PATIENCE = 2000;

export interface Surroundings {
  readonly hub: Hub;
  readonly store: ClientStore;
  readonly visitors: Visitors;
  readonly journal: Chronicle;
  readonly clock: Clock;
  /** Standing problems, by server name. */
  readonly conditions: Conditions;
  readonly times: KeepaliveTimes;
}

export interface Served {
  readonly server: Server;
  readonly endpoint: Endpoint;
  /** Resolves with whether it is certain that no request was lost. */
  stop(): Promise<boolean>;
}

/** Resolves when its sockets are there; it is served as soon as it answers, which may be later. Rejects with "link.failed". */
export async function serve(config: ServerConfig, around: Surroundings): Promise<Served> {
  // Long because it is two lists of who is told what, and nothing else.
  const { hub, visitors, store, journal, clock, times } = around;
  const { name, send_ident: sendIdent, max_targets: maxTargets } = config;
  const isOpen = (id: number) => server.registry.clients.has(id);
  const recovery: Recovery = new Recovery({
    clock,
    connections: askerOf(config),
    isTaken: isOpen,
    adopt: (client) => hub.adopt(server, client, legacy.aliveAt),
    forget: (clients) => hub.forget(server, clients),
    cancel: (ids) => server.outlet.cancel(ids),
    settled: (result) => {
      legacy = { clients: [], aliveAt: 0, cleanStop: false };
      journal.recovered(name, result);
      store.vouch(name);
    },
    failed: (error) => journal.controlFailed(name, error),
  });
  let legacy = store.legacy(name);
  const events: EndpointEvents = {
    live: (took) => {
      journal.serverLive(name, took);
      hub.live(server);
      recovery.begin(legacy);
    },
    lost: (why) => {
      recovery.stop();
      journal.serverLost(name, why);
      legacy = joined(legacy, { clients: hub.lost(server), aliveAt: clock.monotonic(), cleanStop: false });
    },
    inbound: (message) => receive(message),
    malformed: (error) => {
      journal.malformed(name, error);
      if (error instanceof RequestError && error.id !== undefined) visitors.refuse(server, error.id, "malformed");
    },
    silent: (milliseconds, wasLive) => journal.serverSilent(name, milliseconds, wasLive),
    wrongIdent: (seen) => journal.wrongIdent(name, sendIdent, seen),
    fencePassed: (milliseconds) => journal.fencePassed(name, milliseconds),
    stale: (messages) => journal.stale(name, messages),
  };
  const transport = linkOf(config, clock, reachability(name, around.conditions, journal));
  const endpoint: Endpoint = new Endpoint({ sendIdent, maxTargets, transport, clock, isOpen, events });
  const server: Server = hub.serve(name, endpoint, times);
  const receive = reception(hub, server, visitors);
  await endpoint.start();
  return {
    server,
    endpoint,
    async stop() {
      recovery.stop();
      // A ZeroMQ proxy between us may have taken requests that it could not hand on.
      const isWhole = (await endpoint.stop()) && !config.bind;
      // Where this process never was connected, what the one before it left is as it was.
      const isUntouched = legacy.cleanStop && !endpoint.wasConnected;
      if (isUntouched || (isWhole && recovery.isOver)) store.stoppedCleanly(name);
      return isWhole || !endpoint.wasConnected;
    },
  };
}

function linkOf(config: ServerConfig, clock: Clock, observer: LinkObserver): Link {
  const { send_spec: sendSpec, recv_spec: recvSpec, identity, bind } = config;
  return new Link({ sendSpec, recvSpec, identity, bind, clock, observer });
}

/** What was left behind twice, before the first was settled: the proof must hold for both. */
function joined(first: Legacy, second: Legacy): Legacy {
  if (first.clients.length === 0) return second;
  const aliveAt = Math.min(first.aliveAt, second.aliveAt);
  return { clients: [...first.clients, ...second.clients], aliveAt, cleanStop: second.cleanStop };
}

/** How to ask for Mongrel2's connections; undefined where no control port is known. */
function askerOf({ control }: ServerConfig) {
  if (control === undefined) return undefined;
  const port = new Control(new Asker(control, CONTROL_PATIENCE));
  return () => port.connections();
}
