/**
 * Questions to a REP socket over one lasting connection (a DEALER socket, which is not held up by an answer that never comes). That
 * the connection lasts tells that the process at the other end does: each connection has a number, and its end is told. An answer
 * carries the number of its question, so one that is late is not taken for that of the next.
 */
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import type { TransportError } from "./transport-error.js";
import { ZmqSocket } from "./zmq-socket.js";

/** 100,000 rows of `status net` are 4.5 MB. */
const MAX_REPLY_BYTES = 64_000_000;
const REQUEST_ID_BYTES = 4;

export interface SessionEvents {
  /** There is a connection: `session` is another number than before. */
  connected(): void;
  /**
   * It has ended, and not by reconnect() or close(). `isClosed`: the other end has closed it; else a network in between may
   * have cut it.
   */
  ended(isClosed: boolean): void;
  /** An answer has come, be it too late. */
  replied(): void;
}

interface PendingRequest {
  readonly bytes: Buffer;
  /** The connection that it was sent over; undefined while there is none. */
  session: number | undefined;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (why: string) => void;
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
  /** Why there is no connection. */
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
        // A question that waits for a connection says why there is none; what was asked over one that ends fails.
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

  /** Connects, and connects again whenever the connection has ended. Rejects with "link_failed" where the address is none. */
  start(): Promise<void> {
    return this.#socket.start();
  }

  /** The number of the present connection; undefined = there is none. */
  get session(): number | undefined {
    return this.#peer && this.#sessionCount;
  }

  /**
   * Resolves with the answer, and the connection that it came over. Rejects with "unavailable" when none comes in time, or the
   * connection ends meanwhile. Waits for a connection where there is none.
   */
  request(bytes: Buffer, timeoutMs: number): Promise<{ readonly answer: Buffer; readonly session: number }> {
    const number = ++this.#requestCount % 2 ** 32;
    return new Promise((resolve, reject) => {
      const late = this.#clock.after(timeoutMs, () =>
        question.reject(this.#failure?.what ?? `no answer within ${timeoutMs} ms`),
      );
      const question: PendingRequest = {
        bytes,
        session: undefined,
        resolve: (answer) => {
          late();
          resolve({ answer, session: this.#sessionCount });
        },
        reject: (why) => {
          late();
          this.#pending.delete(number);
          reject(new M2pushError("unavailable", `${this.#spec}: ${why}`));
        },
      };
      this.#pending.set(number, question);
      this.#send(number, question);
    });
  }

  /** Ends the connection, without a word to the listener, and connects again. */
  reconnect(): void {
    this.#rejectSent("the connection was given up");
    this.#socket.reconnect();
  }

  async close(): Promise<void> {
    this.#rejectSent("closed");
    for (const question of [...this.#pending.values()]) question.reject("closed");
    await this.#socket.close({ timeoutMs: 0 });
  }

  #connected(peer: Peer): void {
    this.#peer = peer;
    this.#sessionCount++;
    for (const [number, question] of this.#pending) this.#send(number, question);
    this.#events.connected();
  }

  #disconnected(peer: Peer): void {
    if (!this.#peer) return;
    this.#rejectSent("the connection has ended");
    // There is no network on the way to a local socket; one that is closed with something unread in it looks as if it were cut.
    this.#events.ended(peer.hasHalfClosed || this.#spec.startsWith("ipc:"));
  }

  /** What was asked over the connection has no answer any more. */
  #rejectSent(why: string): void {
    this.#peer = undefined;
    for (const question of [...this.#pending.values()]) if (question.session !== undefined) question.reject(why);
  }

  #send(number: number, question: PendingRequest): void {
    if (!this.#peer) return;
    question.session = this.#sessionCount;
    const envelope = Buffer.alloc(REQUEST_ID_BYTES);
    envelope.writeUInt32BE(number);
    // A REP socket sends back what stands before the empty part.
    this.#peer.sendParts([envelope, Buffer.alloc(0), question.bytes]);
  }

  /** Returns whether it was an answer. */
  #receive(parts: readonly Buffer[]): boolean {
    if (!this.#peer) return false;
    const [envelope, , answer = Buffer.alloc(0)] = parts;
    const number = envelope?.length === REQUEST_ID_BYTES ? envelope.readUInt32BE() : undefined;
    const question = number === undefined ? undefined : this.#pending.get(number);
    if (number !== undefined) this.#pending.delete(number);
    question?.resolve(answer);
    this.#events.replied();
    return true;
  }
}
