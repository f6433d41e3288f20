/**
 * One Mongrel2 and all that belongs to it: its link, its endpoint, its control port, its place in the hub, what an earlier process
 * left of its clients, and who takes its messages.
 */
import type { ServerConfig } from "../config/schema.js";
import type { ClientStore, PreviousClients } from "../delivery/client-store.js";
import type { KeepaliveTimes } from "../delivery/keepalive.js";
import type { RequestRecord } from "../delivery/request-record.js";
import type { Server } from "../delivery/server-delivery.js";
import type { Observe } from "../hub/events.js";
import type { Hub } from "../hub/hub.js";
import { type Inbound, RequestError } from "../protocol/request.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { NativeTransport, type TransportObserver } from "../zmq/native-transport.js";
import { reportAdoption } from "./adoption-report.js";
import { CancelSweep } from "./cancel-sweep.js";
import { ConnectionAdoption } from "./connection-adoption.js";
import { dispatch, type RequestHandler } from "./dispatch.js";
import { ExclusivityCheck } from "./exclusivity-check.js";
import { InstanceWatch } from "./instance-watch.js";
import { secondDaemonCondition, silentCondition } from "./link-conditions.js";
import type { LinkEvents } from "./link-events.js";
import { Mongrel2Link } from "./mongrel2-link.js";
import { reachabilityObserver } from "./reachability-observer.js";
import { SecondDaemonDetector } from "./second-daemon-detector.js";
import { UnknownConnectionSweep } from "./unknown-connection-sweep.js";

/** How long answers may take where another daemon goes on, milliseconds. */
const ANSWERS_TIMEOUT_MS = 2000;

export interface ServerDeps {
  readonly hub: Hub;
  readonly store: ClientStore;
  readonly visitors: RequestHandler;
  readonly observe: Observe;
  readonly clock: Clock;
  /** Standing problems, by server name. */
  readonly conditions: Conditions;
  readonly times: KeepaliveTimes;
  /** What browsers are told to wait for where a stream is closed, milliseconds. */
  readonly retryMs: () => number;
  /** This Mongrel2 has been left to another daemon. */
  readonly yielded?: () => Promise<void>;
}

export interface ServedMongrel2 {
  readonly server: Server;
  readonly endpoint: Mongrel2Link;
  /** Another daemon reads from the same send_spec: its next process, if any, knows nothing of our streams. */
  readonly isContended: boolean;
  /** Resolves with whether it is certain that no request was lost. */
  stop(): Promise<boolean>;
}

