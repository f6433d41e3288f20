/**
 * Offsets of publishers' own ids. An id that is used again (by a publisher that counts from 1 after each of its starts) has an oldest
 * and a newest offset; the caller chooses. The newest ones are in a map of their own, which is usually empty.
 */
import type { EqualIds } from "../delivery/history.js";

export class CustomIds {
  readonly #oldest = new Map<string, number>();
  /** Ids that were used again while the oldest was held. */
  readonly #newest = new Map<string, number>();

  /** Offsets rise. True when the id is held already. */
  add(id: string, offset: number): boolean {
    const isRepeated = this.#oldest.has(id) || (this.#newest.size > 0 && this.#newest.has(id));
    if (this.#oldest.has(id)) this.#newest.set(id, offset);
    else this.#oldest.set(id, offset);
    return isRepeated;
  }

  /** The event at this offset was trimmed. */
  remove(id: string, offset: number): void {
    if (this.#oldest.get(id) === offset) this.#oldest.delete(id);
    if (this.#newest.get(id) === offset) this.#newest.delete(id);
  }

  find(id: string, which: EqualIds): number | undefined {
    return chooseOffset(which, this.#oldest.get(id), this.#newest.get(id));
  }
}

/** Once the oldest is trimmed, the next use of an id is kept as the oldest, and may be newer than the newest that is kept. */
export function chooseOffset(
  which: EqualIds,
  oldest: number | undefined,
  newest: number | undefined,
): number | undefined {
  if (which === "oldest" || newest === undefined) return oldest;
  return Math.max(oldest ?? 0, newest);
}
