/** Idempotency keys in memory, with a limit of their number and of their age. They end with the process. */
import type { KeyEntry, StoredKey } from "../../protocol/stored-key.js";
import type { Clock } from "../../util/clock.js";
import { AgeIndex } from "../lmdb/age-index.js";

export interface KeyLimits {
  /** How long a key is known, milliseconds of elapsed time. */
  readonly windowMs: number;
  /** Limit of the keys; the oldest beyond it are evicted, although the window is not over. */
  readonly maxKeys: number;
  /** Called with the number of keys that were evicted within their window. */
  readonly onEvicted?: (count: number) => void;
}

export const DEFAULT_KEY_LIMITS: KeyLimits = { windowMs: 86_400_000, maxKeys: 1_000_000 };
/** Empty entries at the start of the list before they are removed. */
const MAX_EMPTY_ENTRIES = 1024;

interface SequencedEntry extends KeyEntry {
  readonly sequence: number;
}

export class MemoryKeys {
  readonly #limits: KeyLimits;
  readonly #clock: Clock;
  readonly #ages: AgeIndex;
  readonly #entries = new Map<string, SequencedEntry>();
  /** Hashes in the order of their sequences, from #base on; the first #removedCount are removed from time to time. */
  #order: string[] = [];
  #removedCount = 0;
  /** Sequence of the first entry of #order. */
  #base = 1;

  constructor(limits: KeyLimits = DEFAULT_KEY_LIMITS, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#ages = new AgeIndex(limits.windowMs, clock.monotonic());
  }

  get size(): number {
    return this.#entries.size;
  }

  find(hash: string): KeyEntry | undefined {
    const entry = this.#entries.get(hash);
    return entry && entry.sequence > this.#expired() ? entry : undefined;
  }

  add({ hash, fingerprint, count }: StoredKey, epoch: string, offset: number): void {
    const sequence = this.#base + this.#order.length;
    this.#order.push(hash);
    this.#entries.set(hash, { fingerprint, epoch, offset, count, sequence });
    this.#ages.sample(sequence, this.#clock.monotonic());
    this.#trim();
  }

  clear(): void {
    this.#base += this.#order.length;
    this.#order = [];
    this.#removedCount = 0;
    this.#entries.clear();
  }

  #expired(): number {
    return this.#ages.expiredOffset(this.#clock.monotonic(), this.#clock.now());
  }

  #trim(): void {
    const { maxKeys, onEvicted } = this.#limits;
    const expired = this.#expired();
    let evicted = 0;
    for (; this.#removedCount < this.#order.length; this.#removedCount++) {
      const sequence = this.#base + this.#removedCount;
      if (sequence > expired && this.#entries.size <= maxKeys) break;
      const hash = this.#order[this.#removedCount] as string;
      // A key that was used again after its window has a later sequence.
      if (this.#entries.get(hash)?.sequence !== sequence) continue;
      this.#entries.delete(hash);
      if (sequence > expired) evicted++;
    }
    if (evicted > 0) onEvicted?.(evicted);
    if (this.#removedCount < MAX_EMPTY_ENTRIES || this.#removedCount < this.#order.length / 2) return;
    this.#order = this.#order.slice(this.#removedCount);
    this.#base += this.#removedCount;
    this.#removedCount = 0;
  }
}
