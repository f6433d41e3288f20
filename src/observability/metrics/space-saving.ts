/**
 * The keys with the most weight among any number of keys, in bounded memory: the Space-Saving algorithm (Metwally, Agrawal, El Abbadi:
 * Efficient computation of frequent and top-k elements in data streams, 2005). A key that weighs more than the sum of all divided by the
 * capacity is always present. A new key takes the place of the lightest one and inherits its weight as a possible error.
 */

export interface Tracked<Counts> {
  readonly key: string;
  /** Upper bound of the key's weight. */
  weight: number;
  /** The key weighs at least weight - error. */
  readonly error: number;
  /** What was counted since the key is tracked. */
  readonly counts: Counts;
}

export class SpaceSaving<Counts> {
  readonly #capacity: number;
  readonly #newCounts: () => Counts;
  /** The keys that are tracked. An array, because the lightest one is found five times as fast as in a map. */
  readonly #tracked: Tracked<Counts>[] = [];
  readonly #byKey = new Map<string, Tracked<Counts>>();

  /** `capacity`: keys that are tracked; at least 1. */
  constructor(capacity: number, newCounts: () => Counts) {
    this.#capacity = capacity;
    this.#newCounts = newCounts;
  }

  /** Adds to the weight of a key and returns its counts. Time: one look-up, for a new key one pass over all tracked ones. */
  add(key: string, weight: number): Counts {
    const known = this.#byKey.get(key);
    if (known) {
      known.weight += weight;
      return known.counts;
    }
    // A copy: V8 may have cut the key out of a large text, which would stay in memory with it.
    const copy = Buffer.from(key).toString();
    const slot = this.#tracked.length < this.#capacity ? this.#tracked.length : this.#lightest();
    const evicted = this.#tracked[slot];
    if (evicted) this.#byKey.delete(evicted.key);
    const error = evicted?.weight ?? 0;
    const added = { key: copy, weight: error + weight, error, counts: this.#newCounts() };
    this.#tracked[slot] = added;
    this.#byKey.set(copy, added);
    return added.counts;
  }

  [Symbol.iterator](): Iterator<Tracked<Counts>> {
    return this.#tracked.values();
  }

  #lightest(): number {
    let slot = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#tracked.length; at++) {
      const { weight } = this.#tracked[at] as Tracked<Counts>;
      if (weight >= least) continue;
      least = weight;
      slot = at;
    }
    return slot;
  }
}