/** Resolves when its sockets are there; it is served as soon as it answers, which may be later. Rejects with "link_failed". */
export async function serveMongrel2(config: ServerConfig, around: ServerDeps): Promise<ServedMongrel2> {
  // Long because it is a few lists of who is told what, and nothing else.
  const { hub, visitors, store, observe, clock, conditions, times, retryMs } = around;
  const { name, send_ident: sendIdent, max_targets: maxTargets, link_timeout: linkTimeoutMs } = config;
  const instance: InstanceWatch = new InstanceWatch(config, {
    hub,
    observe,
    conditions,
    clock,
    link: () => endpoint,
    server: () => server,
  });
  const requests = store.requests(name);
  const isTaken = (id: number) => server.clients.has(id) || requests.has(id);
  const recovery: ConnectionAdoption = new ConnectionAdoption({
    clock,
    connections: instance.connections,
    isTaken,
    requests,
    orphanTimeoutMs: config.orphan_timeout,
    exclusivity: exclusivityOf(config),
    sweep: { run: (known, done) => sweep.run(known, done), stop: () => sweep.stop() },
    report: reportAdoption(config, conditions, observe),
    adopt: (client) => hub.adopt(server, client, legacy.aliveAt),
    forget: (clients) => hub.forget(server, clients),
    cancel: (ids) => server.outlet.cancel(ids),
    decided: (result) => {
      legacy = NOTHING;
      observe({ type: "adoptionCompleted", server: name, ...result });
      store.markTrusted(name);
    },
    queryFailed: (error) => observe({ type: "controlPortFailed", server: name, error }),
  });
  let legacy = store.previousClients(name);
  const contention = new SecondDaemonDetector({
    clock,
    began: (isOlder) => conditions.begin(secondDaemonCondition(name, isOlder)),
    ended: () => conditions.end("second_daemon", name),
    yield: () => void leave(),
  });
  const events: LinkEvents = {
    live: (took, doubtful) => {
      observe({ type: "linkLive", server: name, milliseconds: took });
      server.start();
      contention.linkLive();
      instance.linkLive((known) => {
        // Of a Mongrel2 that is gone: the same ids are other people's now.
        if (known !== "restarted") server.outlet.cancel(doubtful);
        recovery.begin(legacy, known);
      });
    },
    lost: (why) => {
      recovery.stop();
      observe({ type: "linkLost", server: name, reason: why });
      instance.linkLost(legacy.clients.length === 0);
      legacy = joined(legacy, { ...NOTHING, clients: hub.lost(server), aliveAt: clock.monotonic() });
      requests.linkLost();
    },
    inbound: (message) => {
      record(requests, message);
      receive(message);
    },
    malformed: (error) => {
      observe({ type: "malformedMessage", server: name, error });
      if (error instanceof RequestError && error.id !== undefined) visitors.refuse(server, error.id, "malformed");
    },
    silent: (milliseconds, wasLive) => conditions.begin(silentCondition(name, milliseconds, wasLive)),
    answering: () => conditions.end("mongrel2_silent", name),
    wrongIdent: (received) => observe({ type: "identMismatch", server: name, configured: sendIdent, received }),
    fencePassed: (milliseconds) => observe({ type: "flushAcknowledged", server: name, milliseconds }),
    foreignFence: (isYounger) => config.shared || contention.foreignNotice(isYounger),
    fromEarlierInstance: (messages) => observe({ type: "staleMessagesDropped", server: name, messages }),
  };
  const transport = linkOf(config, clock, reachabilityObserver(name, conditions, observe));
  const mayServe = () => instance.mayServe;
  const random = Math.random;
  const endpoint: Mongrel2Link = new Mongrel2Link({
    ...{ sendIdent, maxTargets, linkTimeoutMs },
    ...{ transport, clock, random, events, mayServe },
  });
  const server: Server = hub.serveMongrel2(name, endpoint, times);
  const { outlet } = server;
  const sweep = new UnknownConnectionSweep({ clock, requests, sweep: new CancelSweep({ clock, outlet, isTaken }) });
  const receive = instance.observing(dispatch(hub, server, visitors));
  const end = async () => {
    recovery.stop();
    contention.stop();
    // A ZeroMQ proxy between us may have taken requests that it could not hand on.
    const isWhole = (await endpoint.stop()) && !config.bind;
    await instance.stop();
    // Where this process never was connected, what the one before it left is as it was.
    const isUntouched = legacy.cleanStop && !endpoint.wasConnected;
    if (isUntouched || (isWhole && recovery.isDecided)) store.stoppedCleanly(name);
    return isWhole || !endpoint.wasConnected;
  };
  let ended: Promise<boolean> | undefined;
  const stop = () => {
    ended ??= end();
    return ended;
  };
  /** What it has taken is answered, and its streams are closed, for their browsers to go to the other daemon. */
  const leave = async () => {
    hub.closeStreams(server, retryMs());
    await endpoint.stopReceiving();
    await waitAtMost(clock, ANSWERS_TIMEOUT_MS, visitors.idle());
    hub.closeStreams(server, retryMs());
    await stop();
    await around.yielded?.();
  };
  await instance.start();
  await endpoint.start();
  return {
    server,
    endpoint,
    get isContended() {
      return !config.shared && contention.isSuspected;
    },
    stop,
  };
}

function linkOf(config: ServerConfig, clock: Clock, observer: TransportObserver): NativeTransport {
  const { send_spec: sendSpec, recv_spec: recvSpec, identity, bind } = config;
  return new NativeTransport({ sendSpec, recvSpec, identity, bind, clock, observer });
}

const NOTHING: PreviousClients = { clients: [], aliveAt: 0, cleanStop: false, isMissing: false };

/** What was left behind twice, before the first was settled: the proof must hold for both. */
function joined(first: PreviousClients, second: PreviousClients): PreviousClients {
  const { isMissing } = first;
  if (first.clients.length === 0) return { ...second, isMissing };
  const aliveAt = Math.min(first.aliveAt, second.aliveAt);
  return { clients: [...first.clients, ...second.clients], aliveAt, cleanStop: second.cleanStop, isMissing };
}

/** What is read from a connection that will be answered, and the end of one. */
function record(requests: RequestRecord, { kind, id }: Inbound): void {
  if (kind === "http" || kind === "websocket-handshake") requests.read(id);
  else if (kind === "disconnect") requests.ended(id);
}

/** Read once at the start, when nobody waits for it. */
function exclusivityOf(config: ServerConfig) {
  const database = new ExclusivityCheck(config);
  void database.run();
  return () => database.run();
}
