/** The two ZeroMQ sockets of the fake Mongrel2: one life, from bind to close. */
import { setTimeout as pause } from "node:timers/promises";
import { Push, type Socket, Subscriber } from "zeromq";

export interface Addresses {
  readonly sendSpec: string;
  readonly recvSpec: string;
  /** Prefix of the frames that are taken. */
  readonly recvIdent: string;
}

export class FakeSockets {
  readonly #push = new Push({ linger: 0 });
  readonly #sub = new Subscriber({ linger: 0 });
  #serving: Promise<void> = Promise.resolve();
  #posting: Promise<void> = Promise.resolve();

  /** Binds both; while an address is taken, tries again for `timeoutMs`. */
  async bind({ sendSpec, recvSpec, recvIdent }: Addresses, timeoutMs: number): Promise<void> {
    this.#sub.subscribe(recvIdent);
    await bind(this.#push, sendSpec, timeoutMs);
    await bind(this.#sub, recvSpec, timeoutMs);
  }

  /** Hands over every frame; calls `idle` whenever no further one is ready. */
  serve(take: (frame: Buffer) => Promise<void>, idle: () => void): void {
    this.#serving = this.#serve(take, idle);
  }

  /** Whether a message would leave at once: a handler is there and takes what it is sent. */
  get writable(): boolean {
    return !this.#push.closed && this.#push.writable;
  }

  /** Sends to the handler, in order; resolves when ZeroMQ accepted the message, which is never while the handler is disconnected. */
  post(message: Buffer | string): Promise<void> {
    this.#posting = this.#posting.then(() => this.#send(message));
    return this.#posting;
  }

  /** What was on its way is lost, as with a server that is dead. */
  async close(): Promise<void> {
    this.#push.close();
    this.#sub.close();
    await this.#serving;
    await this.#posting;
  }

  async #serve(take: (frame: Buffer) => Promise<void>, idle: () => void): Promise<void> {
    for await (const parts of this.#sub) {
      // Of a message in parts the real one takes each part for a message.
      for (const part of parts) await take(part);
      if (this.#sub.closed) return;
      if (!this.#sub.readable) idle();
    }
  }

  async #send(message: Buffer | string): Promise<void> {
    if (this.#push.closed) return;
    try {
      await this.#push.send(message);
    } catch (error) {
      if (!this.#push.closed) throw error;
    }
  }
}

/** libzmq lets go of an address a moment after its socket was closed. */
async function bind(socket: Socket, spec: string, timeoutMs: number): Promise<void> {
  for (const end = Date.now() + timeoutMs; ; await pause(5)) {
    try {
      return await socket.bind(spec);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || Date.now() >= end) throw error;
    }
  }
}
