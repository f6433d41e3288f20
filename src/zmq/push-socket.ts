/**
 * A PUSH socket for a program that sends something and goes: `m2push publish`. It waits for a peer before it sends, so that
 * "nobody is there" is an error and not a silence, and every wait has an end. What was handed over stays in libzmq's queue
 * over a short absence of the peer. There is no acknowledgement in this direction: a peer that dies with messages in its
 * own queue loses them, and the sender cannot know.
 */
import { Push } from "zeromq";
import { M2pushError } from "../errors.js";
import { type Cancel, type Clock, systemClock } from "../util/clock.js";
import { endpointError } from "./transport-error.js";

export interface PushOptions {
  /** How long to wait for a peer, or for room in a full queue, and at the end for the queue to empty; milliseconds. */
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
  /** Something answers at the address, whether or not it speaks ZeroMQ. */
  #hasTcpConnection = false;
  #hasSent = false;
  #onConnected: (() => void) | undefined;
  /** The end of the queue of calls: libzmq's binding takes one send at a time (EBUSY otherwise). */
  #lastSend: Promise<void> = Promise.resolve();

  /** Starts to connect. Throws "link_failed" when the address cannot be an address. */
  constructor(spec: string, options: PushOptions = {}) {
    this.#spec = spec;
    this.#timeoutMs = options.timeoutMs ?? 5_000;
    this.#clock = options.clock ?? systemClock;
    this.#socket = new Push({ linger: this.#timeoutMs, sendTimeout: this.#timeoutMs });
    this.#monitorEnded = this.#watchMonitor();
    this.#connect();
  }

  /**
   * Sends one message. Calls keep their order. Resolves once the message is queued to a connected peer; rejects with
   * "link_failed" when there is none within the patience, or when it takes nothing for as long.
   */
  send(parts: readonly Buffer[]): Promise<void> {
    const sent = this.#lastSend.then(() => this.#send(parts));
    this.#lastSend = sent.catch(() => undefined);
    return sent;
  }

  /**
   * Lets what is queued go out and closes the socket. Rejects with "link_failed" when the peer went away and is not back
   * within the patience: the last messages may not have arrived. The socket is closed in either case.
   */
  async close(): Promise<void> {
    try {
      await this.#lastSend;
      if (this.#hasSent && !this.#isConnected) await this.#waitForConnection("went away and did not come back");
    } finally {
      this.#socket.close();
      await this.#monitorEnded;
    }
  }

  /** Keeps listeners on the monitor: unread it would block libzmq's I/O thread in the end. Resolves when it has ended. */
  #watchMonitor(): Promise<void> {
    const events = this.#socket.events;
    events.on("connect", () => {
      this.#hasTcpConnection = true;
    });
    // "handshake", not "connect": a peer that is no PULL socket takes the TCP connection too.
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
      const what = `the daemon at ${this.#spec} takes nothing any more (${reason(cause)}): look at its log`;
      throw new M2pushError("link_failed", what, { cause });
    }
  }

  /** Waits for the handshake. One caller at a time: sends are in a queue, and close waits for them. */
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
      return `what answers at ${this.#spec} is not a ZeroMQ PULL socket: give the daemon's [publish] zmq address`;
    }
    const fix = "is `m2push serve` running, and is this its [publish] zmq address?";
    return `the daemon at ${this.#spec} ${failure} within ${this.#timeoutMs / 1000} s: ${fix}`;
  }
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
