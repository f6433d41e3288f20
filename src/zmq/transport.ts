/**
 * The port of a link: receives messages from one Mongrel2 and sends messages to it. test/contract/transport.ts tests every implementation.
 *
 * Order: sent messages leave in the order of the calls; received messages arrive one by one, in the order in which one peer sent them.
 * Errors: send() never blocks, fails or throws. A message that is sent while no peer is connected is lost without an error, as with
 * every ZeroMQ PUB socket; only an answer proves that a message arrived (docs/architecture/mongrel2.md 2.2).
 * Ownership: buffers handed to send() must not change afterwards. The receiver must not block in its callbacks.
 * Do not assume: that all messages between connected() and disconnected() are of one peer; messages of an earlier peer may still arrive.
 */
import type { ProtocolError } from "../errors.js";
import type { TransportError } from "./transport-error.js";

/** See Transport.stopReceiving(). */
export interface Draining {
  /** Bytes of the message that triggers the half-close. */
  readonly mark: Buffer;
  /** How long to wait for the mark. */
  readonly markTimeoutMs: number;
  /** How long peers may take to close their side after that. */
  readonly endTimeoutMs: number;
}

export interface Transport {
  /** Binds or connects; rejects with "link_failed" if that is not possible. Called once. */
  start(receiver: Receiver): Promise<void>;
  /** Sends a message of one part: the head and then the body. */
  send(head: Buffer, body: Buffer): void;
  /** Ends the connections and establishes new ones; calls disconnected() for those that existed. */
  reconnect(): void;
  /**
   * Stops receiving without losing a message that peers have written. From this call on messages are read and paused. When `mark`
   * arrives, or after `markTimeoutMs`, the receiving side is half-closed at once, in that read callback. Then all paused messages are
   * emitted, in order, and all that still arrive until the peers close their side. No new peer is connected; sending goes on.
   * Resolves after the last message: true if the mark arrived and every peer closed its side within `endTimeoutMs`. Never rejects. An
   * implementation that cannot half-close emits what it has and resolves with false. Called at most once, before close().
   */
  stopReceiving(draining: Draining): Promise<boolean>;
  /**
   * Sends the queued messages, for at most a second, then closes the sockets. Nothing is received any more. Resolves with true if the
   * peers have certainly taken all of them; an implementation that cannot half-close does not know, and resolves with false. Never rejects.
   */
  close(): Promise<boolean>;
  /**
   * Sends a ZMTP PING on each connection whose peer announced ZMTP 3.1 or later. Returns false if there is none, or if the implementation
   * has no PING: no pong() follows.
   * libzmq's I/O thread answers, so a PONG proves the connection and the process, not that messages are read.
   */
  ping(): boolean;
}

export interface Receiver {
  message(frame: Buffer): void;
  connected(direction: "in" | "out"): void;
  disconnected(direction: "in" | "out"): void;
  /** A peer of this direction has answered ping(). Absent: the receiver never calls ping(). */
  pong?(direction: "in" | "out"): void;
  /** A message that Mongrel2 never sends: it was dropped, or its sender was disconnected. */
  protocolError(error: ProtocolError): void;
}

/** Observes the two connections, each identified by its address. */
export interface TransportObserver {
  /** Called once, until reached() or another reason. */
  unreachable(error: TransportError): void;
  reached(address: string): void;
  /** An established connection has ended with an error. */
  broken(error: TransportError): void;
}
