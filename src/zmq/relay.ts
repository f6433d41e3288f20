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
import type { RelayAddress, RelayReport } from "./relay-thread.js";

export class Relay {
  readonly #thread: Worker;

  private constructor(thread: Worker) {
    this.#thread = thread;
  }

  /** Rejects with what node:net says where the address cannot be bound. */
  static async open(address: RelayAddress): Promise<Relay> {
    const program = new URL("relay-thread.js", import.meta.url);
    const relay = new Relay(new Worker(program, { workerData: address, execArgv: [] }));
    const { failed } = await relay.#report();
    if (failed === undefined) return relay;
    await relay.#thread.terminate();
    throw new Error(failed);
  }

  /**
   * Takes nobody any more and lets those go that there are. Resolves when all that they had sent is through; who does not leave is
   * cut off after `patience` milliseconds.
   */
  async close(patience: number): Promise<void> {
    this.#thread.postMessage(patience);
    await this.#report();
    await this.#thread.terminate();
  }

  async #report(): Promise<RelayReport> {
    const [report] = await once(this.#thread, "message");
    return report;
  }
}
