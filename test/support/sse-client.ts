/** An EventSource for tests, over node:http, that shows what a browser hides; and raw TCP for what no browser would send. */
import { type ClientRequest, get, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Changes, WAIT_TIMEOUT_MS } from "./deadline.js";
import { EventStreamParser, type StreamEvent } from "./event-stream.js";

export class SseClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything after the head, byte by byte as characters (latin1). */
  text = "";
  /** Resolves when the server ends the stream, or close() does; never rejects. */
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #parser = new EventStreamParser();
  readonly #changes = new Changes();
  readonly #request: ClientRequest;
  #next = 0;

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.on("data", (bytes: Buffer) => {
      this.text += bytes.toString("latin1");
      this.#parser.push(bytes);
      this.#changes.tell();
    });
    // A stream that is cut ends with "aborted", which is an error to node and everyday life to us.
    response.on("error", () => {});
    this.closed = new Promise((resolve) => {
      response.once("close", () => {
        this.isClosed = true;
        this.#changes.tell();
        resolve();
      });
    });
  }

  get events(): readonly StreamEvent[] {
    return this.#parser.events;
  }

  get openings(): readonly StreamEvent[] {
    return this.#parser.openings;
  }

  get comments(): readonly string[] {
    return this.#parser.comments;
  }

  get retry(): number | undefined {
    return this.#parser.retry;
  }

  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The next event that was not handed out before and that `wanted` likes; those before it are skipped. */
  next(wanted: (event: StreamEvent) => boolean = () => true, ms = WAIT_TIMEOUT_MS): Promise<StreamEvent> {
    const look = () => {
      while (this.#next < this.events.length) {
        const event = this.events[this.#next++];
        if (event && wanted(event)) return event;
      }
      if (this.isClosed) throw new Error(`the stream ended before the event came${this.#found()}`);
      return undefined;
    };
    return this.#changes.until(look, "an event", ms, () => this.#found());
  }

  /** Resolves once `look` is true of this client; it is asked after everything that comes. */
  async until(look: (client: this) => boolean, what: string, ms = WAIT_TIMEOUT_MS): Promise<void> {
    await this.#changes.until(
      () => look(this),
      what,
      ms,
      () => this.#found(),
    );
  }

  /** Leaves, as a closed tab does. */
  async close(): Promise<void> {
    this.#request.destroy();
    await this.closed;
  }

  #found(): string {
    return `; the stream is ${this.isClosed ? "closed" : "open"} and held: ${JSON.stringify(this.text.slice(-2_000))}`;
  }
}

/** Opens a stream and resolves when its head is there, whatever the status. Rejects when none comes. */
export function openStream(
  url: string,
  headers: Record<string, string> = {},
  ms = WAIT_TIMEOUT_MS,
): Promise<SseClient> {
  return new Promise((resolve, reject) => {
    // agent false: a connection of its own, as EventSource has.
    const request = get(url, {
      agent: false,
      headers: { accept: "text/event-stream", "cache-control": "no-cache", ...headers },
    });
    const late = setTimeout(() => request.destroy(new Error(`waited ${ms} ms for the head of ${url}`)), ms);
    request.once("response", (response) => {
      clearTimeout(late);
      resolve(new SseClient(request, response));
    });
    // Later errors are those of a stream that was cut.
    request.on("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
  });
}

/** A TCP connection that says what it is told. */
export class RawConnection {
  /** Everything received, as bytes. */
  received = Buffer.alloc(0);
  isClosed = false;
  readonly #changes = new Changes();
  readonly #socket;

  /** `localAddress`: where it seems to come from, absent = 127.0.0.1. */
  constructor(port: number, localAddress = "127.0.0.1") {
    this.#socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    this.#socket.on("data", (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.#changes.tell();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.isClosed = true;
      this.#changes.tell();
    });
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  write(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async until(look: (connection: this) => boolean, what: string, ms = WAIT_TIMEOUT_MS): Promise<void> {
    await this.#changes.until(
      () => look(this),
      what,
      ms,
      () => `; it received: ${JSON.stringify(this.text.slice(-2_000))}`,
    );
  }

  /** Resolves when the connection is over. */
  over(ms = WAIT_TIMEOUT_MS): Promise<void> {
    return this.until(() => this.isClosed, "the server to close the connection", ms);
  }

  /** Sends FIN and goes on reading. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Sends RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/**
 * Sends bytes to 127.0.0.1:port and resolves with what came back once `enough` likes it; absent = once the server has closed
 * the connection, which it must do by itself.
 */
export async function raw(
  port: number,
  bytes: Buffer | string,
  enough?: (received: string) => boolean,
  ms = WAIT_TIMEOUT_MS,
): Promise<string> {
  const connection = new RawConnection(port);
  try {
    connection.write(bytes);
    if (enough) await connection.until(({ text }) => enough(text), "an answer", ms);
    else await connection.over(ms);
    return connection.text;
  } finally {
    connection.close();
  }
}
