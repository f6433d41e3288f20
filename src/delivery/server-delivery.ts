/** One Mongrel2 that the hub serves: the way out to it, its clients, and what waits for them. */

import type { Budget } from "../matching/match-budget.js";
import type { Clock } from "../util/clock.js";
import { acknowledge, leaveServerFence } from "./acknowledge.js";
import { Arrivals } from "./arrivals.js";
import { maxBody } from "./batch.js";
import { Catchup, type CatchupStep } from "./catchup.js";
import type { Client } from "./client.js";
import type { ObserveDelivery } from "./events.js";
import type { HistoryReader } from "./history-reader.js";
import { Keepalive, type KeepaliveTimes } from "./keepalive.js";
import { type Flush, Outbox } from "./outbox.js";
import { Overload } from "./overload.js";
import type { ClientStore, GapReason, History, Outlet } from "./ports.js";
import { Registry } from "./registry.js";
import type { RequestRecord } from "./request-record.js";

export interface Server {
  readonly name: string;
  readonly outlet: Outlet;
  readonly registry: Registry;
  readonly outbox: Outbox;
  readonly catchup: Catchup;
  readonly keepalive: Keepalive;
  readonly overload: Overload;
  readonly arrivals: Arrivals;
  readonly requests: RequestRecord;
  /** What Mongrel2 last said may be under way to one connection: it says so only in the first request of each. */
  creditLimit: number | undefined;
  /** Counts how often its connections were lost: an id from an earlier life is somebody else's. */
  generation: number;
  /** Whether its ids are known to be the connections that they were: to no other may a private event be sent. */
  servesPrivate: boolean;
  /** Clients that might see private events, and get none because of that. */
  readonly publicOnly: WeakSet<Client>;
}

export interface ServerParts {
  readonly history: History;
  readonly reader: HistoryReader;
  readonly clients: ClientStore;
  readonly observe: ObserveDelivery;
  readonly clock: Clock;
  readonly base: string;
  readonly isFlooded: () => boolean;
  /** What finding out who wants a publication may still cost. */
  readonly budget: Budget;
  /** The event that tells a client that it missed something. */
  readonly gap: (reason: GapReason, cursor: number) => Buffer;
  /** Ends a stream that is too expensive. */
  readonly cut: (server: Server, client: number) => void;
}

/** What one flush may spend on clients that are behind, bytes times receivers. */
const CATCHUP_BYTES = 1_000_000;

export function openServer(name: string, outlet: Outlet, times: KeepaliveTimes, parts: ServerParts): Server {
  const { clock, history, reader, clients: store, observe, base, isFlooded, budget, gap, cut } = parts;
  const registry = new Registry(outlet, base, budget);
  const maxBytes = () => maxBody(registry.size);
  const trial = registry.trial.bind(registry);
  const ready = () => outbox.pump();
  const reading = { history: reader, maxBytes, flushBytes: CATCHUP_BYTES, trial };
  const catchup: Catchup = new Catchup({ ...reading, gap, ready, clock });
  const flushed = (flush: Flush) => observe({ type: "flushed", server: name, flush });
  const fenced = (through: number, steps: readonly CatchupStep[]) => acknowledge(server, store, through, steps);
  const fellBehind = (clients: readonly Client[]) => leaveServerFence(server, store, clients);
  const commit = () => history.commit();
  const outbox: Outbox = new Outbox(
    { outlet, clock, catchup, maxBytes, isFlooded, commit, flushed, fenced, fellBehind },
    history.last,
  );
  const keepalive = new Keepalive({ outlet, registry, clock }, times);
  const overload = new Overload({ clock, registry, catchup, outbox, cut: (id) => cut(server, id) });
  const queues = { outbox, catchup, keepalive, overload, arrivals: new Arrivals(), requests: store.requests(name) };
  const isolation = { servesPrivate: true, publicOnly: new WeakSet<Client>() };
  const server: Server = { name, outlet, registry, ...queues, ...isolation, creditLimit: undefined, generation: 0 };
  return server;
}

/** Its connections are lost: nothing that waits or is known of them counts any more. */
export function resetServer(server: Server): void {
  server.generation++;
  server.outbox.reset();
  server.catchup.clear();
  server.overload.reset();
  server.registry.clear();
  server.keepalive.reset();
  server.arrivals.clear();
}

/** Nothing is kept alive, looked after or cut from now on. */
export function closeTimers({ keepalive, overload }: Server): void {
  keepalive.close();
  overload.reset();
}
