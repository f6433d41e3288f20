/** A link to one Mongrel2 over ZeroMQ: our PULL on its PUSH (send_spec), our PUB on its SUB (recv_spec). */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import type { Draining, Receiver, Transport } from "./transport.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

export interface NativeTransportOptions {
  /** Where Mongrel2 sends requests. */
  readonly sendSpec: string;
  /** Where Mongrel2 takes replies. */
  readonly recvSpec: string;
  /** ZeroMQ identity of both sockets; "" = none. */
  readonly identity: string;
  /** Bind both instead of connecting. */
  readonly bind: boolean;
  readonly clock: Clock;
  /** Absent: whoever opens the link finds out by itself. */
  readonly observer?: TransportObserver;
}

/** Is told of what happens to the two connections, each named by its address. */
export interface TransportObserver {
  /** Told once, until reached() or another reason. */
  unreachable(error: TransportError): void;
  reached(address: string): void;
  /** A connection that was up has ended with an error. */
  broken(error: TransportError): void;
}

/** How long what was sent may take to leave when closing, milliseconds. */
const LINGER_MS = 1000;
/**
 * The largest request that is taken whole, bytes. Of a larger one the beginning is handed on, which names the connection to answer:
 * no client can make us end the link. (Mongrel2 sends bodies of up to limits.content_length.)
 */
const MAX_REQUEST_BYTES = 8_000_000;
const TRUNCATED_REQUEST_BYTES = 64_000;
/** The largest subscription of a peer, bytes: Mongrel2 has one, its recv_ident. */
const MAX_SUBSCRIPTION_BYTES = 1000;
/** And so many of them. */
const MAX_SUBSCRIPTION_COUNT = 1000;
const SUBSCRIBE_CODE = 1;
const EMPTY = Buffer.alloc(0);
const TOO_LARGE = `a request of more than ${MAX_REQUEST_BYTES} bytes: its end is not read; fix: lower limits.content_length of Mongrel2`;
const SEVERAL_PARTS = "a message in several parts: is something other than Mongrel2 connected to the send_spec?";

export class NativeTransport implements Transport {
  readonly #options: NativeTransportOptions;
  /** What each peer of the PUB has subscribed to: beginnings of messages. */
  readonly #subscriptions = new Map<Peer, Buffer[]>();
  #pull: ZmqSocket | undefined;
  #pub: ZmqSocket | undefined;
  #isClosed = false;

  constructor(options: NativeTransportOptions) {
    this.#options = options;
  }

  async start(receiver: Receiver): Promise<void> {
    const { sendSpec, recvSpec, ...both } = this.#options;
    // Receiving first: a Mongrel2 that cannot get rid of its notices stops taking our replies.
    this.#pull = new ZmqSocket(
      {
        ...both,
        type: "PULL",
        spec: sendSpec,
        maxMessageBytes: MAX_REQUEST_BYTES,
        truncateToBytes: TRUNCATED_REQUEST_BYTES,
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
        ready: (peer) => this.#subscriptions.set(peer, []),
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

  /** Subscriptions are compared with the head alone. */
  send(head: Buffer, body: Buffer): void {
    if (this.#isClosed) return;
    for (const [peer, prefixes] of this.#subscriptions) {
      if (prefixes.some((prefix) => startsWith(head, prefix))) peer.send(head, body);
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
    const isTaken = await this.#pub?.close({ timeoutMs: LINGER_MS });
    await this.#pull?.close({ timeoutMs: 0 });
    return isTaken ?? false;
  }

  #observe(address: string) {
    const { observer } = this.#options;
    return {
      failed: (error: TransportError) => observer?.unreachable(error),
      recovered: () => observer?.reached(address),
      broken: (error: TransportError) => observer?.broken(error),
    };
  }

  /** Returns whether Mongrel2 can have sent it. */
  #receive(parts: readonly Buffer[], isTruncated: boolean, receiver: Receiver): boolean {
    if (this.#isClosed) return true;
    const [message] = parts;
    const isWhole = message !== undefined && parts.length === 1;
    if (isTruncated) receiver.protocolError(new ProtocolError("too_large", TOO_LARGE));
    if (isWhole) receiver.message(message);
    else receiver.protocolError(new ProtocolError("invalid", SEVERAL_PARTS));
    return isWhole;
  }

  /** A peer is told of with its first subscription: nothing could be sent to it before. Returns whether anything has changed. */
  #subscribe(peer: Peer, message: Buffer, receiver: Receiver): boolean {
    const prefixes = this.#subscriptions.get(peer) ?? [];
    // A copy: what is kept must not hold the memory of all that was read with it.
    const prefix = Buffer.from(message.subarray(1));
    if (message[0] === SUBSCRIBE_CODE) {
      if (prefixes.length >= MAX_SUBSCRIPTION_COUNT) return false;
      if (prefixes.push(prefix) === 1) receiver.connected("out");
      return true;
    }
    const at = prefixes.findIndex((it) => it.equals(prefix));
    if (at >= 0) prefixes.splice(at, 1);
    return at >= 0;
  }
}

function startsWith(message: Buffer, prefix: Buffer): boolean {
  return message.length >= prefix.length && message.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}
