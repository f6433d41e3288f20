/**
 * The replies to the messages of one peer, sent in the order of the messages. While too many messages are under way, or the peer does not
 * read its replies, no further message of it is handled: nothing is dropped, and memory is bounded for a peer and for all peers.
 */

/** Limits for one peer: messages without a sent reply, and the bytes of them. */
const MAX_PENDING_COUNT = 1000;
const MAX_PENDING_BYTES = 1_000_000;
/** Limit for all peers of a socket: beyond it each peer has one message under way at a time. */
const MAX_PENDING_SUM_BYTES = 16_000_000;
/** Memory of a pending message in addition to its bytes. */
const PENDING_OVERHEAD_BYTES = 400;

/** The connection to a peer. */
export interface ReplyConnection {
  /** Whether the peer reads what is sent to it. */
  readonly isWritable: boolean;
  /** Sends replies, each with its envelope. */
  sendReplies(replies: readonly (readonly Buffer[])[]): void;
  /** No further message is handled until release(). */
  hold(): void;
  release(): void;
}

interface PendingReply {
  readonly envelope: readonly Buffer[];
  /** Undefined until the message is answered. */
  body: Buffer | undefined;
  bytes: number;
}

/** The bytes of all queues of a socket. */
export class ReplyBudget {
  /** Queues that hold their peers. */
  readonly #held = new Set<ReplyQueue>();
  #bytes = 0;

  get isExceeded(): boolean {
    return this.#bytes >= MAX_PENDING_SUM_BYTES;
  }

  /** `bytes`: negative = fewer than before. */
  change(bytes: number): void {
    const wasExceeded = this.isExceeded;
    this.#bytes += bytes;
    if (wasExceeded && !this.isExceeded) for (const queue of [...this.#held]) queue.adjust();
  }

  setHeld(queue: ReplyQueue, isHeld: boolean): void {
    if (isHeld) this.#held.add(queue);
    else this.#held.delete(queue);
  }
}

export class ReplyQueue {
  readonly #connection: ReplyConnection;
  readonly #budget: ReplyBudget;
  /** In the order of the messages. */
  readonly #pending: PendingReply[] = [];
  #bytes = 0;
  #isHeld = false;
  #isFlushScheduled = false;
  #isClosed = false;

  constructor(connection: ReplyConnection, budget: ReplyBudget) {
    this.#connection = connection;
    this.#budget = budget;
  }

  /** A message has arrived. Returns the function that takes the reply to it, once. */
  add(envelope: readonly Buffer[], messageBytes: number): (body: Buffer) => void {
    const envelopeBytes = envelope.reduce((sum, { length }) => sum + length, PENDING_OVERHEAD_BYTES);
    const reply: PendingReply = { envelope, body: undefined, bytes: envelopeBytes + messageBytes };
    this.#pending.push(reply);
    this.#changeBytes(reply.bytes);
    this.adjust();
    return (body) => {
      if (this.#isClosed) return;
      reply.body = body;
      const bytes = envelopeBytes + body.length;
      this.#changeBytes(bytes - reply.bytes);
      reply.bytes = bytes;
      if (this.#pending[0] === reply) this.#scheduleFlush();
      else this.adjust();
    };
  }

  /** The peer reads again. */
  readonly flush = (): void => {
    this.#isFlushScheduled = false;
    const firstUnanswered = this.#pending.findIndex(({ body }) => body === undefined);
    const count = firstUnanswered < 0 ? this.#pending.length : firstUnanswered;
    if (!this.#isClosed && this.#connection.isWritable && count > 0) this.#send(this.#pending.splice(0, count));
    this.adjust();
  };

  /** The connection is closed: replies have nowhere to go. */
  close(): void {
    this.#isClosed = true;
    this.#pending.length = 0;
    this.#changeBytes(-this.#bytes);
    this.#budget.setHeld(this, false);
  }

  /** Holds or releases the peer. Each peer may have one message under way, whatever the others have. */
  adjust(): void {
    const { length } = this.#pending;
    const isFull = length >= MAX_PENDING_COUNT || this.#bytes >= MAX_PENDING_BYTES || this.#budget.isExceeded;
    const isHeld = !this.#isClosed && ((length > 0 && isFull) || !this.#connection.isWritable);
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#budget.setHeld(this, isHeld);
    if (isHeld) this.#connection.hold();
    else this.#connection.release();
  }

  /** All replies of one tick leave in one write. */
  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    process.nextTick(this.flush);
  }

  #send(replies: readonly PendingReply[]): void {
    this.#connection.sendReplies(replies.map(({ envelope, body }) => [...envelope, body as Buffer]));
    this.#changeBytes(-replies.reduce((sum, { bytes }) => sum + bytes, 0));
  }

  #changeBytes(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.change(bytes);
  }
}
