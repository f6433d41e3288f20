/** A browser's connection to the fake Mongrel2: what the browser does and sees, and what Mongrel2 keeps for it. */
import { Changes, WAIT_TIMEOUT_MS } from "./deadline.js";
import type { RequestOptions } from "./mongrel2-messages.js";

/** How a connection ended; only "left" is told to the handler. */
export type Ending =
  /** By an empty body, after everything before it was written. */
  | "closed"
  /** By ctl cancel. */
  | "cancelled"
  /** Mongrel2 destroyed it: a limit was exceeded, or an extended reply was of no known kind. */
  | "killed"
  /** The browser went away. */
  | "left"
  /** Mongrel2 stopped, or crashed. */
  | "lost";

/** What the connection needs from its server. */
export interface Owner {
  /** Messages that may wait for one connection (Infinity with flow control), and bytes (Infinity without). */
  readonly limits: { readonly messages: number; readonly bytes: number };
  /** Bytes reached the browser. */
  written(client: FakeClient, bytes: number): void;
  /** Something waits for the browser, `pending` messages and `bytes` bytes by now. */
  queued(client: FakeClient, pending: number, bytes: number): void;
  /** The connection is over. */
  ended(client: FakeClient, ending: Ending): void;
  /** A request leaves for the handler. */
  request(client: FakeClient, options: RequestOptions): void;
}

/** An empty body: close here. */
const CLOSE = Buffer.alloc(0);

export class FakeClient {
  readonly id: number;
  /** Every body that reached the browser, in order. */
  readonly chunks: Buffer[] = [];
  ending: Ending | undefined;
  /** For "killed": what was exceeded. */
  reason = "";
  /** How many ctl keep-alives it was sent. */
  keepAlives = 0;
  readonly #owner: Owner;
  readonly #changes = new Changes();
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #closing = false;
  #reading = true;
  #next = 0;

  constructor(id: number, owner: Owner) {
    this.id = id;
    this.#owner = owner;
  }

  // What a test does with it.

  /** Everything received, as text. */
  get text(): string {
    return Buffer.concat(this.chunks).toString("utf8");
  }

  /** Messages that wait in Mongrel2. */
  get pending(): number {
    return this.#queue.length;
  }

  /** Stops reading, as a browser behind a dead network whose kernel buffers are full. */
  pause(): void {
    this.#reading = false;
  }

  /** Reads on; what waited is written at once. */
  resume(): void {
    this.#reading = true;
    this.drain();
  }

  /** Sends one more request on this connection. */
  send(options: RequestOptions = {}): void {
    this.#owner.request(this, options);
  }

  /** The browser closes the connection. */
  leave(): void {
    this.end("left");
  }

  /** The next body that was not handed out before. */
  next(ms = WAIT_TIMEOUT_MS): Promise<Buffer> {
    return this.#until(() => this.chunks[this.#next] && this.chunks[this.#next++], "a message to the browser", ms);
  }

  /** Resolves with everything received so far, once that contains `part`. */
  received(part: string, ms = WAIT_TIMEOUT_MS): Promise<string> {
    return this.#until(() => this.text.includes(part) && this.text, `${JSON.stringify(part)} to reach the browser`, ms);
  }

  /** Resolves when the connection is over. */
  over(ms = WAIT_TIMEOUT_MS): Promise<Ending> {
    return this.#until(() => this.ending, "the connection to end", ms);
  }

  // What the server does with it.

  /** Queues a body, or kills the connection when it does not fit. The queue is written when the server yields. */
  deliver(body: Buffer): void {
    const { messages, bytes } = this.#owner.limits;
    if (this.#queue.length >= messages) this.end("killed", `a message above the ${messages} that may wait`);
    else if (this.#queuedBytes + body.length > bytes) this.end("killed", `above the ${bytes} bytes that may wait`);
    else this.#enqueue(body);
  }

  /** Closes after what is queued. Needs a place in the queue; says whether there was one. */
  close(): boolean {
    this.#closing = true;
    if (this.#queue.length >= this.#owner.limits.messages) return false;
    this.#enqueue(CLOSE);
    return true;
  }

  /** Says whether it had an effect: after an attempt to close it has none. */
  cancel(): boolean {
    if (this.#closing) return false;
    this.end("cancelled");
    return true;
  }

  /** Writes what is queued, if the browser reads. */
  drain(): void {
    while (this.#reading && !this.ending) {
      const body = this.#queue.shift();
      if (!body) return;
      this.#queuedBytes -= body.length;
      if (body.length === 0) this.end("closed");
      else this.#write(body);
    }
  }

  /** Ends the connection; what is queued is lost. The second time does nothing. */
  end(ending: Ending, reason = ""): void {
    if (this.ending) return;
    this.ending = ending;
    this.reason = reason;
    this.#queue = [];
    this.#owner.ended(this, ending);
    this.#changes.tell();
  }

  #write(body: Buffer): void {
    this.chunks.push(body);
    this.#owner.written(this, body.length);
    this.#changes.tell();
  }

  #enqueue(body: Buffer): void {
    this.#queue.push(body);
    this.#queuedBytes += body.length;
    this.#owner.queued(this, this.#queue.length, this.#queuedBytes);
  }

  #until<T>(look: () => T | undefined | false, what: string, ms: number): Promise<T> {
    const found = () =>
      `; connection ${this.id} ${this.ending ?? "open"} ${this.reason}, it received: ${JSON.stringify(this.text)}`;
    return this.#changes.until(look, what, ms, found);
  }
}
