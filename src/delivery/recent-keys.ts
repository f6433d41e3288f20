/**
 * Idempotency keys in memory, with a limit of their number and of their age. The caller states the time: of a clock that never goes back,
 * or of the stamps of a stream.
 */
import type { KeyEntry, StoredKey } from "../protocol/stored-key.js";

export interface KeyLimits {
  /** How long a key is known, milliseconds. */
  readonly windowMs: number;
  /** Limit of the keys; the oldest beyond it are evicted, although the window is not over. */
  readonly maxKeys: number;
  /** Called with the number of keys that were evicted within their window. */
  readonly onEvicted?: (count: number) => void;
}

export const DEFAULT_KEY_LIMITS: KeyLimits = { windowMs: 86_400_000, maxKeys: 1_000_000 };

interface TimedEntry extends KeyEntry {
  readonly hash: string;
  readonly time: number;
}

/** Empty entries at the start of the list before they are removed. */
const MAX_EMPTY_ENTRIES = 1024;

export class RecentKeys {
  readonly #limits: KeyLimits;
  readonly #entries = new Map<string, TimedEntry>();
  /** In the order of add(); the first #removedCount are removed from time to time. */
  #order: TimedEntry[] = [];
  #removedCount = 0;

  constructor(limits: KeyLimits = DEFAULT_KEY_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What a key was used for, as of `time`, milliseconds. */
  find(hash: string, time: number): KeyEntry | undefined {
    const entry = this.#entries.get(hash);
    return entry && entry.time >= time - this.#limits.windowMs ? entry : undefined;
  }

  /** `time`: when the key was used, milliseconds. */
  add({ hash, fingerprint, count }: StoredKey, epoch: string, offset: number, time: number): void {
    const entry = { hash, fingerprint, epoch, offset, count, time };
    this.#entries.set(hash, entry);
    this.#order.push(entry);
    this.#trim(time);
  }

  clear(): void {
    this.#entries.clear();
    this.#order = [];
    this.#removedCount = 0;
  }

  #trim(time: number): void {
    const { maxKeys, windowMs, onEvicted } = this.#limits;
    let evicted = 0;
    for (; this.#removedCount < this.#order.length; this.#removedCount++) {
      const oldest = this.#order[this.#removedCount] as TimedEntry;
      const isExpired = oldest.time < time - windowMs;
      if (!isExpired && this.#entries.size <= maxKeys) break;
      // A key that was used again after its window has a later entry.
      if (this.#entries.get(oldest.hash) !== oldest) continue;
      this.#entries.delete(oldest.hash);
      if (!isExpired) evicted++;
    }
    if (evicted > 0) onEvicted?.(evicted);
    if (this.#removedCount < MAX_EMPTY_ENTRIES || this.#removedCount < this.#order.length / 2) return;
    this.#order = this.#order.slice(this.#removedCount);
    this.#removedCount = 0;
  }
}
