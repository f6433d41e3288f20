/**
 * ZeroMQ ingress: messages become publications. Invalid messages are reported and dropped; a publisher with a REQ or DEALER socket is told
 * the id of its event, or why it was rejected.
 */

import { M2pushError, messageOf, ProtocolError } from "../errors.js";
import type { BatchLimits, BatchRules } from "../protocol/event-batch.js";
import { type Draft, isBatch, parsePublications } from "../protocol/publication.js";
import { encodeError, encodeResults } from "../protocol/publish-reply.js";
import type { PublishTraces } from "../publishing/publish-traces.js";
import type { Publisher } from "../publishing/publisher.js";
import type { RateLimiter } from "../publishing/rate-limiter.js";

/** Receiver of the messages and events of the socket for publishers. */
interface SourceReceiver extends SocketObserver {
  /** Returns whether the message is a valid publication. `connection`: absent = it cannot be held. */
  message(parts: Buffer[], connection?: PacedConnection): boolean;
  /** A message that gets a reply. `connection`: its name, unique among the connections of the process. */
  request(parts: Buffer[], reply: (body: Buffer) => void, connection: string): void;
}

/** Observer of the socket for publishers and its connections. */
export interface SocketObserver {
  /** The connection of a publisher was rejected or closed. `remote`: its address and port, "" = unknown. */
  refused(error: M2pushError, remote: string): void;
  /** The socket cannot accept connections. Called once until recovered(). */
  failed(error: LinkFailure): void;
  recovered(): void;
  /** A connection ended with an error. */
  broken(error: LinkFailure): void;
}

/** An error of a socket, with the parts of its message. */
interface LinkFailure extends M2pushError {
  readonly address: string;
  readonly what: string;
  readonly fix: string;
}

/** The connection of a publisher that gets no replies. */
interface PacedConnection {
  /** Unique among the connections of the process. */
  readonly name: string;
  /** Handles no further message of it for this time. */
  holdFor(milliseconds: number): void;
}

/** Source of messages: a bound socket. */
interface Source {
  start(receiver: SourceReceiver): Promise<void>;
  close(): Promise<void>;
}

export interface IngressOptions {
  readonly source: Source;
  /** See Bus.post. */
  readonly post: (draft: Draft) => Promise<unknown> | undefined;
  readonly publisher: Pick<Publisher, "publish">;
  /** The time of traces; absent = they are off. */
  readonly traces?: Pick<PublishTraces, "now"> | undefined;
  /** The rate of publishers that get no replies: they are slowed down, and nothing of them is dropped. Others are told. */
  readonly rates: Pick<RateLimiter, "pauseAfter">;
  /**
   * Who publishes through this source (PublishRequest.publisher). Absent = anyone: nothing tells the publishers apart but their connections,
   * each of which has a rate of its own.
   */
  readonly scope?: string | undefined;
  /** Whether the publishers of this source may publish to all of these topics; absent = to every topic. */
  readonly mayPublish?: ((topics: readonly string[]) => boolean) | undefined;
  readonly batchLimits: BatchLimits;
  /** Whether a topic is in the hub's own namespace, which is closed to publishers. */
  readonly isReserved: (topic: string) => boolean;
  /** A message is invalid, or the daemon could not store it. A publisher with a PUSH socket is not informed. */
  readonly rejected: (error: M2pushError) => void;
  readonly observer: SocketObserver;
}

export class Ingress {
  readonly #options: IngressOptions;
  /** The scope of idempotency keys, which outlive connections. */
  readonly #scope: string;
  readonly #rules: BatchRules;
  /** The promise of the last post(): several publications may share one, and its rejection must be reported once. */
  #pending: Promise<unknown> | undefined;

  constructor(options: IngressOptions) {
    this.#options = options;
    this.#scope = options.scope ?? ANYONE;
    this.#rules = { limits: options.batchLimits, isReserved: options.isReserved };
  }

  start(): Promise<void> {
    const { source, observer } = this.#options;
    return source.start({
      message: (parts, connection) => this.#receive(parts, connection),
      request: (parts, reply, name) => void this.#reply(parts, name).then(reply),
      refused: (error, remote) => observer.refused(error, remote),
      failed: (error) => observer.failed(error),
      recovered: () => observer.recovered(),
      broken: (error) => observer.broken(error),
    });
  }

  close(): Promise<void> {
    return this.#options.source.close();
  }

  #receive(parts: Buffer[], connection: PacedConnection | undefined): boolean {
    try {
      const receivedAt = this.#options.traces?.now();
      const drafts = this.#parse(parts);
      this.#pace(drafts, connection);
      const first = drafts.length === 1 ? drafts[0] : undefined;
      const isPlain = first !== undefined && this.#isPostable(first);
      const pending = isPlain ? this.#options.post(first) : this.#publishUnanswered(drafts, receivedAt);
      if (pending !== this.#pending) {
        this.#pending = pending;
        pending?.catch((error) => this.#reject(error));
      }
      return true;
    } catch (error) {
      this.#reject(error);
      return !(error instanceof ProtocolError);
    }
  }

  /** Whether an event needs nothing of the publisher; see IngressOptions.post. */
  #isPostable({ key, traceparent }: Draft): boolean {
    return key === undefined && (traceparent === undefined || this.#options.traces === undefined);
  }

  #pace(drafts: readonly Draft[], connection: PacedConnection | undefined): void {
    if (connection === undefined) return;
    const pauseMs = this.#options.rates.pauseAfter(this.#rateScope(connection.name), drafts);
    if (pauseMs > 0) connection.holdFor(pauseMs);
  }

  #rateScope(connection: string): string {
    return this.#options.scope ?? `${ANYONE} ${connection}`;
  }

  /** Throws a ProtocolError, or "forbidden". */
  #parse(parts: Buffer[]): readonly Draft[] {
    const { mayPublish } = this.#options;
    const drafts = parsePublications(parts, this.#rules);
    if (mayPublish !== undefined && !drafts.every(({ topics }) => mayPublish(topics)))
      throw new M2pushError("forbidden", FORBIDDEN);
    return drafts;
  }

  /** A batch, or an event with a key or a trace that is recorded, of a PUSH socket. Rejects if one of its events was not published. */
  async #publishUnanswered(drafts: readonly Draft[], receivedAt: number | undefined): Promise<void> {
    const request = { drafts, publisher: this.#scope, receivedAt };
    const results = await this.#options.publisher.publish({ ...request, isPaced: true });
    for (const result of results) if ("error" in result) throw result.error;
  }

  /** Publishes the message; resolves with the reply to it. */
  async #reply(parts: Buffer[], connection: string): Promise<Buffer> {
    try {
      const receivedAt = this.#options.traces?.now();
      const [drafts, rateScope] = [this.#parse(parts), this.#rateScope(connection)];
      const request = { drafts, publisher: this.#scope, rateScope, receivedAt };
      const results = await this.#options.publisher.publish(request);
      for (const result of results) if ("error" in result) this.#options.rejected(result.error);
      return encodeResults(results, isBatch(parts));
    } catch (error) {
      this.#options.rejected(
        error instanceof M2pushError ? error : new M2pushError("internal", messageOf(error), { cause: error }),
      );
      return encodeError(error);
    }
  }

  #reject(error: unknown): void {
    if (!(error instanceof M2pushError)) throw error;
    this.#options.rejected(error);
  }
}

const ANYONE = "zmq";
const FORBIDDEN = "the publisher's key does not grant publishing on every topic of this event";
