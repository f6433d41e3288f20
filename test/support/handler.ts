/** A bare handler for Mongrel2, real or fake: two sockets and no opinion. What the daemon's link is checked against. */
import { Publisher, Pull } from "zeromq";
import { CANCEL, KEEP_ALIVE } from "../../src/protocol/reply.js";
import { Changes, WAIT_TIMEOUT_MS } from "./deadline.js";

/** Connection ids from here up never exist: Mongrel2 answers them with a notice, in order (mongrel2.md 2.2). */
const FENCE_BASE = 2_000_000_001;

/** The part of a message that the tests look at. */
export interface Received {
  readonly sender: string;
  readonly id: number;
  /** "@*" for notices. */
  readonly path: string;
  /** A request, a notice, or the answer to a fence. */
  readonly kind: "request" | "disconnect" | "credits" | "fence";
  /** The whole message, byte by byte as characters. */
  readonly text: string;
}

export class RawHandler {
  readonly sender: string;
  /** Every message since the start. */
  readonly received: Received[] = [];
  readonly #pull = new Pull({ receiveHighWaterMark: 0, linger: 0 });
  readonly #pub = new Publisher({ sendHighWaterMark: 0, linger: 0 });
  readonly #changes = new Changes();
  #next = 0;
  #fence = FENCE_BASE;
  #answered = FENCE_BASE;
  #sending: Promise<void> = Promise.resolve();
  #receiving: Promise<void> = Promise.resolve();

  private constructor(sender: string) {
    this.sender = sender;
  }

  /** Connects to a server and waits until frames reach it: a PUB socket loses what it is given before. */
  static async connect(server: { sendSpec: string; recvSpec: string; sendIdent: string }): Promise<RawHandler> {
    const handler = new RawHandler(server.sendIdent);
    handler.#pull.connect(server.sendSpec);
    handler.#receiving = handler.#receive();
    handler.#pub.connect(server.recvSpec);
    await handler.live();
    return handler;
  }

  /** Sends fences until one is answered. Needed again after the server was restarted. */
  async live(): Promise<void> {
    const before = this.#fence;
    const again = setInterval(() => this.fenceFrame(), 5);
    try {
      await this.#changes.until(() => this.#answered > before, "a live link");
    } finally {
      clearInterval(again);
    }
    await this.fence();
    this.forget();
  }

  /** Sends bytes as they are. Frames leave in order. */
  raw(bytes: Buffer | string): Promise<void> {
    this.#sending = this.#sending.then(() => this.#pub.send(bytes));
    return this.#sending;
  }

  /** Sends one ZeroMQ message in several parts, which Mongrel2 does not expect. */
  parts(...parts: readonly string[]): Promise<void> {
    this.#sending = this.#sending.then(() => this.#pub.send([...parts]));
    return this.#sending;
  }

  /** Sends `body` to connections, without minding any limit; an empty one closes them. */
  send(ids: readonly number[], body: Buffer | string): Promise<void> {
    return this.raw(Buffer.concat([this.#head(ids.join(" ")), Buffer.from(body)]));
  }

  keepAlive(ids: readonly number[]): Promise<void> {
    return this.raw(Buffer.concat([this.#head(`X ${ids.join(" ")}`), KEEP_ALIVE]));
  }

  cancel(ids: readonly number[]): Promise<void> {
    return this.raw(Buffer.concat([this.#head(`X ${ids.join(" ")}`), CANCEL]));
  }

  /** Sends a fence; says which id its answer will have. */
  fenceFrame(): number {
    this.#fence++;
    void this.keepAlive([this.#fence]);
    return this.#fence;
  }

  /** Resolves when the server has taken everything sent before. */
  async fence(): Promise<void> {
    const fence = this.fenceFrame();
    await this.#changes.until(() => this.#answered >= fence, "an answer to a fence");
  }

  /** The next message that was not handed out before and that `wanted` likes; those before it are skipped. */
  next(wanted: (message: Received) => boolean = () => true, ms = WAIT_TIMEOUT_MS): Promise<Received> {
    const look = () => {
      while (this.#next < this.received.length) {
        const message = this.received[this.#next++];
        if (message && wanted(message)) return message;
      }
      return undefined;
    };
    return this.#changes.until(
      look,
      "a message from Mongrel2",
      ms,
      () => `; received: ${this.received.map(({ text }) => text).join("\n")}`,
    );
  }

  request(): Promise<Received> {
    return this.next(({ kind }) => kind === "request");
  }

  /** The ids of the notices received since forget(), fences left out, in order. */
  get notices(): number[] {
    return this.received.filter(({ kind }) => kind === "disconnect").map(({ id }) => id);
  }

  /** Drops what was received so far. */
  forget(): void {
    this.received.length = 0;
    this.#next = 0;
  }

  async close(): Promise<void> {
    this.#pull.close();
    await this.#receiving;
    await this.#sending;
    this.#pub.close();
  }

  #head(targets: string): Buffer {
    return Buffer.from(`${this.sender} ${targets.length}:${targets}, `);
  }

  async #receive(): Promise<void> {
    for await (const [bytes] of this.#pull) {
      if (!bytes) continue;
      const message = received(bytes.toString("latin1"));
      this.received.push(message);
      if (message.kind === "fence") this.#answered = message.id;
      this.#changes.tell();
    }
  }
}

function received(text: string): Received {
  const [sender = "", id = "", path = ""] = text.split(" ", 3);
  return { sender, id: Number(id), path, kind: kindOf(path, Number(id), text), text };
}

function kindOf(path: string, id: number, text: string): Received["kind"] {
  if (path !== "@*") return "request";
  if (text.endsWith('{"type":"credits"},')) return "credits";
  return id >= FENCE_BASE ? "fence" : "disconnect";
}
