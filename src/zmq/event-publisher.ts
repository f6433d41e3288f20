/**
 * The port of a bound PUB socket that tells other programs what happens in the daemon. test/contract/event-publisher.ts tests both
 * implementations.
 *
 * Order: a subscriber gets messages in the order of the calls. Errors: publish() never blocks, fails or throws; a subscriber that does not
 * read loses messages once its share of memory is full, and the others lose nothing. Do not assume that anybody subscribes.
 */
import type { ProtocolError } from "../errors.js";
import type { TransportError } from "./transport-error.js";

export interface PublisherObserver {
  /** A peer was disconnected. `remote`: its address and port, "" = none. */
  refused(error: ProtocolError, remote: string): void;
  /** The socket cannot accept connections. Called once, until recovered(). */
  failed(error: TransportError): void;
  recovered(): void;
  /** An established connection has ended with an error. */
  broken(error: TransportError): void;
}

export interface EventPublisher {
  /** Rejects with "link_failed" when the address cannot be bound. */
  start(observer: PublisherObserver): Promise<void>;
  /** Sends a message of two parts to the peers with a subscription to a prefix of the topic. */
  publish(topic: Buffer, body: Buffer): void;
  /** Peers that are connected. */
  readonly subscribers: number;
  /** Messages that slow subscribers have lost, counted once for each; undefined = the implementation does not tell. */
  readonly dropped: number | undefined;
  /** Sends what is queued, for at most a second. Never rejects. */
  close(): Promise<void>;
}

/** Messages that one subscriber has not taken, bytes (native) and number (libzmq). Further ones are dropped for it. */
export const MAX_UNSENT_BYTES = 4_000_000;
export const MAX_UNSENT_MESSAGES = 10_000;
/** Connections of subscribers; together they hold at most 128 MB. */
export const MAX_SUBSCRIBER_COUNT = 32;
