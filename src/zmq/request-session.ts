/**
 * Requests to a REP or ROUTER socket over one lasting connection: a DEALER socket, which a missing reply does not block. While the connection lasts
 * the process at its other end lasts; each connection has a number, and its end is an event. A reply carries the id of its request,
 * so a late one is not taken for the reply to the next request.
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

/** 100,000 rows of `status net` are 4.5 MB. */
const MAX_REPLY_BYTES = 64_000_000;
/** A NUL byte, as in the identities that a ROUTER makes (protocol/envelope.ts), and the number of the request. */
const REQUEST_ID_BYTES = 5;

/** A request has no reply. */
export class NoReplyError extends M2pushError {
  readonly why: string;
  /** The request was sent: the peer may have handled it. */
  readonly isSent: boolean;

  constructor(spec: string, why: string, isSent: boolean) {
    super("unavailable", `${spec}: ${why}`);
    this.why = why;
    this.isSent = isSent;
  }
}

interface SessionEvents {
  /** A connection is established: `session` has a new value. */
  connected(): void;
  /**
   * The connection has ended, and not by reconnect() or close(). `isClosed`: the peer closed it; else a network may have cut it.
   */
  ended(isClosed: boolean): void;
  /** A reply has arrived, possibly too late. */
  replied(): void;
}

interface PendingRequest {
  readonly parts: readonly Buffer[];
  /** Number of the connection that carried the request; undefined = not sent yet. */
  session: number | undefined;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (why: string) => void;
}

/**
 * Sends one request over a connection of its own and resolves with the reply. Rejects with a NoReplyError when none arrives within
 * `timeoutMs`, connecting included, and with "link_failed" if the address is invalid.
 */
export async function requestOnce(spec: string, request: Buffer, timeoutMs: number, clock: Clock): Promise<Buffer> {
  const session = new RequestSession(spec, clock, { connected() {}, ended() {}, replied() {} });
  try {
    await session.start();
    return (await session.request([request], timeoutMs)).answer;
  } finally {
    await session.close();
  }
}

export class RequestSession {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #socket: ZmqSocket;
  readonly #pending = new Map<number, PendingRequest>();
  #requestCount = 0;
  #sessionCount = 0;
  #peer: Peer | undefined;
  /** Reason of the present lack of a connection. */
  #failure: TransportError | undefined;

  constructor(spec: string, clock: Clock, events: SessionEvents) {
    this.#spec = spec;
    this.#clock = clock;
    this.#events = events;
    this.#socket = new ZmqSocket(
      { type: "DEALER", identity: "", spec, bind: false, maxMessageBytes: MAX_REPLY_BYTES, clock },
      {
        ready: (peer) => this.#connected(peer),
        message: (_, parts) => this.#receive(parts),
        pong: () => {},
        closed: (peer) => this.#disconnected(peer),
        // A request that waits for a connection rejects with this reason; one that was sent rejects when its connection ends.
        failed: (error) => {
          this.#failure = error;
        },
        recovered: () => {
          this.#failure = undefined;
        },
        broken: () => {},
        protocolError: () => {},
      },
    );
  }

  /** Connects, and reconnects whenever the connection has ended. Rejects with "link_failed" if the address is invalid. */
  start(): Promise<void> {
    return this.#socket.start();
  }

  /** Number of the present connection; undefined = there is none. */
  get session(): number | undefined {
    return this.#peer && this.#sessionCount;
  }

  /**
   * Resolves with the last part of the reply and the number of its connection. Rejects with a NoReplyError when no reply arrives in time, or
   * when the connection ends. Waits for a connection if there is none. Requests are sent in the order of the calls.
   */
  request(parts: readonly Buffer[], timeoutMs: number): Promise<{ readonly answer: Buffer; readonly session: number }> {
    const number = ++this.#requestCount % 2 ** 32;
    return new Promise((resolve, reject) => {
      const late = this.#clock.after(timeoutMs, () =>
        request.reject(this.#failure?.what ?? `no reply within ${timeoutMs} ms`),
      );
      const request: PendingRequest = {
        parts,
        session: undefined,
        resolve: (answer) => {
          late();
          resolve({ answer, session: this.#sessionCount });
        },
        reject: (why) => {
          late();
          this.#pending.delete(number);
          reject(new NoReplyError(this.#spec, why, request.session !== undefined));
        },
      };
      this.#pending.set(number, request);
      this.#send(number, request);
    });
  }

  /** Ends the connection without an event, and connects again. */
  reconnect(): void {
    this.#rejectSent("the connection was replaced");
    this.#socket.reconnect();
  }

  async close(): Promise<void> {
    this.#rejectSent("closed");
    for (const request of [...this.#pending.values()]) request.reject("closed");
    await this.#socket.close({ timeoutMs: 0 });
  }

  #connected(peer: Peer): void {
    this.#peer = peer;
    this.#sessionCount++;
    for (const [number, request] of this.#pending) this.#send(number, request);
    this.#events.connected();
  }

  #disconnected(peer: Peer): void {
    if (!this.#peer) return;
    this.#rejectSent("the connection has ended");
    // A local socket has no network to cut it; if the peer closes it with unread bytes, it looks like a cut.
    this.#events.ended(peer.hasHalfClosed || this.#spec.startsWith("ipc:"));
  }

  /** Rejects the requests that were sent over the connection: their replies are lost. */
  #rejectSent(why: string): void {
    this.#peer = undefined;
    for (const request of [...this.#pending.values()]) if (request.session !== undefined) request.reject(why);
  }

  #send(number: number, request: PendingRequest): void {
    if (!this.#peer) return;
    request.session = this.#sessionCount;
    const envelope = Buffer.alloc(REQUEST_ID_BYTES);
    envelope.writeUInt32BE(number, 1);
    // The reply returns the parts before the empty one.
    this.#peer.sendParts([envelope, Buffer.alloc(0), ...request.parts]);
  }

  /** Returns whether the message was expected. */
  #receive(parts: readonly Buffer[]): boolean {
    if (!this.#peer) return false;
    const [envelope, , answer = Buffer.alloc(0)] = parts;
    const number = envelope?.length === REQUEST_ID_BYTES ? envelope.readUInt32BE(1) : undefined;
    const request = number === undefined ? undefined : this.#pending.get(number);
    if (number !== undefined) this.#pending.delete(number);
    request?.resolve(answer);
    this.#events.replied();
    return true;
  }
}
