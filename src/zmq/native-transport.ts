/**
 * Transport to one Mongrel2 over the native ZeroMQ sockets (docs/architecture/mongrel2.md 2.9): a PULL socket to its PUSH (send_spec), a
 * PUB socket to its SUB (recv_spec).
 */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { LINGER_MS, MAX_REQUEST_BYTES, SEVERAL_PARTS, TOO_LARGE, TRUNCATED_REQUEST_BYTES } from "./link-limits.js";
import type { Peer } from "./peer.js";
import { MAX_SUBSCRIPTION_BYTES, Subscriptions } from "./subscriptions.js";
import type { Draining, Receiver, Transport, TransportObserver } from "./transport.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

export interface NativeTransportOptions {
  /** Address at which Mongrel2 sends requests. */
  readonly sendSpec: string;
  /** Address at which Mongrel2 receives replies. */
  readonly recvSpec: string;
  /** ZeroMQ identity of both sockets; "" = none. */
  readonly identity: string;
  /** Binds both sockets instead of connecting them. */
  readonly bind: boolean;
  readonly clock: Clock;
  /** Absent = connection errors are not reported. */
  readonly observer?: TransportObserver;
}

/**
 * Requests of one tick: here only their heads are read, and large bodies are queued by the route (http/large-body-queue.ts). A notice behind them
 * does not wait for them.
 */
const TICK_BYTES = 1_000_000;
const EMPTY = Buffer.alloc(0);

export class NativeTransport implements Transport {
  readonly #options: NativeTransportOptions;
  /** Subscriptions of each peer of the PUB socket: Mongrel2 has one, its recv_ident. */
  readonly #subscriptions = new Map<Peer, Subscriptions>();
  #pull: ZmqSocket | undefined;
  #pub: ZmqSocket | undefined;
  #isClosed = false;

  constructor(options: NativeTransportOptions) {
    this.#options = options;
  }

  async start(receiver: Receiver): Promise<void> {
    const { sendSpec, recvSpec, ...both } = this.#options;
    // PULL first: a Mongrel2 whose notices are not read stops reading replies (docs/architecture/mongrel2.md 2.8).
    this.#pull = new ZmqSocket(
      {
        ...both,
        type: "PULL",
        spec: sendSpec,
        maxMessageBytes: MAX_REQUEST_BYTES,
        truncateToBytes: TRUNCATED_REQUEST_BYTES,
        tickBytes: TICK_BYTES,
      },
      {
        ...this.#observe(sendSpec),
        ready: () => receiver.connected("in"),
        message: (_, parts, isTruncated) => this.#receive(parts, isTruncated, receiver),
        pong: () => receiver.pong?.("in"),
        closed: () => receiver.disconnected("in"),
        protocolError: (error) => receiver.protocolError(error),
      },
    );
    this.#pub = new ZmqSocket(
      { ...both, type: "PUB", spec: recvSpec, maxMessageBytes: MAX_SUBSCRIPTION_BYTES },
      {
        ...this.#observe(recvSpec),
        ready: (peer) => this.#subscriptions.set(peer, new Subscriptions()),
        message: (peer, [message]) => this.#subscribe(peer, message ?? EMPTY, receiver),
        pong: () => receiver.pong?.("out"),
        closed: (peer) => {
          this.#subscriptions.delete(peer);
          receiver.disconnected("out");
        },
        protocolError: (error) => receiver.protocolError(error),
      },
    );
    await this.#pull.start();
    await this.#pub.start();
  }

  /** Compares the subscriptions with the head alone. */
  send(head: Buffer, body: Buffer): void {
    if (this.#isClosed) return;
    for (const [peer, subscriptions] of this.#subscriptions) {
      if (subscriptions.select(head)) peer.send(head, body);
    }
  }

  reconnect(): void {
    this.#pub?.reconnect();
    this.#pull?.reconnect();
  }

  stopReceiving(draining: Draining): Promise<boolean> {
    return this.#pull?.drain(draining) ?? Promise.resolve(false);
  }

  ping(): boolean {
    const sockets = [this.#pull, this.#pub];
    return sockets.map((socket) => socket?.ping() ?? false).includes(true);
  }

  async close(): Promise<boolean> {
    this.#isClosed = true;
    const isDelivered = await this.#pub?.close({ timeoutMs: LINGER_MS });
    await this.#pull?.close({ timeoutMs: 0 });
    return isDelivered ?? false;
  }

  #observe(address: string) {
    const { observer } = this.#options;
    return {
      failed: (error: TransportError) => observer?.unreachable(error),
      recovered: () => observer?.reached(address),
      broken: (error: TransportError) => observer?.broken(error),
    };
  }

  /** Returns whether Mongrel2 may have sent the message. */
  #receive(parts: readonly Buffer[], isTruncated: boolean, receiver: Receiver): boolean {
    if (this.#isClosed) return true;
    const [message] = parts;
    const isWhole = message !== undefined && parts.length === 1;
    if (isTruncated) receiver.protocolError(new ProtocolError("too_large", TOO_LARGE));
    if (isWhole) receiver.message(message);
    else receiver.protocolError(new ProtocolError("invalid", SEVERAL_PARTS));
    return isWhole;
  }

  /** Reports a peer as connected with its first subscription: before that nothing reaches it. Returns whether anything changed. */
  #subscribe(peer: Peer, message: Buffer, receiver: Receiver): boolean {
    const subscriptions = this.#subscriptions.get(peer);
    const isFirst = subscriptions?.count === 0;
    const isChanged = subscriptions?.change(message) ?? false;
    if (isFirst && isChanged) receiver.connected("out");
    return isChanged;
  }
}
