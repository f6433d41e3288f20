/**
 * Keeps streams open, in two independent ways.
 *
 * The sweep: a ctl keep-alive to every client within `keepalive`, spread evenly. With its default limits Mongrel2 closes a
 * quiet stream after 130 s, heartbeats or not; the keep-alive resets that clock, writes nothing to the browser, and comes
 * back as a notice for every connection that died without one. That is how silent deaths are found.
 *
 * The heartbeat: a comment to every audience that nothing was sent to for `heartbeat`, for proxies that close what is quiet.
 */
import { encodeComment } from "../protocol/sse.js";
import type { Cancel, Clock } from "../util/clock.js";
import { type Audience, addressesOf } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet } from "./ports.js";
import { Probes } from "./probes.js";
import type { Registry } from "./registry.js";

/** One comment line between two blocks: WHATWG HTML 9.2.6, a line that starts with a colon is ignored. */
const HEARTBEAT = encodeComment("");

/** Steps of one sweep: small ones, so that even 100,000 clients never make a burst of thousands of frames. */
const STEPS = 90;

export interface KeepaliveOptions {
  readonly outlet: Outlet;
  readonly registry: Registry;
  readonly clock: Clock;
}

export interface KeepaliveTimes {
  /** Every client gets a ctl keep-alive within this time, milliseconds. */
  readonly keepalive: number;
  /** A comment after this much silence, milliseconds; 0 = none. */
  readonly heartbeat: number;
}

export class Keepalive {
  readonly #options: KeepaliveOptions;
  #times: KeepaliveTimes;
  readonly #timers: Cancel[] = [];
  readonly #probes: Probes;
  /**
   * Goes round and round: a Map's iterator stays right while entries come and go, and whoever was visited goes to the end. (One
   * that began anew after the last client never came to it when many came and went: those who stayed were forgotten.)
   */
  #sweep: Iterator<Client> | undefined;
  #steps = 0;
  /** The most clients there were in this round of STEPS steps, and in the one before. */
  #most = 0;
  #mostBefore = 0;

  constructor(options: KeepaliveOptions, times: KeepaliveTimes) {
    this.#options = options;
    this.#times = times;
    this.#probes = new Probes(options.outlet);
  }

  /** Whether a notice for this client answers a keep-alive or a heartbeat: see Probes. */
  isProbing(client: Client): boolean {
    return this.#probes.has(client);
  }

  /** Begins, or goes on with other times. */
  start(times = this.#times): void {
    this.close();
    this.#times = times;
    const { clock } = this.#options;
    const { keepalive, heartbeat } = times;
    this.#timers.push(clock.every(keepalive / STEPS, () => this.#step()));
    if (heartbeat > 0) this.#timers.push(clock.every(heartbeat / 4, () => this.#beat()));
  }

  close(): void {
    for (const cancel of this.#timers.splice(0)) cancel();
  }

  /** Forgets where the sweep was: the clients are others now. */
  reset(): void {
    this.#sweep = undefined;
    this.#probes.clear();
  }

  #step(): void {
    const { registry, outlet } = this.#options;
    const clients: Client[] = [];
    for (let due = this.#due(); due > 0; due--) {
      const client = this.#next();
      if (!client) break;
      registry.touch(client);
      clients.push(client);
    }
    for (let from = 0; from < clients.length; from += outlet.maxTargets)
      outlet.keepAlive(clients.slice(from, from + outlet.maxTargets).map(({ id }) => id));
    this.#probes.sent(clients);
  }

  /** So many that whoever is last in line is reached within STEPS steps, however many others leave meanwhile. */
  #due(): number {
    const { size } = this.#options.registry;
    if (this.#steps++ % STEPS === 0) {
      this.#mostBefore = this.#most;
      this.#most = 0;
    }
    this.#most = Math.max(this.#most, size);
    return Math.min(size, Math.ceil(Math.max(this.#most, this.#mostBefore) / STEPS));
  }

  #next(): Client | undefined {
    this.#sweep ??= this.#options.registry.clients.values();
    const next = this.#sweep.next();
    if (!next.done) return next.value;
    this.#sweep = undefined;
    return undefined;
  }

  #beat(): void {
    const { clock, registry, outlet } = this.#options;
    const { heartbeat } = this.#times;
    const now = clock.monotonic();
    const quiet: Audience[] = [];
    for (const audience of registry.audiences.values()) {
      if (audience.size === 0 || audience.waiting.length > 0 || now - audience.lastSent < heartbeat) continue;
      audience.lastSent = now;
      quiet.push(audience);
    }
    for (const address of addressesOf(quiet, outlet)) outlet.deliver(address, HEARTBEAT);
    this.#probes.sent(quiet);
  }
}
