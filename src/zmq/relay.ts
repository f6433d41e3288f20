/**
 * A TCP address in front of a ZeroMQ socket, so that it can end without loss. What a PUSH socket has written to a connection is gone
 * for it; libzmq closes connections whatever is on their way, and no publisher that goes on sending ever leaves a good moment. Here
 * we half-close a connection first and read on: its publisher closes the other half, keeps what it has not written for the next
 * process, and all that it had written has come through. (Of 16 daemons that were stopped at 100 events/s beside a busy Mongrel2
 * 5 had lost some.)
 *
 * It has a thread of its own, as libzmq's sockets have: while this one is busy with what came, the rest is taken from publishers
 * that end soon after their last message, and would take it with them. (One burst of 50,000 in six lost some of it.)
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { RelayAddress, RelayOrder } from "./relay-thread.js";

export class Relay {
  /** Begins at once: it takes some time. */
  readonly #thread = new Worker(new URL("relay-thread.js", import.meta.url), { execArgv: [] });

  /** Rejects with what node:net says where the address cannot be bound. */
  async listen(address: RelayAddress): Promise<void> {
    const failed = await this.#ask({ listen: address });
    if (failed !== undefined) throw new Error(failed);
  }

  /**
   * Takes nobody any more and lets those go that there are. Resolves when all that they had sent is through; who does not leave is
   * cut off after `patience` milliseconds.
   */
  async close(patience: number): Promise<void> {
    await this.#ask({ close: patience });
    await this.#thread.terminate();
  }

  /** Resolves when it is done, with a text when it failed. */
  async #ask(order: RelayOrder): Promise<string | undefined> {
    this.#thread.postMessage(order);
    const [failed] = await once(this.#thread, "message");
    return failed;
  }
}
