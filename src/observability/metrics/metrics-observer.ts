/**
 * Counts events. Each publication, flush and response comes by here, so that nothing but a server's counters is looked up, by its name;
 * see counters.ts.
 */
import { Registry } from "prom-client";
import type { EventOf, Observe } from "../../hub/events.js";
import type { Clock } from "../../util/clock.js";
import { Counters, type ServerCounters } from "./counters.js";
import { Histograms } from "./histograms.js";
import { HotTopics } from "./hot-topics.js";
import { QuantileWindow } from "./quantile-window.js";

export class MetricsObserver {
  readonly counters = new Counters();
  readonly registry = new Registry();
  readonly histograms: Histograms;
  readonly hotTopics: HotTopics;
  /** Milliseconds from publication to fence, by server. */
  readonly #lateness = new Map<string, QuantileWindow>();
  readonly #clock: Clock;
  /** The oldest publication of the flush that is under way, by server. */
  readonly #oldest = new Map<string, number | undefined>();

  constructor(clock: Clock, random = Math.random) {
    this.#clock = clock;
    this.hotTopics = new HotTopics(clock, random);
    this.histograms = new Histograms(this.registry);
  }

  /** A server's figures. From the first call on they are all there, as zeros, before anything happens. */
  server(name: string): ServerCounters {
    const known = this.counters.servers.get(name);
    if (known) return known;
    this.histograms.addServer(name);
    return this.counters.server(name);
  }

  /** How old publications were when a flush was acknowledged; see ServerCounters.latencyMs. */
  lateness(server: string): QuantileWindow {
    const known = this.#lateness.get(server) ?? new QuantileWindow(this.#clock);
    this.#lateness.set(server, known);
    return known;
  }

  readonly observe: Observe = (event) => {
    // Long because it lists what each event counts; the most frequent ones first.
    const { counters } = this;
    switch (event.type) {
      case "published":
        counters.publications++;
        counters.publicationBytes += event.publication.bytes.length;
        return;
      case "flushed":
        return this.#flushed(event);
      case "flushAcknowledged":
        return this.#flushAcknowledged(event);
      case "requestCompleted":
        return counters.requests.add([event.server, event.route, String(event.status)]);
      case "clientConnected":
        this.server(event.server).connects++;
        if (event.client.state.name === "catchingUp") this.server(event.server).replays++;
        return;
      case "clientAdopted":
        this.server(event.server).adoptions++;
        return;
      case "clientDisconnected":
        this.server(event.server).disconnects++;
        return counters.disconnects.add([event.server, event.reason]);
      case "removed":
        counters.removals++;
        return;
      case "topicsChanged":
        this.server(event.server).topicChanges++;
        return;
      case "idRepeated":
        counters.repeatedIds++;
        return;
      case "stateRequested":
        return counters.states.add([event.server, event.kind]);
      case "clientsFellBehind":
        return counters.fellBehind.add([event.server, event.reason], event.clients);
      case "gapReported":
        return counters.gaps.add([event.server, event.reason]);
      case "linkLive":
        return void this.server(event.server);
      case "linkLost":
        return this.#linkLost(event);
      case "malformedMessage":
        return counters.malformedMessages.add([event.server, event.error.code]);
      case "staleMessagesDropped":
        this.server(event.server).staleMessages += event.messages;
        return;
      case "controlPortFailed":
        this.server(event.server).controlFailures++;
        return;
      case "orphansClosed":
        this.server(event.server).orphansClosed += event.connections;
        return;
      case "publicationRejected":
        return counters.rejected.add([event.source, event.error.code]);
      case "publicationRepeated":
        counters.repeats++;
        return;
      case "keysEvicted":
        counters.evictedKeys += event.count;
        return;
      case "peerRejected":
        return counters.rejectedPeers.add([event.error.code]);
      case "spansHandled":
        return counters.spans.add([event.result], event.spans);
      // Not counted: the log has them, and the gauge m2push_condition reads the conditions that last.
      case "adoptionCompleted":
      case "identMismatch":
      case "webhookEventsLost":
      case "zmqConnectionLost":
      case "conditionBegan":
      case "conditionEnded":
        return;
      default:
        event satisfies never;
    }
  };

  #flushed({ server, flush: { frames, bytes, deliveries, oldest } }: EventOf<"flushed">): void {
    const counters = this.server(server);
    counters.frames += frames;
    counters.bytes += bytes;
    counters.deliveries += deliveries;
    this.#oldest.set(server, oldest);
    this.histograms.flush(server, bytes);
  }

  #flushAcknowledged({ server, milliseconds }: EventOf<"flushAcknowledged">): void {
    const counters = this.server(server);
    counters.fenceMs = milliseconds;
    this.histograms.fence(server, milliseconds);
    const oldest = this.#oldest.get(server);
    if (oldest === undefined) return;
    this.#oldest.set(server, undefined);
    // Publications carry the wall clock's time, in a cluster another machine's: it may be ahead of ours.
    counters.latencyMs = Math.max(0, this.#clock.now() - oldest);
    this.histograms.latency(server, counters.latencyMs);
    this.lateness(server).observe(counters.latencyMs);
  }

  #linkLost({ server }: EventOf<"linkLost">): void {
    const counters = this.server(server);
    counters.linkLosses++;
    counters.fenceMs = undefined;
    counters.latencyMs = undefined;
    this.#oldest.set(server, undefined);
  }
}
