/**
 * THE MAP: the composition root. Builds the parts, plugs implementations into ports, starts and stops them in order.
 *
 *   A. a browser subscribes                               B. somebody publishes
 *   zmq/link           one receive loop, always on        zmq/pull -> ingress
 *   mongrel2/endpoint  bytes -> protocol/request          protocol/publication   parse and check, once
 *   mongrel2/reception kind of message -> who takes it    hub.publish            -> bus
 *   http/router        path + method -> route             cluster/local, /bus    gives the position (epoch.offset)
 *   http/routes/...    limits, last event id              hub.deliver            history.append -> outbox
 *   hub.subscribe      registry -> catch up -> live
 *   hub/outbox ------> Outlet (mongrel2/endpoint) ------> protocol/reply ------> zmq/link (the only sender)
 *
 * Each arrow is one call into the next file; nothing calls back up except through a port given at construction, here.
 * Long because it is the list of all parts.
 */

import { hostname } from "node:os";
import { LocalBus } from "./cluster/local-bus.js";
import type { Nodes } from "./cluster/nodes.js";
import { restartKeys } from "./config/restart-keys.js";
import type { Config } from "./config/schema.js";
import type { Bus, ClientStore, History } from "./delivery/ports.js";
import { M2pushError } from "./errors.js";
import { App, hubUrl } from "./http/app.js";
import { Presence } from "./http/mercure/presence.js";
import { isReserved } from "./http/mercure/reserved.js";
import { Router } from "./http/router.js";
import { Beacon } from "./hub/beacon.js";
import type { Observe } from "./hub/events.js";
import { Hub } from "./hub/hub.js";
import { combineObservers } from "./hub/observers.js";
import { Ingress } from "./ingress/ingress.js";
import { socketObserver } from "./ingress/socket-observer.js";
import { handOver } from "./mongrel2/handover.js";
import { type ServedMongrel2, type ServerDeps, serveMongrel2 } from "./mongrel2/serve-mongrel2.js";
import { DaemonState } from "./observability/admin/daemon-state.js";
import { RecentConnections } from "./observability/admin/recent-connections.js";
import { startAdmin } from "./observability/admin/start-admin.js";
import { LogObserver } from "./observability/log/log-observer.js";
import { droppedLines, type Logger } from "./observability/log/logger.js";
import { MetricsObserver } from "./observability/metrics/metrics-observer.js";
import { openClientStore, withoutRecord } from "./storage/clients/open-client-store.js";
import { checkFolder, lockFolder } from "./storage/folder-lock.js";
import { MemoryHistory, newEpoch } from "./storage/memory/memory-history.js";
import { openHistory } from "./storage/open-history.js";
import { storageConditions } from "./storage/storage-failure.js";
import { type Clock, systemClock } from "./util/clock.js";
import { Conditions } from "./util/conditions.js";
import { ConnectionCap, descriptorLimit, descriptorShares } from "./util/descriptors.js";
import { Throttle } from "./util/throttle.js";
import { packageVersion } from "./util/version.js";
import { PullServer } from "./zmq/pull-server.js";

/** A running daemon. */
export interface Daemon {
  /** Takes over what may change without a restart. Returns the paths of the keys that differ but need one. */
  reload(config: Config): readonly string[];
  /** Sends what was published and lets go of everything; the streams stay open for the next process, or are closed. */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly log: Logger;
  /** Absent = the machine's. */
  readonly clock?: Clock;
  /** Close streams when stopping; absent = leave them open for the next process. */
  readonly drain?: boolean;
  /** Aborted: stop waiting for what must be there before the daemon can start (NATS, in a cluster). */
  readonly signal?: AbortSignal;
  /** Tell a daemon that has the same data to stop, and wait for it; absent = that is an error. */
  readonly takeover?: boolean;
}

/** How long a takeover waits for the other daemon to stop, milliseconds. */
const TAKEOVER_PATIENCE = 15_000;
/** What of a cluster's history is in memory. */
const TAIL = { maxEvents: 20_000, maxBytes: 16_000_000 };

/** Starts one part and remembers how it is stopped. */
type Start = <T>(name: string, start: () => Promise<T> | T, stop: (it: T) => Promise<void> | void) => Promise<T>;

/**
 * Starts a daemon. Resolves when every part is up; it serves each Mongrel2 as soon as that answers, which may be later.
 * Rejects with the first M2pushError of a part, after what was started has been stopped again.
 */
