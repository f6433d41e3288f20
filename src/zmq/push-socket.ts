/**
 * A PUSH socket for a program that sends messages and exits: `m2push publish`. It waits for a peer before it sends, so that a missing
 * peer is an error, and every wait has a timeout. During a short absence of the peer messages stay in libzmq's queue. A PUSH socket gets no
 * acknowledgement: a peer that is killed loses the messages in its queue, and the sender cannot detect it.
 */
import { Push } from "zeromq";
import { M2pushError, messageOf } from "../errors.js";
import { type Cancel, type Clock, systemClock } from "../util/clock.js";
import { endpointError } from "./transport-error.js";

const DEFAULT_TIMEOUT_MS = 5000;

interface PushOptions {
  /** Timeout for a peer to connect, for space in a full queue, and at the end for the queue to empty; absent = 5000. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export class PushSocket {
  readonly #spec: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #socket: Push;
  readonly #monitorEnded: Promise<void>;
  #isConnected = false;
  /** A server accepts connections at the address, whether or not it speaks ZeroMQ. */
  #hasTcpConnection = false;
  #hasSent = false;
  #onConnected: (() => void) | undefined;
  /** The last call of send(): the zeromq binding allows one at a time (else EBUSY). */
  #lastSend: Promise<void> = Promise.resolve();

  /** Starts to connect. Throws "link_failed" if the address is invalid. */
  constructor(spec: string, options: PushOptions = {}) {
    this.#spec = spec;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#clock = options.clock ?? systemClock;
    this.#socket = new Push({ linger: this.#timeoutMs, sendTimeout: this.#timeoutMs });
    this.#monitorEnded = this.#watchMonitor();
    this.#connect();
  }

  /**
   * Sends one message. Calls keep their order. Resolves once the message is queued to a connected peer; rejects with
   * "link_failed" when no peer connects within the timeout, or when it takes nothing for as long.
   */
  send(parts: readonly Buffer[]): Promise<void> {
    const sent = this.#lastSend.then(() => this.#send(parts));
    this.#lastSend = sent.catch(() => undefined);
    return sent;
  }

  /**
   * Sends the queued messages and closes the socket. Rejects with "link_failed" when the peer disconnected and has not reconnected
   * within the timeout: the last messages may be lost. The socket is closed in either case.
   */
  async close(): Promise<void> {
    try {
      await this.#lastSend;
      if (this.#hasSent && !this.#isConnected) await this.#waitForConnection("disconnected and did not reconnect");
    } finally {
      this.#socket.close();
      await this.#monitorEnded;
    }
  }

  /** Reads the socket monitor: unread events block libzmq's I/O thread (docs/architecture/mongrel2.md 2.9). Resolves at its end. */
  #watchMonitor(): Promise<void> {
    const events = this.#socket.events;
    events.on("connect", () => {
      this.#hasTcpConnection = true;
    });
    // "handshake", not "connect": any server accepts the TCP connection.
    events.on("handshake", () => {
      this.#isConnected = true;
      this.#onConnected?.();
    });
    events.on("disconnect", () => {
      this.#isConnected = false;
    });
    return new Promise((resolve) => events.on("end", () => resolve()));
  }

  #connect(): void {
    try {
      this.#socket.connect(this.#spec);
    } catch (cause) {
      this.#socket.close();
      throw endpointError(this.#spec, false, cause);
    }
  }

  async #send(parts: readonly Buffer[]): Promise<void> {
    if (!this.#isConnected) await this.#waitForConnection("did not answer");
    try {
      await this.#socket.send([...parts]);
      this.#hasSent = true;
    } catch (cause) {
      const what = `the daemon at ${this.#spec} accepts no further messages (${reason(cause)}); fix: check its log`;
      throw new M2pushError("link_failed", what, { cause });
    }
  }

  /** Waits for the handshake. Called once at a time: sends are queued, and close() waits for them. */
  async #waitForConnection(failure: string): Promise<void> {
    let cancel: Cancel = () => undefined;
    const timedOut = new Promise<boolean>((resolve) => {
      cancel = this.#clock.after(this.#timeoutMs, () => resolve(false));
    });
    const established = new Promise<boolean>((resolve) => {
      this.#onConnected = () => resolve(true);
    });
    const connected = await Promise.race([established, timedOut]);
    cancel();
    this.#onConnected = undefined;
    if (!connected) throw new M2pushError("link_failed", this.#timeoutMessage(failure));
  }

  #timeoutMessage(failure: string): string {
    if (this.#hasTcpConnection && !this.#hasSent) {
      return `the server at ${this.#spec} is not a ZeroMQ PULL socket; fix: give the daemon's [publish] zmq address`;
    }
    const fix = "start `m2push serve`, and give its [publish] zmq address";
    return `the daemon at ${this.#spec} ${failure} within ${this.#timeoutMs / 1000} s; fix: ${fix}`;
  }
}

const reason = (cause: unknown): string => messageOf(cause);
