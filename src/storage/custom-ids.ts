/**
 * Publishers' own ids, with their offsets. One that is used again (by a publisher that counts from 1 after each of its starts) has an
 * oldest and a newest place: which of them counts is for whoever asks. The newest has a map of its own, which is empty as a rule.
 */
import type { EqualIds } from "../delivery/history.js";

export class CustomIds {
  readonly #oldest = new Map<string, number>();
  /** Of those that were used again while the oldest was held. */
  readonly #newest = new Map<string, number>();

  /** Offsets rise. True when the id is held already. */
  add(id: string, offset: number): boolean {
    const isRepeated = this.#oldest.has(id) || (this.#newest.size > 0 && this.#newest.has(id));
    if (this.#oldest.has(id)) this.#newest.set(id, offset);
    else this.#oldest.set(id, offset);
    return isRepeated;
  }

  /** The event at this offset is not held any more. */
  remove(id: string, offset: number): void {
    if (this.#oldest.get(id) === offset) this.#oldest.delete(id);
    if (this.#newest.get(id) === offset) this.#newest.delete(id);
  }

  find(id: string, which: EqualIds): number | undefined {
    return choose(which, this.#oldest.get(id), this.#newest.get(id));
  }
}

/** Once the oldest is trimmed, the next use of an id is kept as the oldest, and may be newer than the newest that is kept. */
export function choose(which: EqualIds, oldest: number | undefined, newest: number | undefined): number | undefined {
  if (which === "oldest" || newest === undefined) return oldest;
  return Math.max(oldest ?? 0, newest);
}