export async function startDaemon(config: Config, options: DaemonOptions): Promise<Daemon> {
  const { log, clock = systemClock, drain = false, takeover = false, signal = new AbortController().signal } = options;
  const stops: (() => Promise<void> | void)[] = [];
  const start: Start = async (name, begin, stop) => {
    log.debug({ event: "starting", part: name }, "starting");
    const it = await begin();
    stops.push(() => stop(it));
    return it;
  };
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    return { reload: await startAll(config, { log, clock, drain, takeover, signal }, start), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The order of the start; the stop is the reverse. Returns what reload() does. Long because it is one list. */
async function startAll(config: Config, options: Required<DaemonOptions>, start: Start) {
  const { log, clock, drain } = options;
  const metrics = new MetricsObserver(clock);
  const recentConnections = new RecentConnections(clock);
  const observers = [new LogObserver(log, clock), metrics, recentConnections].map((it) => it.observe);
  const observe = combineObservers(observers, observerFailed(log, clock));
  const live = { config };
  const observed = new DaemonState(clock);
  const conditions = new Conditions(clock, observe);
  observed.conditions = conditions;
  const caps = await start(
    "connection caps",
    () => connectionCaps(config, clock, conditions),
    (it) => it.close(),
  );
  const source = config.publish.zmq ? new PullServer(config.publish.zmq, clock, caps.publishers) : undefined;
  const { hub, store, history, presence } = await startHub(
    config,
    { observe, observed, conditions, source },
    options,
    start,
  );
  const base = hubUrl(config);
  const figures = {
    version: packageVersion(),
    metrics,
    droppedLogLines: () => droppedLines(log),
    recentConnections,
    state: observed,
  };
  const failed = (error: unknown) =>
    log.error({ event: "admin_request_failed", err: error }, "a request to the admin address failed");
  const admin = await start(
    "admin",
    () => startAdmin({ ...config.admin, ...figures, hub, base, clock, cap: caps.admin, failed }),
    (it) => it.close(),
  );
  const warn = (warning: string) => log.warn({ event: "key" }, warning);
  const rejected = (error: M2pushError) => observe({ type: "publicationRejected", source: "http", error });
  const site = new App(config, { hub, history, presence, clock, rejected, warn });
  const readable = site.readable.bind(site);
  const misdirected = site.misdirected.bind(site);
  const answered = (server: string, route: string, status: number, reason?: string) =>
    observe({ type: "requestCompleted", server, route, status, reason });
  const visitors = new Router({ hub, routes: site.routes, answered, readable, misdirected });
  const retryMs = () => live.config.stream.retry;
  const yielded = whenAllYielded(config, log, source);
  const around = { hub, visitors, store, observe, clock, conditions, times: config.stream, retryMs, yielded };
  const served = await startServers(config, around, observed, options, start);
  const endpoints = served.map(({ endpoint }) => endpoint);
  const abandoned = (connections: number) =>
    log.warn(
      { event: "responses_abandoned", connections },
      "answers took too long while stopping: publishers were told to try again, others cut",
    );
  const endStreams = () => {
    observed.phase = "stopping";
    // Beside another daemon nobody could go on with the streams; those of a history in memory must be read again anyway.
    const isClosing = drain || config.history.store === "memory" || served.some(({ isContended }) => isContended);
    return handOver({
      hub,
      visitors,
      endpoints,
      clock,
      retry: isClosing ? retryMs() : undefined,
      isForgetful: config.history.store === "memory",
      abandoned,
    });
  };
  await start("streams", () => hub, endStreams);
  const beacon = await startIngress(config, around, start, internalPublicationFailed(observe, log), source);
  observed.phase = "running";
  const servers = config.mongrel2.map(({ name }) => name);
  log.info({ event: "started", servers, epoch: history.epoch, admin: admin.url }, "m2push started");
  return (next: Config) => {
    site.reload(next);
    live.config = next;
    log.level = next.log.level;
    beacon.start(next.beacon);
    for (const { keepalive } of hub.servers) keepalive.start(next.stream);
    return restartKeys(config, next);
  };
}

/** How many connections publishers and operators may have: all together fewer than there are descriptors. */
function connectionCaps(config: Config, clock: Clock, conditions: Conditions) {
  const shares = descriptorShares(descriptorLimit(), config.mongrel2.length);
  const fix = "end programs that connect without need, or raise LimitNOFILE (ulimit -n)";
  const told = { clock, conditions, fix };
  const many = (who: string, most: number) => `${who} have all ${most} connections that they may have`;
  const publishers = new ConnectionCap(shares.publishers, {
    ...told,
    subject: "publish.zmq",
    message: `${many("publishers", shares.publishers)}: further ones are refused`,
  });
  const admin = new ConnectionCap(shares.admin, {
    ...told,
    subject: "admin",
    message: `${many("clients of the admin address", shares.admin)}: idle ones are closed`,
  });
  const close = () => {
    publishers.close();
    admin.close();
  };
  return { publishers, admin, close };
}

/** Who is told, who looks, and where publishers are. */
interface ObserverDeps {
  readonly observe: Observe;
  readonly observed: DaemonState;
  readonly conditions: Conditions;
  readonly source: PullServer | undefined;
}

/** What is kept, what counts, and what stands between them and the clients. */
async function startHub(config: Config, told: ObserverDeps, options: Required<DaemonOptions>, start: Start) {
  const { clock } = options;
  const { observe, observed, conditions, source } = told;
  const isFlooded = () => source?.isFlooded ?? false;
  const isAlone = config.cluster.nats.length === 0;
  const { history, bus, nodes } = isAlone
    ? await startAlone(config, told, options, start)
    : await startCluster(config, told, options, start);
  Object.assign(observed, { history, nodes });
  const store = await start(
    "client store",
    () => openStore(config, history, told, options, start),
    (it) => it.close(),
  );
  await start(
    "bus",
    () => bus,
    (it) => it.close(),
  );
  const base = hubUrl(config);
  const presence = new Presence({ path: config.hub.path, base, head: () => history.last, others: nodes });
  const random = Math.random;
  const parts = { bus, history, clients: store, observe, attendance: presence, presence };
  const hub = new Hub({ ...parts, clock, base, random, isFlooded, conditions });
  await hub.start();
  return { hub, store, history, presence };
}

interface EventLog {
  readonly bus: Bus;
  readonly history: History;
  /** The daemons that share the stream; absent = this one is alone. */
  readonly nodes?: Nodes;
}

/** This daemon counts, and keeps what it counted. */
async function startAlone(
  config: Config,
  told: ObserverDeps,
  options: Required<DaemonOptions>,
  start: Start,
): Promise<EventLog> {
  const history = await start(
    "history",
    () => open(config, told.conditions, options),
    (it) => it.close(),
  );
  return { history, bus: new LocalBus(history, options.clock) };
}

/** A stream counts and keeps; several daemons share it. */
async function startCluster(
  config: Config,
  { observed, conditions }: ObserverDeps,
  options: Required<DaemonOptions>,
  start: Start,
): Promise<EventLog> {
  const { log, clock, takeover, signal } = options;
  const { store, path, max_age: maxAge } = config.history;
  const folder = store === "lmdb" ? path : undefined;
  if (folder !== undefined) {
    const lock = await start(
      "data folder",
      () => lockFolder(folder, clock, takeover ? TAKEOVER_PATIENCE : 0),
      (it) => it.release(),
    );
    if (lock.warning !== undefined) log.warn({ event: "history" }, lock.warning);
  }
  const [{ connectNats }, { clusterConditions }] = await Promise.all([
    import("./cluster/open-cluster.js"),
    import("./cluster/cluster-conditions.js"),
  ]);
  const tail = (from: { epoch: string; last: number }) => new MemoryHistory({ ...TAIL, maxAge }, clock, from);
  const warn = (warning: string) => log.warn({ event: "cluster" }, warning);
  const { changed, refused } = clusterConditions(conditions);
  const [name, version] = [`${hostname()}/${process.pid}`, packageVersion()];
  const about = () => ({ name, version, clients: observed.clients });
  return start(
    "cluster",
    () => connectNats(config, { clock, folder, tail, newEpoch, about, warn, changed, refused, signal }),
    (it) => it.close(),
  );
}

async function startServers(
  config: Config,
  around: ServerDeps,
  observed: DaemonState,
  { log }: Required<DaemonOptions>,
  start: Start,
) {
  const all: ServedMongrel2[] = [];
  for (const server of config.mongrel2) {
    const served = await start(
      `server ${server.name}`,
      () => serveMongrel2(server, around),
      async (it) => reportStop(log, server.name, await it.stop()),
    );
    const { send_spec: sendSpec, recv_spec: recvSpec } = server;
    observed.servers.push({ server: served.server, sendSpec, recvSpec, link: served.endpoint });
    all.push(served);
  }
  return all;
}

/** Whether the next process has to look for requests that nobody answers. */
function reportStop(log: Logger, server: string, isWhole: boolean): void {
  if (isWhole) {
    log.info({ event: "server_stopped", server }, "every request that Mongrel2 handed over is answered");
    return;
  }
  const fix =
    "none, the next process looks for them; Mongrel2 did not answer, or a ZeroMQ proxy (bind = true) stands between";
  log.warn({ event: "server_stopped", server, fix }, "stopped: requests under way may have been lost");
}

/**
 * Where every Mongrel2 has been left to another daemon nobody would get what is published here: it stays with the publishers' PUSH
 * sockets, for whoever binds the address next.
 */
function whenAllYielded({ mongrel2, publish }: Config, log: Logger, source?: PullServer): () => Promise<void> {
  let serving = mongrel2.length;
  return async () => {
    serving--;
    if (serving > 0 || !source) return;
    await source.close();
    const fix = "stop this daemon, or the other one and then restart this one";
    const text = "publications over ZeroMQ are not taken any more: another daemon serves Mongrel2";
    log.warn({ event: "ingress_closed", address: publish.zmq, fix }, text);
  };
}

/** Where publications come in. */
async function startIngress(
  config: Config,
  around: ServerDeps,
  start: Start,
  failed: (error: unknown) => void,
  source?: PullServer,
): Promise<Beacon> {
  const { hub, observe, clock, conditions } = around;
  const rejected = (error: M2pushError) => observe({ type: "publicationRejected", source: "zmq", error });
  if (source) {
    const observer = socketObserver(config.publish.zmq, conditions, observe);
    const url = new URL(hubUrl(config));
    const ingress = new Ingress({
      source,
      post: hub.post.bind(hub),
      isReserved: (topic) => isReserved(topic, url),
      rejected,
      observer,
    });
    await start(
      "ingress",
      () => ingress.start(),
      () => ingress.close(),
    );
  }
  const beacon = new Beacon({ clock, publish: (draft) => void hub.publish(draft).catch(failed) });
  await start(
    "beacon",
    () => beacon.start(config.beacon),
    () => beacon.close(),
  );
  return beacon;
}

/** What is observed goes on: a line of the log or a count is missing, and one line a second says so. */
function observerFailed(log: Logger, clock: Clock): (error: unknown) => void {
  const throttle = new Throttle(clock, 1000);
  const text = "internal error: an event of the daemon was not logged or counted";
  return (error) =>
    throttle.pass("observer", (suppressed) => log.error({ event: "internal_error", err: error, suppressed }, text));
}

/** A publication of the daemon itself that is rejected is counted like any other; whatever else went wrong is a mistake of ours. */
function internalPublicationFailed(observe: Observe, log: Logger): (error: unknown) => void {
  return (error) => {
    if (error instanceof M2pushError) observe({ type: "publicationRejected", source: "internal", error });
    else log.error({ event: "internal_error", err: error }, "an event of the daemon itself could not be published");
  };
}

function open({ history }: Config, conditions: Conditions, options: Required<DaemonOptions>): Promise<History> {
  const { clock, takeover, log } = options;
  const { store, path, durability, max_events: maxEvents, max_age: maxAge, max_bytes: maxBytes } = history;
  const patience = takeover ? TAKEOVER_PATIENCE : 0;
  const warn = (warning: string) => log.warn({ event: "history" }, warning);
  const observer = storageConditions(conditions, durability === "memory");
  return openHistory(
    { store, path, durability, maxEvents, maxAge, maxBytes, takeover: patience, warn, observer },
    clock,
  );
}

/**
 * The record of clients is on disk whatever the history is. Where the history is not, nothing else needs the data folder: then one
 * that cannot be used is no reason not to start.
 */
async function openStore(
  { history: { store, path: folder } }: Config,
  { epoch }: History,
  { conditions }: ObserverDeps,
  { clock, takeover, log }: Required<DaemonOptions>,
  start: Start,
): Promise<ClientStore> {
  if (store === "memory") {
    const unusable = checkFolder(folder);
    if (unusable) return withoutRecord(folder, unusable, clock, conditions);
    await start(
      "data folder",
      () => lockFolder(folder, clock, takeover ? TAKEOVER_PATIENCE : 0),
      (it) => it.release(),
    );
  }
  const warn = (warning: string) => log.warn({ event: "client_record" }, warning);
  return openClientStore({ folder, epoch, clock, conditions, warn });
}
