/**
 * Writes events to the log. The field `event` names the event; it and the other fields are public names (docs/reference.md). What a client
 * or publisher can cause at will (rejected requests and publications) is logged at most once a second for each kind, with the number of
 * lines left out (`suppressed`). What they can write into a line is abbreviated: addresses, topics, ids, idents and the texts of errors,
 * which may quote them.
 */

import { messageOf } from "../../errors.js";
import type { EventOf, Observe } from "../../hub/events.js";
import type { Interest } from "../../matching/interest.js";
import { wordsOf } from "../../matching/selector.js";
import { abbreviate, abbreviateList } from "../../util/abbreviate.js";
import type { Clock } from "../../util/clock.js";
import { blocksReadiness } from "../../util/conditions.js";
import { memoizeLast } from "../../util/memoize-last.js";
import { Throttle } from "../../util/throttle.js";
import type { Logger } from "./logger.js";
import { conditionEnded, FIXES, MESSAGES } from "./messages.js";

/** Topics of a client in a line: it may have 100 of 4 kB each, and has two lines. */
const SHOWN_TOPICS = { maxWords: 10, maxWordCharacters: 120, maxCharacters: 300 };

/** Topics with repeated ids that have a line; those of further ones are only counted. */
const MAX_REPEATING_TOPIC_COUNT = 1000;

/** Between two lines of one kind that a client or publisher can cause at will. */
const THROTTLE_MS = 1000;

