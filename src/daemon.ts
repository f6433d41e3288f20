/**
 * The composition root, and the map of the source. PARTS lists what a daemon consists of, in the order of the start; the stop is the
 * reverse. Implementations are plugged into ports here and in daemon/, nowhere else.
 *
 *   A browser subscribes                                      A publisher publishes
 *   zmq/native-transport      one receive loop, always on     zmq/native-server -> ingress   or http/routes/publish
 *   mongrel2/mongrel2-link    bytes -> protocol/request       protocol/publication           parse and check, once
 *   mongrel2/dispatch         request, notice, credit         hub.publish -> bus             position (#epoch.offset)
 *   http/router               path and method -> route        hub                            history.append, then
 *   http/routes, subscribe    parse -> authorize -> hub       delivery/server-delivery       enqueue -> outbox -> flush
 *   hub.subscribe             delivery/server-delivery.open   mongrel2/mongrel2-link         protocol/reply -> zmq (the only sender)
 */

import { configSchema } from "./config/config-schema.js";
import { restartKeys } from "./config/restart-keys.js";
import type { Config } from "./config/schema.js";
import { applyTopicRules } from "./daemon/apply-topic-rules.js";
import { startClientEvents } from "./daemon/client-events.js";
import { connectionCaps } from "./daemon/connection-caps.js";
import type { Daemon, DaemonAddress, DaemonOptions, EventToPublish } from "./daemon/daemon-api.js";
import { DaemonContext, type Part, started } from "./daemon/daemon-context.js";
import { describeChannels } from "./daemon/describe-channels.js";
import { endStreams, startServers, stopServers } from "./daemon/mongrel2-servers.js";
import { openCompression } from "./daemon/open-compression.js";
import { lockDataFolder, openClients, openEventLog } from "./daemon/open-event-log.js";
import { openRevocations } from "./daemon/open-revocations.js";
import { PublishSockets } from "./daemon/publish-sockets.js";
import { isReservedTopic } from "./daemon/reserved-topics.js";
import { startBeacon } from "./daemon/start-beacon.js";
import { startObservers } from "./daemon/start-observers.js";
import { startTraces } from "./daemon/start-traces.js";
import { type M2pushError, ProtocolError } from "./errors.js";
import { App, hubUrl } from "./http/app.js";
import { describeHub } from "./http/docs/describe-hub.js";
import { Presence } from "./http/mercure/presence.js";
import { Router } from "./http/router.js";
import { Hub } from "./hub/hub.js";
import { socketObserver } from "./ingress/socket-observer.js";
import { TopicRules } from "./matching/topic-rules.js";
import { startAdmin } from "./observability/admin/start-admin.js";
import { droppedLines, openLog } from "./observability/log/logger.js";
import { checkDraft, type Draft } from "./protocol/publication.js";
import { Publisher } from "./publishing/publisher.js";
import { RateLimiter } from "./publishing/rate-limiter.js";
import { Remover } from "./publishing/remover.js";
import { JwksFiles } from "./storage/jwks-files.js";
import { systemClock } from "./util/clock.js";
import { packageVersion } from "./util/package-version.js";

/** In the order of the start. */
const PARTS: readonly Part[] = [
  { name: "observers", start: startObservers },
  { name: "traces", start: startTraces, stop: (it) => it.traces?.close() },
  {
    name: "connection caps",
    start: (it) => {
      it.caps = connectionCaps(it.initial, it.options.clock, it.conditions);
    },
    stop: (it) => it.caps?.close(),
  },
  {
    name: "data folder",
    start: async (it) => {
      it.lock = await lockDataFolder(it);
    },
    stop: (it) => it.lock?.release(),
  },
  {
    name: "event log",
    start: async (it) => {
      it.rules = new TopicRules(it.initial.topic, hubUrl(it.initial));
      it.eventLog = await openEventLog(it);
      it.state.history = it.eventLog.history;
      it.state.nodes = it.eventLog.nodes;
    },
    stop: (it) => it.eventLog?.close(),
  },
  {
    name: "client store",
    start: async (it) => {
      it.store = await openClients(it, started(it.eventLog, "the event log").history.epoch);
    },
    stop: (it) => it.store?.close(),
  },
  {
    name: "client events",
    start: async (it) => {
      it.clientEvents = await startClientEvents(it);
    },
    stop: (it) => it.clientEvents?.close(),
  },
  { name: "hub", start: startHub, stop: (it) => it.eventLog?.bus.close() },
  { name: "admin server", start: startAdminServer, stop: (it) => it.admin?.close() },
  { name: "HTTP", start: startHttp, stop: (it) => it.app?.close() },
  { name: "Mongrel2 servers", start: startServers, stop: stopServers },
  { name: "streams", start: () => {}, stop: endStreams },
  { name: "ingress", start: startIngress, stop: (it) => it.publishers?.close() },
  { name: "beacon", start: startBeacon, stop: (it) => it.beacon?.close() },
];

