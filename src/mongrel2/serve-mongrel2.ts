/**
 * One Mongrel2 as the daemon serves it: its link, its clients in the hub, its control port, the connections that the previous process left,
 * and the dispatch of its messages.
 */
import type { Config, ServerConfig } from "../config/schema.js";
import { linkCurve, linkImplementation } from "../config/zmq-implementation.js";
import type { ClientStore, PreviousClients } from "../delivery/client-store.js";
import type { KeepaliveTimes } from "../delivery/keepalive.js";
import type { RequestRecord } from "../delivery/request-record.js";
import type { ServerDelivery } from "../delivery/server-delivery.js";
import type { ProtocolError } from "../errors.js";
import type { Observe } from "../hub/events.js";
import type { Hub } from "../hub/hub.js";
import { type Inbound, RequestError } from "../protocol/request.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { openTransport } from "../zmq/open-transport.js";
import { reportAdoption } from "./adoption-report.js";
import { CancelSweep } from "./cancel-sweep.js";
import { type AdoptionResult, ConnectionAdoption } from "./connection-adoption.js";
import { dispatch, type RequestHandler } from "./dispatch.js";
import { ExclusivityCheck } from "./exclusivity-check.js";
import { InstanceWatch } from "./instance-watch.js";
import { secondDaemonCondition, silentCondition } from "./link-conditions.js";
import type { LinkEvents } from "./link-events.js";
import { Mongrel2Link } from "./mongrel2-link.js";
import { reachabilityObserver } from "./reachability-observer.js";
import { SecondDaemonDetector } from "./second-daemon-detector.js";
import { UnknownConnectionSweep } from "./unknown-connection-sweep.js";

/** How long responses may take when this Mongrel2 is left to another daemon. */
const RESPONSES_TIMEOUT_MS = 2000;

export interface ServerDeps {
  readonly hub: Hub;
  readonly store: ClientStore;
  readonly requestHandler: RequestHandler;
  readonly observe: Observe;
  readonly clock: Clock;
  readonly zmq: Config["zmq"];
  /** Conditions have the server's name as their subject. */
  readonly conditions: Conditions;
  readonly times: KeepaliveTimes;
  /** When browsers must reconnect after a closed stream, milliseconds. */
  readonly retryMs: () => number;
  /** Called when this Mongrel2 has been left to another daemon; absent = nothing is. */
  readonly yielded?: () => Promise<void>;
}

const NO_CLIENTS: PreviousClients = { clients: [], aliveAt: 0, cleanStop: false, isMissing: false };

interface LeaveStep {
  readonly name: string;
  readonly run: (served: ServedMongrel2, deps: ServerDeps) => unknown;
}

/** How this Mongrel2 is left to another daemon: received requests get their responses, and streams are closed so that browsers reconnect. */
const LEAVE_STEPS: readonly LeaveStep[] = [
  { name: "close the streams", run: closeStreams },
  { name: "stop receiving", run: ({ link }) => link.stopReceiving() },
  {
    name: "respond to what was received",
    run: (_, { clock, requestHandler }) => waitAtMost(clock, RESPONSES_TIMEOUT_MS, requestHandler.idle()),
  },
  { name: "close streams that opened meanwhile", run: closeStreams },
  { name: "stop", run: (served) => served.stop() },
  { name: "report", run: (_, { yielded }) => yielded?.() },
];

function closeStreams({ server }: ServedMongrel2, { hub, retryMs }: ServerDeps): void {
  hub.closeStreams(server, retryMs());
}

/** Complete when constructed; start() opens its sockets. */
export class ServedMongrel2 implements LinkEvents {
  readonly server: ServerDelivery;
  readonly link: Mongrel2Link;
  readonly #config: ServerConfig;
  readonly #deps: ServerDeps;
  readonly #requests: RequestRecord;
  readonly #instance: InstanceWatch;
  readonly #adoption: ConnectionAdoption;
  readonly #secondDaemon: SecondDaemonDetector;
  readonly #receive: (message: Inbound) => void;
  /** Clients of the previous process or generation that are not decided yet. */
  #previous: PreviousClients;
  #stopped: Promise<boolean> | undefined;

