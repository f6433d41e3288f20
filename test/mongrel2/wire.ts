/**
 * The daemon between its two sockets: bytes of messages go in as Mongrel2 sends them, frames come out. Put together as
 * mongrel2/serve and daemon.ts do it, with a link that writes down instead of sending.
 */
import assert from "node:assert/strict";
import { LocalBus } from "../../src/cluster/local-bus.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import { App, hubUrl } from "../../src/http/app.js";
import { Router } from "../../src/http/router.js";
import { Hub } from "../../src/hub/hub.js";
import { dispatch } from "../../src/mongrel2/dispatch.js";
import { Mongrel2Link } from "../../src/mongrel2/mongrel2-link.js";
import { LogObserver } from "../../src/observability/log/log-observer.js";
import { CANCEL, decodeReply } from "../../src/protocol/reply.js";
import { RequestError } from "../../src/protocol/request.js";
import { Publisher } from "../../src/publishing/publisher.js";
import { Remover } from "../../src/publishing/remover.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";
import { MapStore } from "../support/hub.js";
import { type Line, recordedLog } from "../support/log.js";
import { disconnectNotice, type RequestOptions, requestMessage } from "../support/mongrel2-messages.js";

/** Ids from here up are fences. */
const FENCES = 2_000_000_001;

/** What became of a connection: all it was sent, and how it was ended, if it was. */
export interface Outcome {
  readonly text: string;
  readonly end: "open" | "closed" | "cancelled";
}

const UNTOUCHED: Outcome = { text: "", end: "open" };

export interface WireOptions {
  readonly ident?: string;
  readonly config?: string;
}

export class Wire {
  readonly clock = new FakeClock();
  readonly lines: readonly Line[];
  readonly hub: Hub;
  readonly server: ServerDelivery;
  readonly endpoint: Mongrel2Link;
  readonly ident: string;
  readonly #outcomes = new Map<number, Outcome>();
  #lastFence = 0;
  #answered = 0;

  private constructor({ ident = "wire", config: toml = "" }: WireOptions) {
    const { clock } = this;
    this.ident = ident;
    const { log, lines } = recordedLog();
    this.lines = lines;
    const observe = new LogObserver(log, clock).observe;
    const { config } = load(toml);
    const history = new MemoryHistory({ maxEvents: 1000, maxAge: 1e12, maxBytes: 1e9 }, clock);
    const presenceListener = { joined() {}, adopted() {}, changed() {}, left() {} };
    const [bus, clients, base] = [new LocalBus(history, clock), new MapStore(), hubUrl(config)];
    this.hub = new Hub({
      bus,
      history,
      clients,
      observe: (event) => void (event.type === "clientDisconnected" && observe(event)),
      presenceListener,
      clock,
      base,
      random: () => 0.5,
    });
    const presence = { path: config.hub.path, watched: false, publish: () => {} };
    const site = new App(config, {
      ...{ hub: this.hub, history, presence: presence as never, clock },
      publisher: new Publisher({ hub: this.hub, keys: history, repeated: () => {} }),
      remover: new Remover({ hub: this.hub, history }),
      warn: () => {},
    });
    const visitors = new Router({
      hub: this.hub,
      routes: site.routes,
      requestCompleted: (server, route, status, reason) =>
        observe({ type: "requestCompleted", server, route, status, reason }),
      commonHeaders: () => ({}),
    });
    const transport = {
      start: async () => {},
      close: async () => true,
      stopReceiving: async () => true,
      ping: () => false,
      send: (...pieces: Buffer[]) => this.#sent(Buffer.concat(pieces)),
      reconnect: () => {},
    };
    this.endpoint = new Mongrel2Link({
      sendIdent: ident,
      maxTargets: 128,
      transport,
      clock,
      linkTimeoutMs: 0,
      random: () => 0.5,
      events: {
        live: (_, untrusted) => {
          this.server.start();
          this.endpoint.cancel(untrusted);
        },
        lost: () => void this.hub.lost(this.server),
        inbound: (message) => receive(message),
        malformed: (error) => {
          observe({ type: "malformedMessage", server: "main", error });
          if (error instanceof RequestError && error.id !== undefined)
            visitors.refuse(this.server, error.id, "malformed");
        },
        silent: () => {},
        answering: () => {},
        foreignFence: () => {},
        wrongIdent: () => {},
        fencePassed: () => {},
        fromEarlierInstance: () => {},
      },
    });
    this.server = this.hub.serveMongrel2("main", this.endpoint, { keepalive: 45_000, heartbeat: 0 });
    const receive = dispatch(this.hub, this.server, visitors);
  }

  /** Connected and live. */
  static async open(options: WireOptions = {}): Promise<Wire> {
    const wire = new Wire(options);
    await wire.hub.start();
    await wire.endpoint.start();
    wire.connected();
    wire.acknowledgeAll();
    assert.ok(wire.endpoint.live);
    return wire;
  }

  connected(): void {
    this.endpoint.connected("in");
    this.endpoint.connected("out");
  }

  /** Mongrel2 dies: both sockets lose it. */
  disconnected(): void {
    this.endpoint.disconnected("in");
    this.endpoint.disconnected("out");
  }

  /** A message of Mongrel2; resolves when what follows from it has happened, but for fences. */
  async receive(bytes: Buffer): Promise<void> {
    this.endpoint.message(bytes);
    await new Promise(setImmediate);
    // The opening of a stream waits for others that come soon after one.
    this.clock.advance(4);
  }

  /** A request of a browser; resolves with what becomes of its connection. */
  async request(id: number, options: RequestOptions = {}): Promise<Outcome> {
    await this.receive(requestMessage("json", this.ident, id, options));
    return this.outcome(id);
  }

  /** Mongrel2 says that a connection is gone. */
  async gone(id: number): Promise<void> {
    this.forget(id);
    await this.receive(disconnectNotice("json", this.ident, id));
  }

  /** Fences are answered until none is asked for. Their ids begin again after some hundreds (mongrel2/fences.ts). */
  acknowledgeAll(): void {
    while (this.#answered !== this.#lastFence) {
      this.#answered = this.#lastFence;
      this.endpoint.message(disconnectNotice("json", this.ident, this.#lastFence));
      this.clock.advance(1);
    }
  }

  /** Publishes, and sends it out. */
  publish(data: string): void {
    void this.hub.publish({ topics: ["t"], data, private: false });
    this.acknowledgeAll();
  }

  outcome(id: number): Outcome {
    return this.#outcomes.get(id) ?? UNTOUCHED;
  }

  /** Every connection that anything was sent to. */
  get touched(): number[] {
    return [...this.#outcomes.keys()];
  }

  /** Of one connection, or of all. */
  forget(id?: number): void {
    if (id === undefined) this.#outcomes.clear();
    else this.#outcomes.delete(id);
  }

  #sent(frame: Buffer): void {
    const { ids, extended, body } = decodeReply(frame);
    for (const id of ids) {
      if (id >= FENCES) this.#lastFence = id;
      else if (extended && body.equals(CANCEL)) this.#outcomes.set(id, { ...this.outcome(id), end: "cancelled" });
      else if (!extended) this.#reply(id, body);
    }
  }

  #reply(id: number, body: Buffer): void {
    const { text, end } = this.outcome(id);
    assert.equal(end, "open", `connection ${id} is sent ${JSON.stringify(`${body}`)} after its end`);
    this.#outcomes.set(id, body.length === 0 ? { text, end: "closed" } : { text: text + body, end });
  }
}
