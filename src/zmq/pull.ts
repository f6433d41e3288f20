/** A bound PULL socket for publishers' PUSH sockets. */
import type { Pull } from "zeromq";
import type { Clock } from "../util/clock.js";
import { attach, pullSocket, receiveAll, watch } from "./sockets.js";

/** When closing, how long nothing must have come in, and how long to wait for that at most; milliseconds. */
const QUIET = { after: 20, most: 1000 };

export class PullServer {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #socket: Pull;
  #receiving: Promise<void> = Promise.resolve();
  #received = 0;

  constructor(spec: string, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
    this.#socket = pullSocket("");
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
