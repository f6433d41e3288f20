/**
 * A bound PULL socket for publishers' PUSH sockets, which ends without loss. What a PUSH socket has written to a connection is gone
 * for it; libzmq closes connections whatever is on their way, and no publisher that goes on sending ever leaves a good moment. Here
 * a connection is half-closed first and read on: its publisher closes the other half, keeps what it has not written for the next
 * process, and all that it had written has come through. (Of 16 daemons that were stopped at 100 events/s beside a busy Mongrel2
 * 5 had lost some.)
 */
import type { ProtocolError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

/**
 * The end, milliseconds: how long publishers may take to leave, and what silence says that nothing is half written. (libzmq writes
 * what has gathered in pieces of 8 kB, and forgets a message that the end of a piece cuts if that is when it hears that we close: so
 * a publisher that is catching up may pause first. One that is held up at that moment still loses that one.)
 */
const CLOSE_OPTIONS = { timeoutMs: 1000, quietMs: 2 };
/**
 * The largest message, bytes. A part is gathered in memory before anybody can look at it; a publisher that begins a larger one is
 * cut off, connects again by itself and goes on with its next message.
 */
const MAX_MESSAGE_BYTES = 4_000_000;

export interface PullReceiver {
  /** Returns whether it was of use: who sends nothing else is cut off. */
  message(parts: Buffer[]): boolean;
  /** A peer was cut off. `remote`: its address and port, "" = none. */
  refused(error: ProtocolError, remote: string): void;
  /** No connection can be taken. Told once, until recovered(). */
  failed(error: TransportError): void;
  recovered(): void;
  /** A connection has ended with an error. */
  broken(error: TransportError): void;
}

export class PullServer {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #cap: Pick<ConnectionCap, "maxConnections" | "limitReached"> | undefined;
  #socket: ZmqSocket | undefined;

  /** `cap`: how many publishers may be connected; absent = any number. */
  constructor(spec: string, clock: Clock, cap?: Pick<ConnectionCap, "maxConnections" | "limitReached">) {
    this.#spec = spec;
    this.#clock = clock;
    this.#cap = cap;
  }

  /** Rejects with "link_failed" when the address cannot be bound. */
  async start(receiver: PullReceiver): Promise<void> {
    const options = { type: "PULL", identity: "", bind: true, maxMessageBytes: MAX_MESSAGE_BYTES } as const;
    this.#socket = new ZmqSocket(
      { ...options, spec: this.#spec, clock: this.#clock, cap: this.#cap },
      {
        message: (_, parts) => receiver.message(parts),
        protocolError: (error, remote) => receiver.refused(error, remote),
        failed: (error) => receiver.failed(error),
        recovered: () => receiver.recovered(),
        broken: (error) => receiver.broken(error),
        ready() {},
        pong() {},
        closed() {},
      },
    );
    await this.#socket.start();
  }

  /** Publishers send faster than what they send is taken in. */
  get hasBacklog(): boolean {
    return this.#socket?.hasBacklog ?? false;
  }

  /** Takes in what was written to us: a PUSH socket never hears that it was lost. */
  async close(): Promise<void> {
    await this.#socket?.close(CLOSE_OPTIONS);
  }
}
