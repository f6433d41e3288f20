/**
 * Connections whose request takes time before it can become a stream: a token is verified, the history is searched. The browser may
 * disconnect meanwhile. A stream opened for it would count as a client until the keep-alive sweep finds it dead.
 */

interface Pending {
  readonly id: number;
  isGone: boolean;
  /** Operations in progress for the connection. */
  operations: number;
}

export class PendingConnections {
  readonly #pending = new Map<number, Pending>();

  /**
   * Resolves with what `then` returns for the result of `operation`, or with undefined, without calling `then`, if the connection is gone
   * by then. Rejects as `operation` or `then` does.
   */
  async continueAfter<T, Result>(
    id: number,
    operation: Promise<T>,
    then: (result: T) => Result | Promise<Result>,
  ): Promise<Result | undefined> {
    const pending = this.#begin(id);
    try {
      const result = await operation;
      return pending.isGone ? undefined : await then(result);
    } finally {
      this.#end(pending);
    }
  }

  /** The connection is closed. */
  gone(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    pending.isGone = true;
    this.#pending.delete(id);
  }

  /** All connections are lost. */
  clear(): void {
    for (const pending of this.#pending.values()) pending.isGone = true;
    this.#pending.clear();
  }

  get size(): number {
    return this.#pending.size;
  }

  #begin(id: number): Pending {
    const pending = this.#pending.get(id) ?? { id, isGone: false, operations: 0 };
    pending.operations++;
    this.#pending.set(id, pending);
    return pending;
  }

  #end(pending: Pending): void {
    pending.operations--;
    if (pending.operations === 0 && this.#pending.get(pending.id) === pending) this.#pending.delete(pending.id);
  }
}
