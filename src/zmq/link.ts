/** A link to one Mongrel2 over ZeroMQ: our PULL on its PUSH (send_spec), our PUB on its SUB (recv_spec). */
import { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import { ZmqSocket } from "./socket.js";
import type { Receiver, Transport } from "./transport.js";

export interface LinkOptions {
  /** Where Mongrel2 sends requests. */
  readonly sendSpec: string;
  /** Where Mongrel2 takes replies. */
  readonly recvSpec: string;
  /** ZeroMQ identity of both sockets; "" = none. */
  readonly identity: string;
  /** Bind both instead of connecting. */
  readonly bind: boolean;
  readonly clock: Clock;
}

/** How long what was sent may take to leave when closing, milliseconds. */
const LINGER = 1000;
/** A request as Mongrel2 can have it: its lengths are 32-bit ints. */
const LARGEST_REQUEST = 2 ** 31;
/** The most bytes of subscriptions that a peer may have: Mongrel2 has one, its recv_ident. */
const LARGEST_SUBSCRIPTION = 10_000;
/** And so many of them. */
const MOST_SUBSCRIPTIONS = 1000;
const SUBSCRIBE = 1;
const SEVERAL_PARTS = "a message in several parts: is something other than Mongrel2 connected to the send_spec?";

export class Link implements Transport {
  readonly #options: LinkOptions;
  /** What each peer of the PUB has subscribed to: beginnings of messages. */
  readonly #subscriptions = new Map<Peer, Buffer[]>();
  #in: ZmqSocket | undefined;
  #out: ZmqSocket | undefined;
  #isClosed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  async start(receiver: Receiver): Promise<void> {
    const { sendSpec, recvSpec, ...both } = this.#options;
    // Receiving first: a Mongrel2 that cannot get rid of its notices stops taking our replies.
    this.#in = new ZmqSocket(
      { ...both, type: "PULL", spec: sendSpec, limit: LARGEST_REQUEST },
      {
        ready: () => receiver.connected("in"),
        message: (_, parts) => this.#receive(parts, receiver),
        pong: () => receiver.pong?.("in"),
        closed: () => receiver.disconnected("in"),
        cut: (error) => receiver.refused(error),
      },
    );
    this.#out = new ZmqSocket(
      { ...both, type: "PUB", spec: recvSpec, limit: LARGEST_SUBSCRIPTION },
      {
        ready: (peer) => this.#subscriptions.set(peer, []),
        message: (peer, [message]) => message && this.#subscribe(peer, message, receiver),
        pong: () => receiver.pong?.("out"),
        closed: (peer) => {
          this.#subscriptions.delete(peer);
          receiver.disconnected("out");
        },
        cut: (error) => receiver.refused(error),
      },
    );
    await this.#in.start();
    await this.#out.start();
  }

  /** Subscriptions are compared with the head alone. */
  send(head: Buffer, body: Buffer): void {
    if (this.#isClosed) return;
    for (const [peer, beginnings] of this.#subscriptions) {
      if (beginnings.some((beginning) => beginsWith(head, beginning))) peer.send(head, body);
    }
  }

  reconnect(): void {
    this.#out?.reconnect();
    this.#in?.reconnect();
  }

  ping(): boolean {
    const sockets = [this.#in, this.#out];
    return sockets.map((socket) => socket?.ping() ?? false).includes(true);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#out?.close({ patience: LINGER });
    await this.#in?.close({ patience: 0 });
  }

  #receive(parts: readonly Buffer[], receiver: Receiver): void {
    if (this.#isClosed) return;
    const [message] = parts;
    if (message && parts.length === 1) receiver.message(message);
    else receiver.refused(new ProtocolError("protocol.request", SEVERAL_PARTS));
  }

  /** A peer is told of with its first subscription: nothing could be sent to it before. */
  #subscribe(peer: Peer, message: Buffer, receiver: Receiver): void {
    const beginnings = this.#subscriptions.get(peer) ?? [];
    const beginning = message.subarray(1);
    if (message[0] === SUBSCRIBE) {
      if (beginnings.length < MOST_SUBSCRIPTIONS && beginnings.push(beginning) === 1) receiver.connected("out");
      return;
    }
    const at = beginnings.findIndex((it) => it.equals(beginning));
    if (at >= 0) beginnings.splice(at, 1);
  }
}

function beginsWith(message: Buffer, beginning: Buffer): boolean {
  return (
    message.length >= beginning.length && message.compare(beginning, 0, beginning.length, 0, beginning.length) === 0
  );
}
