/**
 * What happens, told in the log. Names and messages are fixed: people tail the log for them. What a stranger can cause at
 * will (bad requests, bad publications) is told at most once a second for each kind, with the number that was left out. What a
 * stranger can write into a line is abbreviated: addresses, topics, ids, idents and the texts of errors, which may quote them.
 */

import type { EventOf, Observe } from "../../hub/events.js";
import type { Interest } from "../../matching/interest.js";
import { wordsOf } from "../../matching/selector.js";
import { abbreviate, abbreviateList } from "../../util/abbreviate.js";
import type { Clock } from "../../util/clock.js";
import { blocksReadiness } from "../../util/conditions.js";
import { memoizeLast } from "../../util/memoize-last.js";
import { Throttle } from "../../util/throttle.js";
import type { Logger } from "./logger.js";

/** A client's topics in a line: it may have 100 of 4 kB each, and has two lines. */
const TOPICS = { maxWords: 10, maxWordCharacters: 120, maxCharacters: 300 };

/** What is beyond is only counted. */
const MAX_REPEATING_TOPICS = 1000;

export class LogObserver {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #throttle: Throttle;
  /** Topics in which ids were used again. */
  readonly #repeating = new Set<string>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#throttle = new Throttle(clock, 1000);
  }

  /** The most frequent events first. */
  readonly observe: Observe = (event) => {
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
      case "idRepeated":
        return this.#idRepeated(event);
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
      case "peerRejected":
        return this.#peerRejected(event);
      case "zmqConnectionLost":
        return this.#zmqConnectionLost(event);
      case "conditionBegan":
        return this.#conditionBegan(event);
      case "conditionEnded":
        return this.#conditionEnded(event);
      case "flushAcknowledged":
        return; // only the metrics show it
      default:
        event satisfies never;
    }
  };

  // Members are named one by one: spread from one object into another, they were what cost most of a line in a storm.

  #clientConnected({ server, client, clients }: EventOf<"clientConnected">): void {
    const { id, remote: address, audience } = client;
    const remote = abbreviate(address);
    const topics = topicsOf(audience.interest);
    this.#log.info({ event: "connect", server, client: id, remote, topics, clients }, "client connected");
  }

  #clientDisconnected({ server, client, reason, clients }: EventOf<"clientDisconnected">): void {
    const { id, audience, since } = client;
    const remote = abbreviate(client.remote);
    const seconds = Math.round(this.#clock.monotonic() - since) / 1000;
    const topics = topicsOf(audience.interest);
    const text = "client disconnected";
    this.#log.info({ event: "disconnect", server, client: id, remote, topics, clients, reason, seconds }, text);
  }

  #clientAdopted({ server, client, clients }: EventOf<"clientAdopted">): void {
    const { id, remote: address, audience } = client;
    const remote = abbreviate(address);
    const topics = topicsOf(audience.interest);
    this.#log.info({ event: "adopt", server, client: id, remote, topics, clients }, "client adopted");
  }

  #published({ publication }: EventOf<"published">): void {
    if (!this.#log.isLevelEnabled("trace")) return;
    const { id, topics: all, bytes } = publication;
    const topics = abbreviateList(all, TOPICS);
    this.#log.trace({ event: "publish", id: abbreviate(id), topics, bytes: bytes.length }, "published");
  }

  /** Once a topic: a publisher that does it does it with each event. */
  #idRepeated({ topic }: EventOf<"idRepeated">): void {
    if (this.#repeating.has(topic) || this.#repeating.size >= MAX_REPEATING_TOPICS) return;
    this.#repeating.add(topic);
    const fix = "leave the ids to the hub, or have the publisher go on counting where it stopped";
    const text = "a publisher uses event ids again: browsers that come back may miss events, or get some twice";
    this.#log.warn({ event: "repeated id", topic: abbreviate(topic), fix }, text);
  }

  #flushed({ server, flush }: EventOf<"flushed">): void {
    if (!this.#log.isLevelEnabled("trace")) return;
    const { bodies, frames, bytes, deliveries, oldest } = flush;
    this.#log.trace({ event: "flush", server, bodies, frames, bytes, deliveries, oldest }, "sent");
  }

  #gapReported({ server, reason }: EventOf<"gapReported">): void {
    this.#throttle.run("gap", (suppressed) => {
      this.#log.info({ event: "gap", server, reason, suppressed }, "client told that publications are gone");
    });
  }

  #linkLive({ server, milliseconds }: EventOf<"linkLive">): void {
    this.#log.info({ event: "live", server, milliseconds: Math.round(milliseconds) }, "Mongrel2 answers: serving");
  }

  #linkLost({ server, reason: why }: EventOf<"linkLost">): void {
    this.#log.warn({ event: "lost", server, why }, "Mongrel2 lost: its clients are forgotten");
  }

  #adoptionCompleted({ server, adopted, cancelled, gone, proven }: EventOf<"adoptionCompleted">): void {
    if (adopted + cancelled + gone === 0) return;
    const text = "clients of the last run are settled";
    this.#log.info({ event: "recovered", server, adopted, cancelled, gone, proven }, text);
  }

  #controlPortFailed({ server, error }: EventOf<"controlPortFailed">): void {
    const why = abbreviate(error instanceof Error ? error.message : String(error));
    // What lasts is a condition: control_unreachable.
    this.#log.debug({ event: "control", server, why }, "Mongrel2's control port does not answer");
  }

  #orphansClosed({ server, connections, rule }: EventOf<"orphansClosed">): void {
    const text = "closed connections that an earlier process left without an answer or events";
    this.#log.info({ event: "orphans closed", server, connections, rule }, text);
  }

  #identMismatch({ server, configured, received: seen }: EventOf<"identMismatch">): void {
    const text = "Mongrel2 signs with another send_ident than the one configured here: make the two the same";
    this.#log.error({ event: "ident", server, configured, seen: abbreviate(seen) }, text);
  }

  #malformedMessage({ server, error }: EventOf<"malformedMessage">): void {
    this.#throttle.run(`malformed ${error.code}`, (suppressed) => {
      this.#log.warn(
        { event: "malformed", server, code: error.code, why: abbreviate(error.message), suppressed },
        "bad message from Mongrel2",
      );
    });
  }

  /** One that came over HTTP stands in the log as a request that was refused. */
  #publicationRejected({ source, error }: EventOf<"publicationRejected">): void {
    if (source === "http") return;
    this.#throttle.run(`publication ${error.code}`, (suppressed) => {
      const why = abbreviate(error.message);
      this.#log.warn({ event: "rejected", source, code: error.code, why, suppressed }, "publication rejected");
    });
  }

  #peerRejected({ address, error, peer }: EventOf<"peerRejected">): void {
    const { code, message: why } = error;
    this.#throttle.run(`peer ${address} ${code}`, (suppressed) => {
      this.#log.warn({ event: "peer", address, peer, code, why, suppressed }, "ZeroMQ peer disconnected");
    });
  }

  #zmqConnectionLost({ error }: EventOf<"zmqConnectionLost">): void {
    this.#throttle.run("connection", (suppressed) => {
      this.#log.info({ event: "connection", why: error.message, suppressed }, "ZeroMQ connection broken");
    });
  }

  #staleMessagesDropped({ server, messages }: EventOf<"staleMessagesDropped">): void {
    this.#throttle.run(`stale ${server}`, (suppressed) => {
      const text = "a message that may be of a Mongrel2 that is gone: not taken";
      this.#log.info({ event: "stale", server, messages, suppressed }, text);
    });
  }

  #requestCompleted({ server, route, status, reason: why }: EventOf<"requestCompleted">): void {
    if (why === undefined) this.#log.debug({ event: "answer", server, route, status }, "request answered");
    else
      this.#throttle.run(`refused ${route} ${status}`, (suppressed) => {
        const text = abbreviate(why);
        this.#log.info({ event: "refuse", server, route, status, why: text, suppressed }, "request refused");
      });
  }

  #conditionBegan({ condition: { code, subject, message, fix, level, details } }: EventOf<"conditionBegan">): void {
    const fields = { event: "condition", code, ...(subject && { subject }), ...details, fix };
    this.#log[level ?? (blocksReadiness(code) ? "error" : "warn")](fields, message);
  }

  #conditionEnded({ condition: { code, subject, message }, milliseconds }: EventOf<"conditionEnded">): void {
    const seconds = Math.round(milliseconds) / 1000;
    this.#log.info({ event: "condition ended", code, ...(subject && { subject }), seconds }, `no longer: ${message}`);
  }
}

const topicsOf = memoizeLast(({ selectors }: Interest) => abbreviateList(selectors.map(wordsOf), TOPICS));
