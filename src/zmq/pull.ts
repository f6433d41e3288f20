/** A bound PULL socket for publishers' PUSH sockets. */
import type { Pull } from "zeromq";
import type { Clock } from "../util/clock.js";
import { attach, pullSocket, receiveAll, watch } from "./sockets.js";

/** When closing, how long nothing must have come in, and how long to wait for that at most; milliseconds. */
const QUIET = { after: 20, most: 1000 };
/**
 * The largest part of a message, bytes. libzmq gathers a part in memory, whatever its size, before anybody can say no to it; a
 * publisher that begins a larger one is cut off, connects again by itself and goes on with its next message.
 */
const LARGEST = 16_000_000;

export class PullServer {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #socket: Pull;
  #receiving: Promise<void> = Promise.resolve();
  #received = 0;

  constructor(spec: string, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
    this.#socket = pullSocket("", LARGEST);
  }

  /** Rejects with "link.failed" when the address cannot be bound. */
  async start(receive: (parts: Buffer[]) => void): Promise<void> {
    watch(this.#socket, { connected: () => {}, disconnected: () => {} });
    await attach(this.#socket, this.#spec, true);
    this.#receiving = receiveAll(this.#socket, (parts) => {
      this.#received++;
      receive(parts);
    });
  }

  /** Takes in what is on its way (a PUSH socket never hears that it was lost), as long as it ever comes to rest. */
  async close(): Promise<void> {
    const latest = this.#clock.monotonic() + QUIET.most;
    for (let before = -1; before !== this.#received && this.#clock.monotonic() < latest; ) {
      before = this.#received;
      await new Promise<void>((resolve) => this.#clock.after(QUIET.after, resolve));
    }
    this.#socket.close();
    await this.#receiving;
  }
}
