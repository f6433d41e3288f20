/**
 * Watches the control port's connection of one Mongrel2 and acts on it (instance-evidence.ts has the rules):
 *
 *   direct link   The link's own TCP or IPC connection ends with Mongrel2, so the end of the control connection alone has no
 *                 effect. When the link is live again, the control connection shows whether Mongrel2 is the same.
 *   bind = true   The link's connections belong to a proxy and outlive Mongrel2, so the end of the control connection ends the
 *                 generation. Without a control port nothing proves that an id is still the same connection: private events are
 *                 not served, and canary.ts finds the dead streams.
 */
import type { ServerConfig } from "../config/schema.js";
import type { ServerDelivery } from "../delivery/server-delivery.js";
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

/** How long a link behind a proxy waits for the control port before it serves without it. */
const CONTROL_TIMEOUT_MS = 3000;
/**
 * How long messages behind a proxy are still those of a Mongrel2 that has ended: a new one needs 20 ms to start, and its libzmq
 * reconnects after 100 ms.
 */
const OLD_MESSAGES_DELAY_MS = 50;

interface InstanceWatchOptions {
  readonly hub: Hub;
  readonly observe: Observe;
  readonly conditions: Conditions;
  readonly clock: Clock;
  readonly link: Mongrel2Link;
  readonly server: ServerDelivery;
}

export class InstanceWatch {
  readonly #config: ServerConfig;
  readonly #options: InstanceWatchOptions;
  readonly #port: ControlPort | undefined;
  readonly #evidence: InstanceEvidence | undefined;
  #canary: Canary | undefined;
  #cancelResume: Cancel | undefined;
  /** Since when a link behind a proxy could be live but waits for the control port, monotonic milliseconds. */
  #waitingSince: number | undefined;

  constructor(config: ServerConfig, options: InstanceWatchOptions) {
    this.#config = config;
    this.#options = options;
    if (config.control === undefined) return;
    this.#port = this.#createPort(config.control);
    const afterFence = (passed: () => void) => options.link.afterFence(passed);
    this.#evidence = new InstanceEvidence({ port: this.#port, afterFence });
  }

  async start(): Promise<void> {
    const { bind } = this.#config;
    // With a control port, linkLive() reports whether it is reachable.
    if (bind && this.#port) this.#options.server.servesPrivate = false;
    else this.#setServesPrivate(!bind);
    await this.#port?.start();
  }

  async stop(): Promise<void> {
    this.#cancelResume?.();
    this.#evidence?.linkLost(true);
    await this.#port?.close();
  }

  /** Queries Mongrel2's table of connections; undefined = no control port is configured. */
  get connections(): (() => Promise<readonly NetRow[]>) | undefined {
    const port = this.#port;
    return port && (() => port.connections());
  }

  /** Whether a link on which fences pass may become live. */
  get mayServe(): boolean {
    if (!this.#config.bind || !this.#port || this.#port.session !== undefined) return true;
    const now = this.#options.clock.monotonic();
    this.#waitingSince ??= now;
    return now - this.#waitingSince >= CONTROL_TIMEOUT_MS;
  }

  /** Returns the receiver of Mongrel2's messages: `receive`, and behind a proxy the canary before it. */
  observing(receive: (message: Inbound) => void): (message: Inbound) => void {
    if (!this.#config.bind) return receive;
    const canary = this.#createCanary();
    return (message) => {
      // With a control connection its end detects a restart, and the canary is not needed.
      if (message.kind === "http" && this.#port?.session === undefined) canary.requestReceived(message.id);
      receive(message);
    };
  }

  /** The link is live. Calls `begin` with the verdict on its Mongrel2, unless the link is lost before that. */
  linkLive(begin: (verdict: InstanceVerdict) => void): void {
    this.#waitingSince = undefined;
    this.#canary?.reset();
    if (this.#config.bind) this.#setServesPrivate(this.#port?.session !== undefined);
    if (!this.#evidence) begin("unknown");
    else void this.#evidence.linkLive().then((verdict) => verdict && begin(verdict));
  }

  linkLost(areClientsDecided: boolean): void {
    this.#canary?.reset();
    this.#evidence?.linkLost(areClientsDecided);
  }

  #createPort(spec: string): ControlPort {
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
          if (bind) this.#endGeneration();
        },
        reachable: () => conditions.end("control_unreachable", name),
        unreachable: (error) => {
          observe({ type: "controlPortFailed", server: name, error });
          conditions.begin(controlCondition(name, error));
        },
      },
    });
  }

  #createCanary(): Canary {
    const { clock, link, server } = this.#options;
    this.#canary = new Canary({
      clock,
      clients: server.clients,
      maxTargets: link.maxTargets,
      keepAlive: (ids) => link.keepAlive(ids),
      afterFence: (passed) => link.afterFence(passed),
    });
    return this.#canary;
  }

  /** Behind a proxy: Mongrel2 has probably ended. */
  #endGeneration(): void {
    const { clock, link } = this.#options;
    link.endGeneration("the connection to Mongrel2's control port has ended");
    this.#cancelResume?.();
    this.#cancelResume = clock.after(OLD_MESSAGES_DELAY_MS, () => link.resume());
  }

  #setServesPrivate(serves: boolean): void {
    const { conditions, hub, server } = this.#options;
    const { name, control } = this.#config;
    if (!serves) conditions.begin(privateCondition(name, control !== undefined));
    else conditions.end("private_refused", name);
    if (serves && !server.servesPrivate) reopenPublicOnly(hub, server);
    server.servesPrivate = serves;
  }
}

/** Ends the streams that got no private events, so that their browsers reconnect and get them. */
function reopenPublicOnly(hub: Hub, server: ServerDelivery): void {
  for (const client of [...server.clients.values()]) {
    if (server.isPublicOnly(client)) hub.end(server, client.id, "reopened");
  }
}