export class LogObserver {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #throttle: Throttle;
  #hasWarnedOfKeys = false;
  readonly #topicsWithRepeatedIds = new Set<string>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#throttle = new Throttle(clock, THROTTLE_MS);
  }

  /** The most frequent events first. */
  readonly observe: Observe = (event) => {
    // Long because it lists every event.
    switch (event.type) {
      case "published":
        return this.#published(event);
      case "flushed":
        return this.#flushed(event);
      case "requestCompleted":
        return this.#requestCompleted(event);
      case "clientConnected":
        return this.#clientConnected(event);
      case "clientAdopted":
        return this.#clientAdopted(event);
      case "clientDisconnected":
        return this.#clientDisconnected(event);
      case "topicsChanged":
        return this.#topicsChanged(event);
      case "idRepeated":
        return this.#idRepeated(event);
      case "removed":
        return this.#removed(event);
      case "gapReported":
        return this.#gapReported(event);
      case "linkLive":
        return this.#linkLive(event);
      case "linkLost":
        return this.#linkLost(event);
      case "malformedMessage":
        return this.#malformedMessage(event);
      case "staleMessagesDropped":
        return this.#staleMessagesDropped(event);
      case "identMismatch":
        return this.#identMismatch(event);
      case "controlPortFailed":
        return this.#controlPortFailed(event);
      case "adoptionCompleted":
        return this.#adoptionCompleted(event);
      case "orphansClosed":
        return this.#orphansClosed(event);
      case "publicationRejected":
        return this.#publicationRejected(event);
      case "keysEvicted":
        return this.#keysEvicted();
      case "peerRejected":
        return this.#peerRejected(event);
      case "spansHandled":
        return event.result === "dropped" ? this.#spansDropped() : undefined;
      case "zmqConnectionLost":
        return this.#zmqConnectionLost(event);
      case "webhookEventsLost":
        return this.#webhookEventsLost(event);
      case "conditionBegan":
        return this.#conditionBegan(event);
      case "conditionEnded":
        return this.#conditionEnded(event);
      case "flushAcknowledged":
      case "publicationRepeated":
      case "stateRequested":
      case "clientsFellBehind":
        return; // only the metrics show it
      default:
        event satisfies never;
    }
  };

  // Fields are named one by one: spread from one object into another, they were most of what a line costs in a storm.

  #clientConnected({ server, client, clients }: EventOf<"clientConnected">): void {
    const { id, audience } = client;
    const remote = abbreviate(client.remote);
    const topics = topicsOf(audience.interest);
    const event = "connect";
    this.#log.info({ event, server, client: id, remote, topics, clients }, MESSAGES.clientConnected);
  }

  #clientAdopted({ server, client, clients }: EventOf<"clientAdopted">): void {
    const { id, audience } = client;
    const remote = abbreviate(client.remote);
    const topics = topicsOf(audience.interest);
    const event = "adopt";
    this.#log.info({ event, server, client: id, remote, topics, clients }, MESSAGES.clientAdopted);
  }

  #clientDisconnected({ server, client, reason, clients }: EventOf<"clientDisconnected">): void {
    const { id, audience, since } = client;
    const remote = abbreviate(client.remote);
    const topics = topicsOf(audience.interest);
    const seconds = Math.round(this.#clock.monotonic() - since) / 1000;
    const event = "disconnect";
    const fields = { event, server, client: id, remote, topics, clients, reason, seconds };
    this.#log.info(fields, MESSAGES.clientDisconnected);
  }

  #topicsChanged({ server, client: { id, audience } }: EventOf<"topicsChanged">): void {
    const topics = topicsOf(audience.interest);
    this.#log.debug({ event: "topics_changed", server, client: id, topics }, MESSAGES.topicsChanged);
  }

  #published({ publication }: EventOf<"published">): void {
    if (!this.#log.isLevelEnabled("trace")) return;
    const { id, topics: all, bytes } = publication;
    const topics = abbreviateList(all, SHOWN_TOPICS);
    this.#log.trace({ event: "published", id: abbreviate(id), topics, bytes: bytes.length }, MESSAGES.published);
  }

  #flushed({ server, flush }: EventOf<"flushed">): void {
    if (!this.#log.isLevelEnabled("trace")) return;
    const { bodies, frames, bytes, deliveries, oldest } = flush;
    this.#log.trace({ event: "flushed", server, bodies, frames, bytes, deliveries, oldest }, MESSAGES.flushed);
  }

  /** Once a topic: a publisher that repeats ids does so with each event. */
  #idRepeated({ topic }: EventOf<"idRepeated">): void {
    if (this.#topicsWithRepeatedIds.has(topic) || this.#topicsWithRepeatedIds.size >= MAX_REPEATING_TOPIC_COUNT) return;
    this.#topicsWithRepeatedIds.add(topic);
    const fields = { event: "id_repeated", topic: abbreviate(topic), fix: FIXES.idRepeated };
    this.#log.warn(fields, MESSAGES.idRepeated);
  }

  #removed({ removal }: EventOf<"removed">): void {
    const { through, ...target } = removal;
    const text = (it: string | number) => (typeof it === "string" ? abbreviate(it) : new Date(it).toISOString());
    const fields = Object.fromEntries(Object.entries(target).map(([name, value]) => [name, text(value)]));
    this.#throttle.run("removed", (suppressed) => {
      this.#log.info({ event: "removed", ...fields, through, suppressed }, MESSAGES.removed);
    });
  }

  #gapReported({ server, reason }: EventOf<"gapReported">): void {
    this.#throttle.run("gap", (suppressed) => {
      this.#log.info({ event: "gap_reported", server, reason, suppressed }, MESSAGES.gapReported);
    });
  }

  #linkLive({ server, milliseconds }: EventOf<"linkLive">): void {
    this.#log.info({ event: "link_live", server, milliseconds: Math.round(milliseconds) }, MESSAGES.linkLive);
  }

  #linkLost({ server, reason }: EventOf<"linkLost">): void {
    this.#log.warn({ event: "link_lost", server, reason }, MESSAGES.linkLost);
  }

  #malformedMessage({ server, error: { code, message } }: EventOf<"malformedMessage">): void {
    this.#throttle.run(`malformed ${code}`, (suppressed) => {
      const fields = { event: "malformed_message", server, code, reason: abbreviate(message), suppressed };
      this.#log.warn(fields, MESSAGES.malformedMessage);
    });
  }

  #staleMessagesDropped({ server, messages }: EventOf<"staleMessagesDropped">): void {
    this.#throttle.run(`stale ${server}`, (suppressed) => {
      const fields = { event: "stale_messages_dropped", server, messages, suppressed };
      this.#log.info(fields, MESSAGES.staleMessagesDropped);
    });
  }

  #identMismatch({ server, configured, received }: EventOf<"identMismatch">): void {
    const fields = { event: "ident_mismatch", server, configured, received: abbreviate(received) };
    this.#log.error({ ...fields, fix: FIXES.identMismatch }, MESSAGES.identMismatch);
  }

  /** An outage that lasts is the condition control_unreachable. */
  #controlPortFailed({ server, error }: EventOf<"controlPortFailed">): void {
    const reason = abbreviate(messageOf(error));
    this.#log.debug({ event: "control_port_failed", server, reason }, MESSAGES.controlPortFailed);
  }

  #adoptionCompleted({ server, adopted, cancelled, gone, proven }: EventOf<"adoptionCompleted">): void {
    if (adopted + cancelled + gone === 0) return;
    const fields = { event: "adoption_completed", server, adopted, cancelled, gone, proven };
    this.#log.info(fields, MESSAGES.adoptionCompleted);
  }

  #orphansClosed({ server, connections, rule }: EventOf<"orphansClosed">): void {
    this.#log.info({ event: "orphans_closed", server, connections, rule }, MESSAGES.orphansClosed);
  }

  /** The line of an HTTP publication is that of its request. */
  #publicationRejected({ source, error: { code, message } }: EventOf<"publicationRejected">): void {
    if (source === "http") return;
    this.#throttle.run(`publication ${code}`, (suppressed) => {
      const fields = { event: "publication_rejected", source, code, reason: abbreviate(message), suppressed };
      this.#log.warn(fields, MESSAGES.publicationRejected);
    });
  }

  /** Once: from then on, the metric tells. */
  #keysEvicted(): void {
    if (this.#hasWarnedOfKeys) return;
    this.#hasWarnedOfKeys = true;
    this.#log.warn({ event: "keys_evicted", fix: FIXES.keysEvicted }, MESSAGES.keysEvicted);
  }

  #spansDropped(): void {
    this.#throttle.run("spans", (suppressed) => {
      this.#log.warn({ event: "spans_dropped", suppressed, fix: FIXES.spansDropped }, MESSAGES.spansDropped);
    });
  }

  #peerRejected({ address, error: { code, message: reason }, peer }: EventOf<"peerRejected">): void {
    this.#throttle.run(`peer ${address} ${code}`, (suppressed) => {
      const fields = { event: "peer_rejected", address, peer, code, reason, suppressed };
      this.#log.warn(fields, MESSAGES.peerRejected);
    });
  }

  #zmqConnectionLost({ error: { message: reason } }: EventOf<"zmqConnectionLost">): void {
    this.#throttle.run("connection", (suppressed) => {
      this.#log.info({ event: "zmq_connection_lost", reason, suppressed }, MESSAGES.zmqConnectionLost);
    });
  }

  #requestCompleted({ server, route, status, reason }: EventOf<"requestCompleted">): void {
    if (reason === undefined) {
      this.#log.debug({ event: "request_completed", server, route, status }, MESSAGES.requestCompleted);
      return;
    }
    this.#throttle.run(`refused ${route} ${status}`, (suppressed) => {
      const fields = { event: "request_refused", server, route, status, reason: abbreviate(reason), suppressed };
      this.#log.info(fields, MESSAGES.requestRefused);
    });
  }

  #webhookEventsLost({ webhook, count }: EventOf<"webhookEventsLost">): void {
    this.#throttle.run(`webhook ${webhook}`, (suppressed) => {
      const fields = { event: "webhook_events_lost", webhook, count, suppressed, fix: FIXES.webhookEventsLost };
      this.#log.warn(fields, MESSAGES.webhookEventsLost);
    });
  }

  #conditionBegan({ condition: { code, subject, message, fix, level, details } }: EventOf<"conditionBegan">): void {
    const fields = { event: "condition_began", code, ...(subject && { subject }), ...details, fix };
    this.#log[level ?? (blocksReadiness(code) ? "error" : "warn")](fields, message);
  }

  #conditionEnded({ condition: { code, subject, message }, milliseconds }: EventOf<"conditionEnded">): void {
    const seconds = Math.round(milliseconds) / 1000;
    const fields = { event: "condition_ended", code, ...(subject && { subject }), seconds };
    this.#log.info(fields, conditionEnded(message));
  }
}

const topicsOf = memoizeLast(({ selectors }: Interest) => abbreviateList(selectors.map(wordsOf), SHOWN_TOPICS));
