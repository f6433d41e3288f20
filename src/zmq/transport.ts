/**
 * The port of a link: a way to get messages from one Mongrel2 and to send messages to it.
 *
 * Messages sent leave in order; send() never blocks, fails or throws, and what is sent while no peer is connected is lost
 * without a sign (a ZeroMQ PUB socket): only an answer proves that a message arrived. Messages received come one by one, in
 * the order one peer sent them; the receiver must not block in its callback. "connected" and "disconnected" are told for
 * each of the two directions; between them messages of an earlier peer may still come in.
 */
import type { ProtocolError } from "../errors.js";

/** See Transport.stopReceiving(). */
export interface Draining {
  /** Part of the message that asks for the half-close. */
  readonly mark: Buffer;
  /** How long to wait for it, milliseconds. */
  readonly markTimeoutMs: number;
  /** How long peers may take to end their side after that, milliseconds. */
  readonly endTimeoutMs: number;
}

export interface Transport {
  /** Binds or connects; rejects with "link_failed" when that is not possible. Called once. */
  start(receiver: Receiver): Promise<void>;
  /** One message, in one part: the head and the body behind it. Neither may change afterwards. */
  send(head: Buffer, body: Buffer): void;
  /** Ends the connections and makes new ones, as if they had been cut; "disconnected" is told of those that were there. */
  reconnect(): void;
  /**
   * Ends receiving without losing what peers write until then. From this call on what comes in is read and kept back. When `mark`
   * comes in, or after `markTimeoutMs`, the receiving side is half-closed at once, in that very read callback; then all that was
   * read is handed on, in order, and all that still comes until the peers end their side. Nobody connects to it again. Sending goes
   * on. Resolves, after the last message, with whether the mark came and every peer ended within `endTimeoutMs`; never rejects.
   * An implementation that cannot half-close hands on what it has and resolves with false. Called at most once, before close().
   */
  stopReceiving(draining: Draining): Promise<boolean>;
  /**
   * Sends what is queued, for at most a second, then lets go of the sockets. Nothing is received any more. Resolves with whether
   * the peers have taken all of it; never rejects.
   */
  close(): Promise<boolean>;
  /**
   * Sends a ZMTP PING on each connection whose peer announced ZMTP 3.1 or later. Returns false when there is none: then no
   * pong() will come. libzmq's I/O thread answers, so a PONG proves the connection and the process, not that messages are read.
   */
  ping(): boolean;
}

export interface Receiver {
  message(frame: Buffer): void;
  connected(direction: "in" | "out"): void;
  disconnected(direction: "in" | "out"): void;
  /** A peer of this direction has answered ping(). Absent: the receiver never asks. */
  pong?(direction: "in" | "out"): void;
  /** Something that Mongrel2 never sends: it was dropped, or who sent it was cut off. */
  protocolError(error: ProtocolError): void;
}
