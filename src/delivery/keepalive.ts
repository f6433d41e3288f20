/**
 * Keeps streams open, in two independent ways.
 *
 * The sweep sends a ctl keep-alive to every client within `keepalive`, spread evenly. With its default limits Mongrel2 closes a quiet stream
 * after 130 s, heartbeats or not (docs/architecture/mongrel2.md 2.4); the keep-alive resets that timer and writes nothing to the browser,
 * and Mongrel2 answers it with a notice for each connection that has died silently.
 *
 * The heartbeat sends a comment to every audience to which nothing was sent for `heartbeat`, for proxies that close quiet connections. An
 * audience that asked for heartbeat events gets one each `heartbeat` instead, whatever else is sent to it (heartbeat-event.ts).
 */
import { encodeComment } from "../protocol/sse.js";
import type { Cancel, Clock } from "../util/clock.js";
import { type Audience, addressesOf } from "./audience.js";
import type { Client } from "./client.js";
import { encodeFor } from "./compressed-bodies.js";
import type { Compression } from "./compression.js";
import { heartbeatEvent } from "./heartbeat-event.js";
import type { Outlet } from "./outlet.js";
import { Probes } from "./probes.js";
import type { Registry } from "./registry.js";

/** One comment line between two blocks: WHATWG HTML 9.2.6, a line that starts with a colon is ignored. */
const HEARTBEAT = encodeComment("");

/** Steps of one sweep: small ones, so that even 100,000 clients never cause a burst of thousands of frames. */
const SWEEP_STEP_COUNT = 90;
/** Checks for quiet audiences within one `heartbeat`. */
const HEARTBEAT_CHECK_COUNT = 4;
/** Half the time between two checks: a check that comes early because its timer is inexact sends what is due. */
const HEARTBEAT_TOLERANCE_RATIO = 1 / 8;

export interface KeepaliveOptions {
  readonly outlet: Outlet;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Absent = no stream is compressed. */
  readonly compression?: Compression | undefined;
}

export interface KeepaliveTimes {
  /** Every client gets a ctl keep-alive within this time, milliseconds. */
  readonly keepalive: number;
  /** An audience gets a comment after this time without a frame, or a heartbeat event each time, milliseconds; 0 = never. */
  readonly heartbeat: number;
}

export class Keepalive {
  readonly #options: KeepaliveOptions;
  readonly #timers: Cancel[] = [];
  readonly #probes: Probes;
  /**
   * Iterates over the clients again and again. A Map's iterator stays valid while entries are added and removed, and a client that was kept
   * alive moves to the end. (A sweep that restarted after the last client never reached that one while many connected and disconnected: old
   * clients were not kept alive.)
   */
  #sweep: Iterator<Client> | undefined;
  #steps = 0;
  /** The largest number of clients in this round of SWEEP_STEP_COUNT steps, and in the one before. */
  #largest = 0;
  #largestBefore = 0;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
    this.#probes = new Probes(options.outlet);
  }

  /** Whether a notice for this client answers a keep-alive or a heartbeat: see Probes. */
  isProbing(client: Client): boolean {
    return this.#probes.has(client);
  }

  /** Starts, or continues with other times, which clients with heartbeat events learn at once. */
  start({ keepalive, heartbeat }: KeepaliveTimes): void {
    this.stop();
    this.#sendHeartbeatEvents(heartbeat, this.#options.clock.monotonic());
    const { clock } = this.#options;
    this.#timers.push(clock.every(keepalive / SWEEP_STEP_COUNT, () => this.#step()));
    if (heartbeat > 0) this.#timers.push(clock.every(heartbeat / HEARTBEAT_CHECK_COUNT, () => this.#beat(heartbeat)));
  }

  stop(): void {
    for (const cancel of this.#timers.splice(0)) cancel();
  }

  /** The connections are lost: the sweep starts at the first client again. */
  reset(): void {
    this.#sweep = undefined;
    this.#probes.clear();
  }

  #step(): void {
    const { registry, outlet } = this.#options;
    const clients: Client[] = [];
    for (let due = this.#dueCount(); due > 0; due--) {
      const client = this.#next();
      if (!client) break;
      registry.touch(client);
      clients.push(client);
    }
    for (let from = 0; from < clients.length; from += outlet.maxTargets)
      outlet.keepAlive(clients.slice(from, from + outlet.maxTargets).map(({ id }) => id));
    this.#probes.sent(clients);
  }

  /** Clients of one step: enough to reach the last one within SWEEP_STEP_COUNT steps, however many others disconnect meanwhile. */
  #dueCount(): number {
    const { size } = this.#options.registry;
    if (this.#steps++ % SWEEP_STEP_COUNT === 0) {
      this.#largestBefore = this.#largest;
      this.#largest = 0;
    }
    this.#largest = Math.max(this.#largest, size);
    return Math.min(size, Math.ceil(Math.max(this.#largest, this.#largestBefore) / SWEEP_STEP_COUNT));
  }

  #next(): Client | undefined {
    this.#sweep ??= this.#options.registry.clients.values();
    const next = this.#sweep.next();
    if (!next.done) return next.value;
    this.#sweep = undefined;
    return undefined;
  }

  #beat(heartbeat: number): void {
    const { clock, registry } = this.#options;
    const now = clock.monotonic();
    const quiet: Audience<Client>[] = [];
    let hasHeartbeatEvents = false;
    for (const audience of registry.audiences.values()) {
      hasHeartbeatEvents ||= audience.interest.hasHeartbeatEvents === true;
      if (audience.interest.hasHeartbeatEvents) continue;
      if (audience.size === 0 || audience.waiting.length > 0 || now - audience.lastSent < heartbeat) continue;
      audience.lastSent = now;
      quiet.push(audience);
    }
    this.#send(quiet, HEARTBEAT);
    if (hasHeartbeatEvents) this.#sendHeartbeatEvents(heartbeat, now - heartbeat * (1 - HEARTBEAT_TOLERANCE_RATIO));
  }

  /** To each audience that asked for heartbeat events and got its last one before `due`: Clock.monotonic(). */
  #sendHeartbeatEvents(heartbeat: number, due: number): void {
    const { clock, registry } = this.#options;
    const audiences = [...registry.audiences.values()].filter(
      ({ size, interest, lastHeartbeatEvent }) => size > 0 && interest.hasHeartbeatEvents && lastHeartbeatEvent <= due,
    );
    if (audiences.length === 0) return;
    for (const audience of audiences) audience.lastHeartbeatEvent = clock.monotonic();
    this.#send(audiences, heartbeatEvent(heartbeat));
  }

  #send(audiences: readonly Audience<Client>[], bytes: Buffer): void {
    const { outlet, compression } = this.#options;
    const compressed = compression ? audiences.filter(({ isCompressed }) => isCompressed) : [];
    const plain = compressed.length > 0 ? audiences.filter(({ isCompressed }) => !isCompressed) : audiences;
    for (const address of addressesOf(plain, outlet)) outlet.deliver(address, bytes);
    if (compression && compressed.length > 0) {
      const body = { bytes: bytes.length, events: 0, isPrivate: false, body: () => bytes };
      compression.begin();
      for (const { addresses, wire } of encodeFor(compressed, body, compression, outlet))
        for (const address of addresses) outlet.deliver(address, wire);
    }
    this.#probes.sent(audiences);
  }
}
