/**
 * What all our ZeroMQ sockets have in common: an identity that is set before connecting, no limit on what waits in them
 * (libzmq would drop silently at its default of 1000), and a monitor that always has listeners. A monitor that nobody reads
 * blocks libzmq's I/O thread for ever after about 2000 events, so it is attached here, once, and never without listeners.
 */
import { type Message, Publisher, Pull, type Socket } from "zeromq";
import { M2pushError } from "../errors.js";

/** ZMQ_ROUTING_ID, zmq_setsockopt(3); the binding has no property for it on PULL and PUB. */
const ROUTING_ID = 5;
/** How long a closing socket may go on sending, milliseconds. Never -1: the process could not exit. */
const LINGER = 1000;

class IdentifiedPull extends Pull {
  identify(identity: string): this {
    this.setStringOption(ROUTING_ID, identity);
    return this;
  }
}

class IdentifiedPublisher extends Publisher {
  identify(identity: string): this {
    this.setStringOption(ROUTING_ID, identity);
    return this;
  }
}

export interface PeerEvents {
  connected(): void;
  disconnected(): void;
}

/** A peer that begins a message of more bytes than `maxMessageSize` is cut off (-1 = no limit). */
export function pullSocket(identity: string, maxMessageSize = -1): Pull {
  const socket = new IdentifiedPull({ receiveHighWaterMark: 0, linger: 0, maxMessageSize });
  return identity ? socket.identify(identity) : socket;
}

export function publisherSocket(identity: string): Publisher {
  const socket = new IdentifiedPublisher({ sendHighWaterMark: 0, linger: LINGER });
  return identity ? socket.identify(identity) : socket;
}

/** Watches a socket's peers come and go. Must be called before the socket is bound or connected. */
export function watch(socket: Socket, peers: PeerEvents): void {
  // "connect", not "handshake": it is told before the first message can come.
  socket.events.on("connect", () => peers.connected());
  socket.events.on("accept", () => peers.connected());
  socket.events.on("disconnect", () => peers.disconnected());
}

/** Binds or connects; errors name the address and what to look at. */
export function attach(socket: Socket, spec: string, bind: boolean): Promise<void> {
  return attached(bind ? socket.bind(spec) : connect(socket, spec), spec, bind);
}

async function connect(socket: Socket, spec: string): Promise<void> {
  socket.connect(spec);
}

/** What an attempt to bind or connect comes to: errors as attach() has them. */
export async function attached<T>(attempt: Promise<T>, spec: string, bind: boolean): Promise<T> {
  try {
    return await attempt;
  } catch (cause) {
    const verb = bind ? "bind" : "connect";
    const why = cause instanceof Error ? cause.message : String(cause);
    const mend = bind && /in use/i.test(why) ? ": another program, or another m2push, has this address" : "";
    throw new M2pushError("link.failed", `cannot ${verb} ${spec}: ${why}${mend}`, { cause });
  }
}

/** Hands every message of a socket to `receive` until the socket is closed. The loop does nothing else. */
export async function receiveAll(socket: AsyncIterable<Message[]>, receive: (parts: Message[]) => void): Promise<void> {
  for await (const parts of socket) receive(parts);
}
