/**
 * Connections whose request takes time before it can become a stream: a token is checked, the history is asked. The browser may be
 * gone by then. A stream that was opened for it would count as a client until the keep-alive sweep finds it dead.
 */

/** One such connection. */
export interface Arrival {
  readonly id: number;
  /** The connection is gone: nothing may be opened on it. */
  isGone: boolean;
}

interface Entry extends Arrival {
  /** How many begin() have had no end(). */
  holders: number;
}

export class Arrivals {
  readonly #pending = new Map<number, Entry>();

  /** To be ended by whoever begins it. One connection has one arrival at a time, however many wait for it. */
  begin(id: number): Arrival {
    const entry = this.#pending.get(id) ?? { id, isGone: false, holders: 0 };
    entry.holders++;
    this.#pending.set(id, entry);
    return entry;
  }

  end(arrival: Arrival): void {
    const entry = this.#pending.get(arrival.id);
    if (entry === arrival && --entry.holders === 0) this.#pending.delete(arrival.id);
  }

  gone(id: number): void {
    const entry = this.#pending.get(id);
    if (!entry) return;
    entry.isGone = true;
    this.#pending.delete(id);
  }

  /** No connection is what it was. */
  clear(): void {
    for (const entry of this.#pending.values()) entry.isGone = true;
    this.#pending.clear();
  }

  get size(): number {
    return this.#pending.size;
  }
}