/**
 * Starts a daemon. Resolves when every part has started; a Mongrel2 that does not answer yet is served as soon as it does. Rejects with
 * the M2pushError of the first part that fails, after the parts before it have stopped again.
 */
export async function startDaemon(config: Config, options: DaemonOptions = {}): Promise<Daemon> {
  const { log = openLog(config.log.level, config.log), clock = systemClock, drain = false, takeover = false } = options;
  const { signal = new AbortController().signal } = options;
  const context = new DaemonContext(config, { log, clock, drain, takeover, signal });
  const running: Part[] = [];
  const stop = async () => {
    for (const part of running.splice(0).reverse()) await part.stop?.(context);
  };
  try {
    for (const part of PARTS) {
      log.debug({ event: "starting", part: part.name }, "starting");
      running.push(part);
      await part.start(context);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  context.state.phase = "running";
  const address = addressOf(context);
  const servers = config.mongrel2.map(({ name }) => name);
  log.info(
    { event: "started", servers, epoch: context.eventLog?.history.epoch, admin: address.admin },
    "m2push started",
  );
  let stopped: Promise<void> | undefined;
  return {
    address,
    live: context.live,
    publish: (event) => publish(context, event),
    on: (type, listener) => context.listeners.on(type, listener),
    reload: (next) => reload(context, next),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function addressOf({ admin, initial }: DaemonContext): DaemonAddress {
  const { zmq } = initial.publish;
  return {
    admin: admin?.url,
    publish: zmq === "" ? undefined : zmq,
    hub: hubUrl(initial),
    stream: initial.stream.path,
  };
}

async function publish(context: DaemonContext, event: EventToPublish): Promise<{ readonly id: string }> {
  const draft: Draft = { ...event, private: event.private ?? false };
  try {
    checkDraft(draft);
    if (draft.topics.some(isReservedTopic(context)))
      throw new ProtocolError("invalid", "a topic is in the hub's own namespace");
    const publisher = started(context.publisher, "the publisher");
    const { id } = await publisher.publishOne(draft, { publisher: "internal" });
    return { id };
  } catch (error) {
    if (error instanceof ProtocolError) context.observe({ type: "publicationRejected", source: "internal", error });
    throw error;
  }
}

function reload(context: DaemonContext, next: Config): readonly string[] {
  // Both throw before they change anything.
  const rules = new TopicRules(next.topic, hubUrl(context.initial));
  started(context.app, "HTTP").reload(next);
  started(context.rules, "the event log").replace(rules);
  void applyTopicRules(context);
  // Only a changed level: a program that embeds the daemon may have given its logger another one.
  if (next.log.level !== context.config.log.level) context.options.log.level = next.log.level;
  context.config = next;
  context.beacon?.start(next.beacon);
  context.clientEvents?.reload(next);
  context.rates?.setLimits(next.publish);
  for (const server of started(context.hub, "the hub").servers) server.keepAlive(next.stream);
  return restartKeys(context.initial, next);
}

async function startHub(context: DaemonContext): Promise<void> {
  const { caps, conditions, eventLog, initial, observe, options, store } = context;
  const { clock } = options;
  const rules = started(context.rules, "the event log");
  const { bus, history, nodes } = started(eventLog, "the event log");
  const publishers = new PublishSockets(initial, clock, started(caps, "connection caps").publishers);
  context.publishers = publishers;
  const base = hubUrl(initial);
  context.presence = new Presence({ path: initial.hub.path, base, head: () => history.last, remote: nodes });
  const revocations = openRevocations(context);
  context.revocations = revocations;
  context.compression = openCompression(context);
  context.hub = new Hub({
    isRevoked: (client) => revocations.isRevokedClient(client),
    ...{ bus, history, observe, clock, base, conditions },
    clients: started(store, "the client store"),
    presenceListener: context.presence,
    presence: context.presence,
    isFlooded: () => publishers.hasBacklog,
    queued: context.metrics.hotTopics.published,
    rules,
    traces: context.traces?.tracer,
    random: Math.random,
    compression: context.compression,
    selectionLimits: { maxScan: initial.history.max_latest_scan, maxEvents: initial.history.max_latest },
  });
  // In a cluster, another daemon may publish between the check of a condition and the publication.
  const topics = nodes ? {} : { topics: context.hub.topics };
  const repeated = () => observe({ type: "publicationRepeated" });
  context.rates = new RateLimiter(initial.publish, clock, rules);
  const { rates } = context;
  const traces = context.traces?.tracer;
  context.publisher = new Publisher({ hub: context.hub, keys: history, repeated, rates, traces, ...topics });
  context.remover = new Remover({ hub: context.hub, history, rates });
  await context.hub.start();
  await applyTopicRules(context);
}

async function startAdminServer(context: DaemonContext): Promise<void> {
  const { caps, hub, initial, metrics, options, recent, state } = context;
  const { clock, log } = options;
  context.admin = await startAdmin({
    ...initial.admin,
    ...{ version: packageVersion(), metrics, recentConnections: recent, state, clock },
    droppedLogLines: () => droppedLines(log),
    hub: started(hub, "the hub"),
    documents: {
      configSchema,
      asyncApi: () => describeChannels(packageVersion(), initial),
      hub: () => context.app && describeHub(initial.hub.origin, context.app.routes),
    },
    revocations: started(context.revocations, "the hub"),
    base: hubUrl(initial),
    cap: started(caps, "connection caps").admin,
    failed: (error) =>
      log.error({ event: "admin_request_failed", err: error }, "a request to the admin address failed"),
  });
}

function startHttp(context: DaemonContext): void {
  const { eventLog, initial, observe, options, presence } = context;
  const { clock, log } = options;
  const hub = started(context.hub, "the hub");
  const app = new App(initial, {
    ...{ hub, clock },
    history: started(eventLog, "the event log").history,
    presence: started(presence, "the hub"),
    remoteStreams: eventLog?.nodes?.requests,
    publisher: started(context.publisher, "the publisher"),
    remover: started(context.remover, "the publisher"),
    rules: started(context.rules, "the event log"),
    traces: context.traces?.tracer,
    rejected: (error) => observe({ type: "publicationRejected", source: "http", error }),
    isRevoked: (token) => started(context.revocations, "the hub").isRevoked(token),
    warn: (warning) => log.warn({ event: "key" }, warning),
    keptJwks: new JwksFiles(initial.history.path),
    conditions: context.conditions,
  });
  context.app = app;
  context.router = new Router({
    ...{ hub, routes: app.routes },
    commonHeaders: app.commonHeaders.bind(app),
    hosts: app.hosts.bind(app),
    withVisitor: app.withVisitor.bind(app),
    requestCompleted: (server, route, status, reason) =>
      observe({ type: "requestCompleted", server, route, status, reason }),
  });
}

async function startIngress(context: DaemonContext): Promise<void> {
  const { conditions, initial, observe, publishers } = context;
  const hub = started(context.hub, "the hub");
  const options = {
    post: hub.post.bind(hub),
    publisher: started(context.publisher, "the publisher"),
    rates: started(context.rates, "the rates"),
    traces: context.traces?.tracer,
    batchLimits: { maxEvents: initial.publish.max_batch, maxBytes: initial.publish.max_batch_bytes },
    isReserved: isReservedTopic(context),
    rejected: (error: M2pushError) => observe({ type: "publicationRejected", source: "zmq", error }),
  };
  await started(publishers, "the hub").start(options, (address) => socketObserver(address, conditions, observe));
}
