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
import { controlProblem, privateProblem } from "./link-conditions.js";
import type { Mongrel2Link } from "./mongrel2-link.js";

/** How long a link behind a proxy waits for the control port before it serves without, milliseconds. */
const CONTROL_WAIT_MS = 3000;
/**
 * After the end of a Mongrel2 behind a proxy, how long what comes in is still its own, milliseconds: a new one needs 20 to start, and
 * libzmq connects again after 100.
 */
const OLD_MESSAGES_MS = 50;

export interface InstanceWatchOptions {
  readonly hub: Hub;
  readonly observe: Observe;
  readonly conditions: Conditions;
  readonly clock: Clock;
  readonly endpoint: () => Mongrel2Link;
  readonly server: () => Server;
}

export class InstanceWatch {
  readonly #config: ServerConfig;
  readonly #options: InstanceWatchOptions;
  readonly #port: ControlPort | undefined;
  readonly #evidence: InstanceEvidence | undefined;
  #canary: Canary | undefined;
  #resume: Cancel | undefined;
  /** Since when a link behind a proxy could be live, and waits for the control port: monotonic. */
  #waitsSince: number | undefined;

  constructor(config: ServerConfig, options: InstanceWatchOptions) {
    this.#config = config;
    this.#options = options;
    if (config.control === undefined) return;
    this.#port = this.#open(config.control);
    const reached = (passed: () => void) => options.endpoint().reached(passed);
    this.#evidence = new InstanceEvidence({ port: this.#port, reached });
  }

  async start(): Promise<void> {
    const { bind } = this.#config;
    // Where there is a control port to wait for, live() says whether it is there.
    if (bind && this.#port) this.#options.server().servesPrivate = false;
    else this.#servePrivate(!bind);
    await this.#port?.start();
  }

  async stop(): Promise<void> {
    this.#resume?.();
    this.#evidence?.lost(true);
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
    this.#waitsSince ??= now;
    return now - this.#waitsSince >= CONTROL_WAIT_MS;
  }

  /** What takes the messages of Mongrel2: `receive`, and behind a proxy whoever looks for signs of a restart before it. */
  observed(receive: (message: Inbound) => void): (message: Inbound) => void {
    if (!this.#config.bind) return receive;
    const canary = this.#openCanary();
    return (message) => {
      // Where there is a connection to the control port, its end tells.
      if (message.kind === "http" && this.#port?.session === undefined) canary.heard(message.id);
      receive(message);
    };
  }

  /** The link is live. `begin` is told what is known of its Mongrel2, unless it is lost again before that is known. */
  live(begin: (instance: InstanceVerdict) => void): void {
    this.#waitsSince = undefined;
    this.#canary?.reset();
    if (this.#config.bind) this.#servePrivate(this.#port?.session !== undefined);
    if (!this.#evidence) begin("unknown");
    else void this.#evidence.live().then((instance) => instance && begin(instance));
  }

  lost(isSettled: boolean): void {
    this.#canary?.reset();
    this.#evidence?.lost(isSettled);
  }

  #open(spec: string): ControlPort {
    const { clock, conditions, observe, endpoint } = this.#options;
    const { name, bind, link_timeout: linkTimeoutMs } = this.#config;
    const anchored = bind ? () => this.#servePrivate(true) : undefined;
    return new ControlPort({
      spec,
      clock,
      linkTimeoutMs,
      isMongrel2Answering: () => endpoint().live && !conditions.has("mongrel2_silent", name),
      events: {
        connected: () => this.#evidence?.anchor(anchored),
        ended: (isClosed) => {
          if (!isClosed) this.#evidence?.forget();
          if (bind) this.#endEpoch();
        },
        reachable: () => conditions.end("control_unreachable", name),
        unreachable: (error) => {
          observe({ type: "controlPortFailed", server: name, error });
          conditions.begin(controlProblem(name, error));
        },
      },
    });
  }

  #openCanary(): Canary {
    const { clock, endpoint, server } = this.#options;
    const { registry } = server();
    this.#canary = new Canary({
      clock,
      clients: registry.clients,
      maxTargets: endpoint().maxTargets,
      keepAlive: (ids) => endpoint().keepAlive(ids),
      reached: (passed) => endpoint().reached(passed),
    });
    return this.#canary;
  }

  /** Behind a proxy: Mongrel2 has ended, as far as anybody can tell. */
  #endEpoch(): void {
    const { clock, endpoint } = this.#options;
    endpoint().endEpoch("the connection to Mongrel2's control port has ended");
    this.#resume?.();
    this.#resume = clock.after(OLD_MESSAGES_MS, () => endpoint().resume());
  }

  #servePrivate(serves: boolean): void {
    const { conditions, hub, server } = this.#options;
    const { name, control } = this.#config;
    const it = server();
    if (!serves) conditions.begin(privateProblem(name, control !== undefined));
    else conditions.end("private_refused", name);
    if (serves && !it.servesPrivate) reopen(hub, it);
    it.servesPrivate = serves;
  }
}

/** Streams that got no private events come back for them. */
function reopen(hub: Hub, server: Server): void {
  for (const client of [...server.registry.clients.values()]) {
    if (server.publicOnly.has(client)) hub.end(server, client.id, "reopened");
  }
}
