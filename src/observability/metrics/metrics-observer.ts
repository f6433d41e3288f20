/**
 * What happens, counted. The same calls as the log's journal, and those that only figures care about. It is told of each
 * publication and each flush, so nothing here looks anything up but a server by its name; see counters.ts.
 */
import { Registry } from "prom-client";
import type { Client } from "../../delivery/client.js";
import type { Flush } from "../../delivery/outbox.js";
import type { DisconnectReason, GapReason, PublicationSource } from "../../delivery/ports.js";
import type { M2pushError } from "../../errors.js";
import type { DaemonObserver } from "../../hub/observers.js";
import type { Publication } from "../../protocol/publication.js";
import type { Clock } from "../../util/clock.js";
import { Counters, type ServerCounters } from "./counters.js";
import { Histograms } from "./histograms.js";

export class MetricsObserver implements DaemonObserver {
  readonly tally = new Counters();
  readonly registry = new Registry();
  readonly histograms: Histograms;
  readonly #clock: Clock;
  /** The oldest publication of the flush that is under way, by server. */
  readonly #oldest = new Map<string, number | undefined>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.histograms = new Histograms(this.registry);
  }

  /** A server's figures. From the first call on they are all there, as zeros, before anything happens. */
  server(name: string): ServerCounters {
    const known = this.tally.servers.get(name);
    if (known) return known;
    this.histograms.know(name);
    return this.tally.server(name);
  }

  // ---- Told by the hub -----------------------------------------------------------------------------------------------

  connected(server: string, _client: Client, _clients: number): void {
    this.server(server).connects++;
  }

  disconnected(server: string, _client: Client, reason: DisconnectReason, _clients: number): void {
    this.server(server).disconnects++;
    this.tally.disconnects.add([server, reason]);
  }

  adopted(server: string, _client: Client, _clients: number): void {
    this.server(server).adoptions++;
  }

  published({ bytes }: Publication): void {
    this.tally.publications++;
    this.tally.publicationBytes += bytes.length;
  }

  repeatedId(): void {
    this.tally.repeatedIds++;
  }

  flushed(server: string, { frames, bytes, deliveries, oldest }: Flush): void {
    const tally = this.server(server);
    tally.frames += frames;
    tally.bytes += bytes;
    tally.deliveries += deliveries;
    this.#oldest.set(server, oldest);
    this.histograms.flush(server, bytes);
  }

  gap(server: string, reason: GapReason): void {
    this.tally.gaps.add([server, reason]);
  }

  // ---- Told by endpoints and doors -----------------------------------------------------------------------------------

  /** Mongrel2 has taken a flush, so many milliseconds after it was sent. */
  fencePassed(server: string, ms: number): void {
    const tally = this.server(server);
    tally.fenceMs = ms;
    this.histograms.fence(server, ms);
    const oldest = this.#oldest.get(server);
    if (oldest === undefined) return;
    this.#oldest.set(server, undefined);
    // Publications carry the wall clock's time, in a cluster another machine's: it may be ahead of ours.
    tally.latencyMs = Math.max(0, this.#clock.now() - oldest);
    this.histograms.latency(server, tally.latencyMs);
  }

  serverLive(server: string): void {
    this.server(server);
  }

  serverLost(server: string): void {
    const tally = this.server(server);
    tally.losses++;
    tally.fenceMs = undefined;
    tally.latencyMs = undefined;
    this.#oldest.set(server, undefined);
  }

  /** Messages were dropped that may have been of a Mongrel2 that is gone. */
  stale(server: string, messages: number): void {
    this.server(server).stale += messages;
  }

  controlFailed(server: string): void {
    this.server(server).controlFailures++;
  }

  orphansClosed(server: string, connections: number): void {
    this.server(server).orphansClosed += connections;
  }

  malformed(server: string, { code }: M2pushError): void {
    this.tally.parseErrors.add([server, code]);
  }

  publicationRejected(source: PublicationSource, { code }: M2pushError): void {
    this.tally.rejected.add([source, code]);
  }

  /** A request was answered, by a stream (200) or otherwise. `route`: from a closed set, never the client's path. */
  answered(server: string, route: string, status: number): void {
    this.tally.answers.add([server, route, String(status)]);
  }

  peerRefused(_address: string, { code }: M2pushError): void {
    this.tally.refusedPeers.add([code]);
  }

  /** Nothing to count: these stand in the log. */
  connectionBroken(): void {}
  recovered(): void {}
  wrongIdent(): void {}
}
