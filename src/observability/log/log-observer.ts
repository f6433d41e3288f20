/**
 * What happens, told in the log. Names and messages are fixed: people tail the log for them. What a stranger can cause at
 * will (bad requests, bad publications) is told at most once a second for each kind, with the number that was left out. What a
 * stranger can write into a line is abbreviated: addresses, topics, ids, idents and the texts of errors, which may quote them.
 */

import type { Client } from "../../delivery/client.js";
import type { Flush } from "../../delivery/outbox.js";
import type { DisconnectReason, GapReason, PublicationSource } from "../../delivery/ports.js";
import type { M2pushError } from "../../errors.js";
import type { Interest } from "../../matching/interest.js";
import { wordsOf } from "../../matching/selector.js";
import type { Publication } from "../../protocol/publication.js";
import { abbreviate, abbreviateList } from "../../util/abbreviate.js";
import type { Clock } from "../../util/clock.js";
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

  // Members are named one by one: spread from one object into another, they were what cost most of a line in a storm.

  connected(server: string, { id, remote: address, audience }: Client, clients: number): void {
    const remote = abbreviate(address);
    const topics = topicsOf(audience.interest);
    this.#log.info({ event: "connect", server, client: id, remote, topics, clients }, "client connected");
  }

  disconnected(server: string, client: Client, reason: DisconnectReason, clients: number): void {
    const { id, audience, since } = client;
    const remote = abbreviate(client.remote);
    const seconds = Math.round(this.#clock.monotonic() - since) / 1000;
    const topics = topicsOf(audience.interest);
    const text = "client disconnected";
    this.#log.info({ event: "disconnect", server, client: id, remote, topics, clients, reason, seconds }, text);
  }

  adopted(server: string, { id, remote: address, audience }: Client, clients: number): void {
    const remote = abbreviate(address);
    const topics = topicsOf(audience.interest);
    this.#log.info({ event: "adopt", server, client: id, remote, topics, clients }, "client adopted");
  }

  published(publication: Publication): void {
    if (!this.#log.isLevelEnabled("trace")) return;
    const { id, topics: all, bytes } = publication;
    const topics = abbreviateList(all, TOPICS);
    this.#log.trace({ event: "publish", id: abbreviate(id), topics, bytes: bytes.length }, "published");
  }

  /** Once a topic: a publisher that does it does it with each event. */
  repeatedId(topic: string): void {
    if (this.#repeating.has(topic) || this.#repeating.size >= MAX_REPEATING_TOPICS) return;
    this.#repeating.add(topic);
    const fix = "leave the ids to the hub, or have the publisher go on counting where it stopped";
    const text = "a publisher uses event ids again: browsers that come back may miss events, or get some twice";
    this.#log.warn({ event: "repeated id", topic: abbreviate(topic), fix }, text);
  }

  flushed(server: string, { bodies, frames, bytes, deliveries, oldest }: Flush): void {
    this.#log.trace({ event: "flush", server, bodies, frames, bytes, deliveries, oldest }, "sent");
  }

  gap(server: string, reason: GapReason): void {
    this.#throttle.run("gap", (suppressed) => {
      this.#log.info({ event: "gap", server, reason, suppressed }, "client told that publications are gone");
    });
  }

  serverLive(server: string, milliseconds: number): void {
    this.#log.info({ event: "live", server, milliseconds: Math.round(milliseconds) }, "Mongrel2 answers: serving");
  }

  serverLost(server: string, why: string): void {
    this.#log.warn({ event: "lost", server, why }, "Mongrel2 lost: its clients are forgotten");
  }

  recovered(server: string, result: { adopted: number; cancelled: number; gone: number; proven: boolean }): void {
    if (result.adopted + result.cancelled + result.gone === 0) return;
    this.#log.info({ event: "recovered", server, ...result }, "clients of the last run are settled");
  }

  controlFailed(server: string, error: unknown): void {
    const why = abbreviate(error instanceof Error ? error.message : String(error));
    // What lasts is a condition: control_unreachable.
    this.#log.debug({ event: "control", server, why }, "Mongrel2's control port does not answer");
  }

  orphansClosed(server: string, connections: number, rule: string): void {
    const text = "closed connections that an earlier process left without an answer or events";
    this.#log.info({ event: "orphans closed", server, connections, rule }, text);
  }

  wrongIdent(server: string, configured: string, seen: string): void {
    const text = "Mongrel2 signs with another send_ident than the one configured here: make the two the same";
    this.#log.error({ event: "ident", server, configured, seen: abbreviate(seen) }, text);
  }

  malformed(server: string, error: M2pushError): void {
    this.#throttle.run(`malformed ${error.code}`, (suppressed) => {
      this.#log.warn(
        { event: "malformed", server, code: error.code, why: abbreviate(error.message), suppressed },
        "bad message from Mongrel2",
      );
    });
  }

  /** One that came over HTTP stands in the log as a request that was refused. */
  publicationRejected(source: PublicationSource, error: M2pushError): void {
    if (source === "http") return;
    this.#throttle.run(`publication ${error.code}`, (suppressed) => {
      const why = abbreviate(error.message);
      this.#log.warn({ event: "rejected", source, code: error.code, why, suppressed }, "publication rejected");
    });
  }

  peerRefused(address: string, error: M2pushError, peer: string): void {
    const { code, message: why } = error;
    this.#throttle.run(`peer ${address} ${code}`, (suppressed) => {
      this.#log.warn({ event: "peer", address, peer, code, why, suppressed }, "ZeroMQ peer disconnected");
    });
  }

  connectionBroken(error: M2pushError): void {
    this.#throttle.run("connection", (suppressed) => {
      this.#log.info({ event: "connection", why: error.message, suppressed }, "ZeroMQ connection broken");
    });
  }

  /** Figures only: see the metrics. */
  fencePassed(): void {}

  stale(server: string, messages: number): void {
    this.#throttle.run(`stale ${server}`, (suppressed) => {
      const text = "a message that may be of a Mongrel2 that is gone: not taken";
      this.#log.info({ event: "stale", server, messages, suppressed }, text);
    });
  }

  answered(server: string, route: string, status: number, why?: string): void {
    if (why === undefined) this.#log.debug({ event: "answer", server, route, status }, "request answered");
    else
      this.#throttle.run(`refused ${route} ${status}`, (suppressed) => {
        const text = abbreviate(why);
        this.#log.info({ event: "refuse", server, route, status, why: text, suppressed }, "request refused");
      });
  }
}

const topicsOf = memoizeLast(({ selectors }: Interest) => abbreviateList(selectors.map(wordsOf), TOPICS));
