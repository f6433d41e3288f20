/** A bound PULL socket for publishers' PUSH sockets. */
import type { Pull } from "zeromq";
import { attach, pullSocket, receiveAll, watch } from "./sockets.js";

export class PullServer {
  readonly #spec: string;
  readonly #socket: Pull;
  #receiving: Promise<void> = Promise.resolve();

  constructor(spec: string) {
    this.#spec = spec;
    this.#socket = pullSocket("");
  }

  /** Rejects with "link.failed" when the address cannot be bound. */
  async start(receive: (parts: Buffer[]) => void): Promise<void> {
    watch(this.#socket, { connected: () => {}, disconnected: () => {} });
    await attach(this.#socket, this.#spec, true);
    this.#receiving = receiveAll(this.#socket, receive);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.#receiving;
  }
}