  constructor(config: ServerConfig, deps: ServerDeps) {
    const { hub, store, requestHandler, observe, clock, conditions, times } = deps;
    const { name } = config;
    this.#config = config;
    this.#deps = deps;
    this.#requests = store.requests(name);
    this.#previous = store.previousClients(name);
    this.link = this.#openLink();
    this.server = hub.serveMongrel2(name, this.link, times);
    hub.expect(this.#previous.clients);
    const { link, server } = this;
    this.#instance = new InstanceWatch(config, { hub, observe, conditions, clock, link, server });
    this.#adoption = this.#openAdoption();
    this.#secondDaemon = new SecondDaemonDetector({
      clock,
      began: (isOlder) => conditions.begin(secondDaemonCondition(name, isOlder)),
      ended: () => conditions.end("second_daemon", name),
      yield: () => void this.#leave(),
    });
    this.#receive = this.#instance.observing(dispatch(hub, server, requestHandler));
  }

  /** Resolves when its sockets are open; clients are served once Mongrel2 answers. Rejects with "link_failed". */
  async start(): Promise<void> {
    await this.#instance.start();
    await this.link.start();
  }

  /** Another daemon reads from the same send_spec: its next process does not know the streams of this one. */
  get isContended(): boolean {
    return !this.#config.shared && this.#secondDaemon.isSuspected;
  }

  /** Resolves with whether it is certain that no request was lost. */
  stop(): Promise<boolean> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  // ---- LinkEvents -----------------------------------------------------------------------------------------------------

  live(milliseconds: number, untrusted: readonly number[]): void {
    this.#deps.observe({ type: "linkLive", server: this.#config.name, milliseconds });
    this.server.start();
    this.#secondDaemon.linkLive();
    this.#instance.linkLive((verdict) => {
      // After a restart the same ids belong to other connections.
      if (verdict !== "restarted") this.link.cancel(untrusted);
      this.#adoption.begin(this.#previous, verdict);
    });
  }

  lost(reason: string): void {
    const { observe, hub, clock } = this.#deps;
    this.#adoption.stop();
    observe({ type: "linkLost", server: this.#config.name, reason });
    this.#instance.linkLost(this.#previous.clients.length === 0);
    const lost = { ...NO_CLIENTS, clients: hub.lost(this.server), aliveAt: clock.monotonic() };
    this.#previous = joined(this.#previous, lost);
    this.#requests.linkLost();
  }

  inbound(message: Inbound): void {
    const { kind, id } = message;
    if (kind === "http" || kind === "websocket-handshake") this.#requests.read(id);
    else if (kind === "disconnect") this.#requests.ended(id);
    this.#receive(message);
  }

  malformed(error: RequestError | ProtocolError): void {
    this.#deps.observe({ type: "malformedMessage", server: this.#config.name, error });
    const id = error instanceof RequestError ? error.id : undefined;
    if (id !== undefined) this.#deps.requestHandler.refuse(this.server, id, "malformed");
  }

  silent(milliseconds: number, wasLive: boolean): void {
    this.#deps.conditions.begin(silentCondition(this.#config.name, milliseconds, wasLive));
  }

  answering(): void {
    this.#deps.conditions.end("mongrel2_silent", this.#config.name);
  }

  wrongIdent(received: string): void {
    const { name, send_ident: configured } = this.#config;
    this.#deps.observe({ type: "identMismatch", server: name, configured, received });
  }

  fencePassed(milliseconds: number): void {
    this.#deps.observe({ type: "flushAcknowledged", server: this.#config.name, milliseconds });
  }

  foreignFence(isYounger: boolean): void {
    if (!this.#config.shared) this.#secondDaemon.foreignNotice(isYounger);
  }

  fromEarlierInstance(messages: number): void {
    this.#deps.observe({ type: "staleMessagesDropped", server: this.#config.name, messages });
  }

  // ---- Parts ----------------------------------------------------------------------------------------------------------

  #openLink(): Mongrel2Link {
    const { clock, conditions, observe, zmq } = this.#deps;
    const curve = linkCurve(this.#config);
    const { implementation } = linkImplementation({ zmq }, this.#config);
    const { name, send_spec: sendSpec, recv_spec: recvSpec, identity, bind } = this.#config;
    const { send_ident: sendIdent, max_targets: maxTargets, link_timeout: linkTimeoutMs } = this.#config;
    const observer = reachabilityObserver(name, conditions, observe);
    return new Mongrel2Link({
      ...{ sendIdent, maxTargets, linkTimeoutMs, clock },
      transport: openTransport(implementation, { sendSpec, recvSpec, identity, bind, clock, observer, curve }),
      random: Math.random,
      events: this,
      mayServe: () => this.#instance.mayServe,
    });
  }

  #openAdoption(): ConnectionAdoption {
    const { hub, observe, clock, conditions } = this.#deps;
    const { server, link } = this;
    const requests = this.#requests;
    const { name, orphan_timeout: orphanTimeoutMs } = this.#config;
    const exclusivity = new ExclusivityCheck(this.#config);
    void exclusivity.run(); // the database is read while the link is not live yet
    const isTaken = (id: number) => server.clients.has(id) || requests.has(id);
    return new ConnectionAdoption({
      ...{ clock, isTaken, requests, orphanTimeoutMs },
      connections: this.#instance.connections,
      exclusivity: () => exclusivity.run(),
      sweep: new UnknownConnectionSweep({ clock, requests, sweep: new CancelSweep({ clock, outlet: link, isTaken }) }),
      report: reportAdoption(this.#config, conditions, observe),
      adopt: (client) => hub.adopt(server, client, this.#previous.aliveAt),
      forget: (clients) => hub.forget(server, clients),
      cancel: (ids) => link.cancel(ids),
      decided: (result) => this.#adopted(result),
      queryFailed: (error) => observe({ type: "controlPortFailed", server: name, error }),
    });
  }

  #adopted(result: AdoptionResult): void {
    const { observe, store } = this.#deps;
    this.#previous = NO_CLIENTS;
    observe({ type: "adoptionCompleted", server: this.#config.name, ...result });
    store.markTrusted(this.#config.name);
  }

  // ---- The end --------------------------------------------------------------------------------------------------------

  async #leave(): Promise<void> {
    for (const { run } of LEAVE_STEPS) await run(this, this.#deps);
  }

  async #stop(): Promise<boolean> {
    this.#adoption.stop();
    this.#secondDaemon.stop();
    // A ZeroMQ proxy in between may have taken requests that it could not deliver.
    const isComplete = (await this.link.stop()) && !this.#config.bind;
    await this.#instance.stop();
    const { wasConnected } = this.link;
    // A process that was never connected leaves the record of the previous one as it is.
    const isUntouched = this.#previous.cleanStop && !wasConnected;
    if (isUntouched || (isComplete && this.#adoption.isDecided)) this.#deps.store.stoppedCleanly(this.#config.name);
    return isComplete || !wasConnected;
  }
}

/** Serves one Mongrel2; see ServedMongrel2.start(). */
export async function serveMongrel2(config: ServerConfig, deps: ServerDeps): Promise<ServedMongrel2> {
  const served = new ServedMongrel2(config, deps);
  await served.start();
  return served;
}

/** The clients of two generations, when the link was lost before the first were decided: the proof must hold for both. */
function joined(first: PreviousClients, second: PreviousClients): PreviousClients {
  const { isMissing } = first;
  if (first.clients.length === 0) return { ...second, isMissing };
  const aliveAt = Math.min(first.aliveAt, second.aliveAt);
  return { clients: [...first.clients, ...second.clients], aliveAt, cleanStop: second.cleanStop, isMissing };
}
