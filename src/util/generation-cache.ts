/**
 * Cache of recently used entries in two generations. New and used entries are in the young one. When it reaches half the limit it
 * becomes the old one, and the entries of the previous old one are dropped. A hit costs one look-up and moves nothing,
 * unlike an LRU list.
 */
export class GenerationCache<V> {
  readonly #half: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /** `limit`: maximum number of entries, an even number. At least the half of it that was used last is kept. */
  constructor(limit: number) {
    this.#half = limit / 2;
  }

  get size(): number {
    let size = this.#young.size;
    for (const key of this.#old.keys()) if (!this.#young.has(key)) size++;
    return size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
