/**
 * Keeps streams open, in two independent ways.
 *
 * The sweep: a ctl keep-alive to every client within `keepalive`, spread evenly. With its default limits Mongrel2 closes a
 * quiet stream after 130 s, heartbeats or not; the keep-alive resets that clock, writes nothing to the browser, and comes
 * back as a notice for every connection that died without one. That is how silent deaths are found.
 *
 * The heartbeat: a comment to every audience that nothing was sent to for `heartbeat`, for proxies that close what is quiet.
 */
import type { Cancel, Clock } from "../util/clock.js";
import { type Audience, addressesOf } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet } from "./ports.js";
import type { Registry } from "./registry.js";

/** One comment line and the end of its block: WHATWG HTML 9.2.6, a line that starts with a colon is ignored. */
const HEARTBEAT = Buffer.from(":\n\n");

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
  /** A Map's iterator stays right while entries come and go: whoever was there when the sweep began is visited once. */
  #sweep: Iterator<Client> | undefined;

  constructor(options: KeepaliveOptions, times: KeepaliveTimes) {
    this.#options = options;
    this.#times = times;
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
  }

  #step(): void {
    const { registry, outlet } = this.#options;
    let due = Math.ceil(registry.size / STEPS);
    let ids: number[] = [];
    while (due-- > 0) {
      const client = this.#next();
      if (!client) break;
      ids.push(client.id);
      if (ids.length === outlet.maxTargets) ids = this.#send(ids);
    }
    if (ids.length > 0) this.#send(ids);
  }

  #send(ids: number[]): number[] {
    this.#options.outlet.keepAlive(ids);
    return [];
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
  }
}
