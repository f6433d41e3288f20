/** A link to one Mongrel2 over ZeroMQ: our PULL on its PUSH (send_spec), our PUB on its SUB (recv_spec). */
import type { Publisher, Pull } from "zeromq";
import { attach, publisherSocket, pullSocket, receiveAll, watch } from "./sockets.js";
import type { Receiver, Transport } from "./transport.js";
import { Writer } from "./writer.js";

export interface LinkOptions {
  /** Where Mongrel2 sends requests. */
  readonly sendSpec: string;
  /** Where Mongrel2 takes replies. */
  readonly recvSpec: string;
  /** ZeroMQ identity of both sockets; "" = none. */
  readonly identity: string;
  /** Bind both instead of connecting. */
  readonly bind: boolean;
}

export class Link implements Transport {
  readonly #options: LinkOptions;
  readonly #pull: Pull;
  readonly #pub: Publisher;
  readonly #writer: Writer;
  #receiving: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#pull = pullSocket(options.identity);
    this.#pub = publisherSocket(options.identity);
    this.#writer = new Writer(this.#pub);
  }

  async start(receiver: Receiver): Promise<void> {
    const { sendSpec, recvSpec, bind } = this.#options;
    watch(this.#pull, { connected: () => receiver.connected("in"), disconnected: () => receiver.disconnected("in") });
    watch(this.#pub, { connected: () => receiver.connected("out"), disconnected: () => receiver.disconnected("out") });
    // Receiving first: a Mongrel2 that cannot get rid of its notices stops taking our replies.
    await attach(this.#pull, sendSpec, bind);
    this.#receiving = receiveAll(this.#pull, (parts) => {
      const [message] = parts;
      if (message && parts.length === 1) receiver.message(message);
      else receiver.multipart(parts.length);
    });
    await attach(this.#pub, recvSpec, bind);
  }

  send(frame: Buffer): void {
    this.#writer.send(frame);
  }

  async close(): Promise<void> {
    await this.#writer.close();
    this.#pull.close();
    this.#pub.close();
    await this.#receiving;
  }
}
