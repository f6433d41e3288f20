/**
 * What the control port's connection tells of one Mongrel2, and what follows from it (instance-evidence.ts has the rules):
 *
 *   direct link   Its own TCP or IPC connection ends with Mongrel2, so the end of the control port's alone means nothing. When
 *                 the link is live again, the control port tells whether it is the same Mongrel2.
 *   bind = true   The connections are a proxy's and outlive Mongrel2, so the end of the control port's ends the epoch. Where there
 *                 is none, nobody can tell whether an id is still the same connection: private events are not served, and
 *                 canary.ts finds the streams that are dead.
 */
import type { ServerConfig } from "../config/schema.js";
import type { Server } from "../delivery/server-delivery.js";
import type { Observe } from "../hub/events.js";
import type { Hub } from "../hub/hub.js";
import type { NetRow } from "../protocol/control-protocol.js";
import type { Inbound } from "../protocol/request.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { Canary } from "./canary.js";
import { ControlPort } from "./control-port.js";
import { InstanceEvidence, type InstanceVerdict } from "./instance-evidence.js";
import { controlCondition, privateCondition } from "./link-conditions.js";
import type { Mongrel2Link } from "./mongrel2-link.js";

/** How long a link behind a proxy waits for the control port before it serves without, milliseconds. */
const CONTROL_TIMEOUT_MS = 3000;
/**
 * After the end of a Mongrel2 behind a proxy, how long what comes in is still its own, milliseconds: a new one needs 20 to start, and
 * libzmq connects again after 100.
 */
const OLD_MESSAGES_DELAY_MS = 50;

export interface InstanceWatchOptions {
  readonly hub: Hub;
  readonly observe: Observe;
  readonly conditions: Conditions;
  readonly clock: Clock;
  readonly link: Mongrel2Link;
  readonly server: Server;
}

export class InstanceWatch {
  readonly #config: ServerConfig;
  readonly #options: InstanceWatchOptions;
  readonly #port: ControlPort | undefined;
  readonly #evidence: InstanceEvidence | undefined;
  #canary: Canary | undefined;
  #cancelResume: Cancel | undefined;
  /** Since when a link behind a proxy could be live, and waits for the control port: monotonic. */
  #waitingSince: number | undefined;

  constructor(config: ServerConfig, options: InstanceWatchOptions) {
    this.#config = config;
    this.#options = options;
    if (config.control === undefined) return;
    this.#port = this.#open(config.control);
    const reached = (passed: () => void) => options.link.afterFence(passed);
    this.#evidence = new InstanceEvidence({ port: this.#port, afterFence: reached });
  }

  async start(): Promise<void> {
    const { bind } = this.#config;
    // Where there is a control port to wait for, live() says whether it is there.
    if (bind && this.#port) this.#options.server.servesPrivate = false;
    else this.#setServesPrivate(!bind);
    await this.#port?.start();
  }

  async stop(): Promise<void> {
    this.#cancelResume?.();
    this.#evidence?.linkLost(true);
    await this.#port?.close();
  }

  /** Asks for Mongrel2's connections; undefined where no control port is known. */
  get connections(): (() => Promise<readonly NetRow[]>) | undefined {
    const port = this.#port;
    return port && (() => port.connections());
  }

  /** Whether a link on which fences pass may be served. */
  get mayServe(): boolean {
    if (!this.#config.bind || !this.#port || this.#port.session !== undefined) return true;
    const now = this.#options.clock.monotonic();
    this.#waitingSince ??= now;
    return now - this.#waitingSince >= CONTROL_TIMEOUT_MS;
  }

  /** What takes the messages of Mongrel2: `receive`, and behind a proxy whoever looks for signs of a restart before it. */
  observing(receive: (message: Inbound) => void): (message: Inbound) => void {
    if (!this.#config.bind) return receive;
    const canary = this.#openCanary();
    return (message) => {
      // Where there is a connection to the control port, its end tells.
      if (message.kind === "http" && this.#port?.session === undefined) canary.requestReceived(message.id);
      receive(message);
    };
  }

  /** The link is live. `begin` is told what is known of its Mongrel2, unless it is lost again before that is known. */
  linkLive(begin: (instance: InstanceVerdict) => void): void {
    this.#waitingSince = undefined;
    this.#canary?.reset();
    if (this.#config.bind) this.#setServesPrivate(this.#port?.session !== undefined);
    if (!this.#evidence) begin("unknown");
    else void this.#evidence.linkLive().then((instance) => instance && begin(instance));
  }

  linkLost(areClientsDecided: boolean): void {
    this.#canary?.reset();
    this.#evidence?.linkLost(areClientsDecided);
  }

  #open(spec: string): ControlPort {
    const { clock, conditions, observe, link } = this.#options;
    const { name, bind, link_timeout: linkTimeoutMs } = this.#config;
    const anchored = bind ? () => this.#setServesPrivate(true) : undefined;
    return new ControlPort({
      spec,
      clock,
      linkTimeoutMs,
      isMongrel2Answering: () => link.live && !conditions.has("mongrel2_silent", name),
      events: {
        connected: () => this.#evidence?.anchor(anchored),
        ended: (isClosed) => {
          if (!isClosed) this.#evidence?.connectionCut();
          if (bind) this.#endEpoch();
        },
        reachable: () => conditions.end("control_unreachable", name),
        unreachable: (error) => {
          observe({ type: "controlPortFailed", server: name, error });
          conditions.begin(controlCondition(name, error));
        },
      },
    });
  }

  #openCanary(): Canary {
    const { clock, link: endpoint, server } = this.#options;
    this.#canary = new Canary({
      clock,
      clients: server.clients,
      maxTargets: endpoint.maxTargets,
      keepAlive: (ids) => endpoint.keepAlive(ids),
      afterFence: (passed) => endpoint.afterFence(passed),
    });
    return this.#canary;
  }

  /** Behind a proxy: Mongrel2 has ended, as far as anybody can tell. */
  #endEpoch(): void {
    const { clock, link: endpoint } = this.#options;
    endpoint.endEpoch("the connection to Mongrel2's control port has ended");
    this.#cancelResume?.();
    this.#cancelResume = clock.after(OLD_MESSAGES_DELAY_MS, () => endpoint.resume());
  }

  #setServesPrivate(serves: boolean): void {
    const { conditions, hub, server } = this.#options;
    const { name, control } = this.#config;
    const it = server;
    if (!serves) conditions.begin(privateCondition(name, control !== undefined));
    else conditions.end("private_refused", name);
    if (serves && !it.servesPrivate) reopenPublicOnly(hub, it);
    it.servesPrivate = serves;
  }
}

/** Streams that got no private events come back for them. */
function reopenPublicOnly(hub: Hub, server: Server): void {
  for (const client of [...server.clients.values()]) {
    if (server.isPublicOnly(client)) hub.end(server, client.id, "reopened");
  }
}
