/**
 * The bound socket for publishers, which closes without loss. To PUSH sockets it is a PULL socket, to REQ and DEALER sockets a ROUTER: each
 * message of those gets a reply, in order (reply-queue.ts).
 *
 * A PUSH socket forgets a message once it has written it, and a PULL socket of libzmq closes connections with messages on their way. This
 * socket half-closes a connection and reads on: the publisher closes its side, keeps unwritten messages for the next process, and everything
 * that it wrote is received. (With libzmq 5 of 16 daemons that were stopped at 100 events/s beside a busy Mongrel2 had lost events.)
 */
import type { ProtocolError } from "../errors.js";
import { splitEnvelope } from "../protocol/envelope.js";
import type { Clock } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import type { Peer } from "./peer.js";
import { ReplyBudget, ReplyQueue } from "./reply-queue.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

/**
 * How long publishers may take to close their side, and how long nothing may have arrived before the half-close, so that no message is
 * partly written. (libzmq writes queued messages in pieces of 8 kB, and drops a message that a piece cuts when the half-close arrives at
 * that moment. A publisher that is delayed for longer than quietMs at that moment still loses that message.)
 */
const CLOSE_OPTIONS = { timeoutMs: 1000, quietMs: 2 };
/**
 * The largest message. A part is collected in memory before it is parsed. A publisher that begins a larger message is disconnected,
 * reconnects by itself and continues with its next message.
 */
export const MAX_MESSAGE_BYTES = 4_000_000;

/** The connection of a PUSH socket. */
interface PacedConnection {
  /** Unique among the connections of the process. */
  readonly name: string;
  /** Handles no further message of it for this time. */
  holdFor(milliseconds: number): void;
}

export interface ServerReceiver {
  /**
   * A message of a PUSH socket. Returns whether it was useful: a peer that sends only useless ones is disconnected. `connection`: absent =
   * this one cannot be held.
   */
  message(parts: Buffer[], connection?: PacedConnection): boolean;
  /**
   * A message of a REQ or DEALER socket, without its envelope. `reply` must be called once, with one part; the replies to several messages
   * may be given in any order. `connection`: its name, unique among the connections of the process.
   */
  request(parts: Buffer[], reply: (body: Buffer) => void, connection: string): void;
  /** A peer was disconnected. `remote`: its address and port, "" = none. */
  refused(error: ProtocolError, remote: string): void;
  /** The socket cannot accept connections. Called once, until recovered(). */
  failed(error: TransportError): void;
  recovered(): void;
  /** An established connection has ended with an error. */
  broken(error: TransportError): void;
}

export class NativeServer {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #cap: Pick<ConnectionCap, "maxConnections" | "limitReached"> | undefined;
  /** One queue for each REQ or DEALER peer. */
  readonly #replies = new Map<Peer, ReplyQueue>();
  readonly #budget = new ReplyBudget();
  #socket: ZmqSocket | undefined;

  /** `cap`: limit for connected publishers; absent = no limit. */
  constructor(spec: string, clock: Clock, cap?: Pick<ConnectionCap, "maxConnections" | "limitReached">) {
    this.#spec = spec;
    this.#clock = clock;
    this.#cap = cap;
  }

  /** Rejects with "link_failed" when the address cannot be bound. */
  async start(receiver: ServerReceiver): Promise<void> {
    const options = { type: "PULL or ROUTER", identity: "", bind: true, maxMessageBytes: MAX_MESSAGE_BYTES } as const;
    this.#socket = new ZmqSocket(
      { ...options, spec: this.#spec, clock: this.#clock, cap: this.#cap },
      {
        message: (peer, parts) =>
          peer.isAnswered ? this.#request(peer, parts, receiver) : receiver.message(parts, peer),
        protocolError: (error, remote) => receiver.refused(error, remote),
        failed: (error) => receiver.failed(error),
        recovered: () => receiver.recovered(),
        broken: (error) => receiver.broken(error),
        ready: (peer) => this.#ready(peer),
        pong() {},
        closed: (peer) => this.#closed(peer),
      },
    );
    await this.#socket.start();
  }

  /** Publishers send faster than their messages are handled. */
  get hasBacklog(): boolean {
    return this.#socket?.hasBacklog ?? false;
  }

  /** Receives everything that PUSH sockets have written, as they never learn of a loss, and sends all replies that are owed. */
  async close(): Promise<void> {
    await this.#socket?.close(CLOSE_OPTIONS);
  }

  #ready(peer: Peer): void {
    if (!peer.isAnswered) return;
    const queue = new ReplyQueue(peer, this.#budget);
    this.#replies.set(peer, queue);
    peer.onWritable(queue.flush);
  }

  #closed(peer: Peer): void {
    this.#replies.get(peer)?.close();
    this.#replies.delete(peer);
  }

  /** The publisher of a message that is rejected is informed: its message was useful. */
  #request(peer: Peer, message: Buffer[], receiver: ServerReceiver): boolean {
    const { envelope, parts } = splitEnvelope(message, peer.type === "REQ");
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    const reply = this.#replies.get(peer)?.add(envelope, bytes);
    if (reply === undefined) throw new TypeError("a message of a peer that was never ready");
    peer.oweReply();
    receiver.request(parts, reply, peer.name);
    return true;
  }
}
