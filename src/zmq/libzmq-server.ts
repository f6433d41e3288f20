/**
 * A bound socket of libzmq for publishers. libzmq has one type for each socket: PULL for PUSH sockets, or ROUTER, which answers REQ
 * and DEALER sockets. It cannot half-close: a stop loses messages of PUSH sockets that are on their way.
 */
import type { Pull, Router } from "zeromq";
import { ProtocolError } from "../errors.js";
import { splitEnvelope } from "../protocol/envelope.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import { type CurveKeys, CurveServer } from "./curve.js";
import { LibzmqSocket } from "./libzmq-socket.js";
import { MAX_MESSAGE_BYTES, type ServerReceiver } from "./native-server.js";
import { ReplyBudget, type ReplyConnection, ReplyQueue } from "./reply-queue.js";

export interface LibzmqServerOptions {
  readonly spec: string;
  readonly type: "PULL" | "ROUTER";
  readonly clock: Clock;
  /** Absent = the mechanism NULL: every peer is admitted. */
  readonly curve?: CurveKeys | undefined;
}

/** Replies that a publisher has not read; further ones are dropped, and reported. */
const MAX_UNREAD_REPLIES = 10_000;

/** How long close() waits for the replies to what was received, and then until libzmq has sent them. */
const ANSWER_TIMEOUT_MS = 1000;
const LINGER_MS = 1000;

/** Messages of one publisher that are not answered yet. */
interface AnsweredPublisher {
  readonly queue: ReplyQueue;
  pendingCount: number;
}

export class LibzmqServer {
  readonly #options: LibzmqServerOptions;
  /** By the identity that libzmq gives each connection, as hexadecimal digits; only those with messages under way. */
  readonly #publishers = new Map<string, AnsweredPublisher>();
  readonly #budget = new ReplyBudget();
  /** Publishers with too many messages under way: while there is one, nothing is received. */
  #heldCount = 0;
  #release: () => void = () => {};
  #onAnswered: () => void = () => {};
  #socket: LibzmqSocket<Pull | Router> | undefined;
  #curve: CurveServer | undefined;

  constructor(options: LibzmqServerOptions) {
    this.#options = options;
  }

  /** Rejects with "link_failed" when the address cannot be bound. */
  async start(receiver: ServerReceiver): Promise<void> {
    const { Pull, Router } = await import("zeromq");
    const { spec, type, clock, curve } = this.#options;
    this.#curve = curve && (await CurveServer.start(curve));
    const common = { ...this.#curve?.options, maxMessageSize: MAX_MESSAGE_BYTES };
    const router = { mandatory: true, sendHighWaterMark: MAX_UNREAD_REPLIES, sendTimeout: 0 };
    this.#socket = new LibzmqSocket<Pull | Router>(
      {
        ...{ spec, clock, bind: true },
        create: (options) =>
          type === "PULL" ? new Pull({ ...options, ...common }) : new Router({ ...options, ...common, ...router }),
      },
      {
        message: (parts) => (type === "PULL" ? receiver.message(parts) : this.#request(parts, receiver)),
        resumed: () => this.#resumed(),
        refused: (error) => receiver.refused(error, ""),
        failed: (error) => receiver.failed(error),
        recovered: () => receiver.recovered(),
        broken: (error) => receiver.broken(error),
        ready() {},
        closed() {},
      },
    );
    await this.#socket.start();
  }

  /** libzmq does not tell how many messages it holds. */
  get hasBacklog(): boolean {
    return false;
  }

  /** Handles what libzmq has handed over, and sends the replies that are owed. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    await this.#socket?.drain();
    const answered = new Promise<void>((resolve) => {
      this.#onAnswered = resolve;
    });
    if (this.#publishers.size > 0) await waitAtMost(clock, ANSWER_TIMEOUT_MS, answered);
    await this.#socket?.close(LINGER_MS);
    this.#curve?.close();
  }

  /** While a publisher is held, nothing is received: a ROUTER cannot leave the messages of one peer in its connection. */
  #resumed(): Promise<void> | undefined {
    if (this.#heldCount === 0) return undefined;
    return new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  #request([identity, ...message]: Buffer[], receiver: ServerReceiver): void {
    if (identity === undefined) return;
    try {
      const { envelope, parts } = splitEnvelope(message, false);
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      const name = identity.toString("hex");
      const publisher = this.#publishers.get(name) ?? this.#open(identity, name, receiver);
      this.#publishers.set(name, publisher);
      publisher.pendingCount++;
      receiver.request(parts, publisher.queue.add(envelope, bytes), name);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      receiver.refused(error, "");
    }
  }

  #open(identity: Buffer, name: string, receiver: ServerReceiver): AnsweredPublisher {
    const connection: ReplyConnection = {
      isWritable: true,
      sendReplies: (replies) => {
        for (const reply of replies) this.#send([identity, ...reply], receiver);
        publisher.pendingCount -= replies.length;
        if (publisher.pendingCount > 0) return;
        this.#publishers.delete(name);
        if (this.#publishers.size === 0) this.#onAnswered();
      },
      hold: () => {
        this.#heldCount++;
      },
      release: () => {
        this.#heldCount--;
        if (this.#heldCount === 0) this.#release();
      },
    };
    const publisher: AnsweredPublisher = { queue: new ReplyQueue(connection, this.#budget), pendingCount: 0 };
    return publisher;
  }

  /** A publisher that has gone gets no reply. */
  #send(parts: Buffer[], receiver: ServerReceiver): void {
    const socket = this.#socket?.socket;
    if (socket === undefined || !("send" in socket)) return;
    socket.send(parts).catch(({ code }: NodeJS.ErrnoException) => {
      if (code === "EHOSTUNREACH") return;
      const what = `a publisher has not read ${MAX_UNREAD_REPLIES} replies, and a further one was dropped (${code})`;
      receiver.refused(new ProtocolError("too_large", `${what}; fix: read a reply to each message`), "");
    });
  }
}
