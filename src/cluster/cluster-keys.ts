/**
 * Idempotency keys of the stream that a daemon follows, in memory. Every daemon takes the same messages in the same order, and a key's age
 * is the difference of two stamps of the stream: so all daemons skip the same repeats, whatever their clocks are.
 */
import type { Publication } from "../protocol/publication.js";
import type { KeyEntry, StoredKey } from "../protocol/stored-key.js";

export interface ClusterKeyLimits {
  /** How long a key is known, milliseconds. */
  readonly windowMs: number;
  /** Limit of the keys; the oldest beyond it are evicted, although the window is not over. */
  readonly maxKeys: number;
  /** Called with the number of keys that were evicted within their window. */
  readonly onEvicted?: (count: number) => void;
}

export const DEFAULT_KEY_LIMITS: ClusterKeyLimits = { windowMs: 86_400_000, maxKeys: 1_000_000 };

interface TimedEntry extends KeyEntry {
  readonly hash: string;
  readonly time: number;
}

/** Empty entries at the start of the list before they are removed. */
const MAX_EMPTY_ENTRIES = 1024;

export class ClusterKeys {
  readonly #limits: ClusterKeyLimits;
  readonly #entries = new Map<string, TimedEntry>();
  /** In the order of the stream; the first #removedCount are removed from time to time. */
  #order: TimedEntry[] = [];
  #removedCount = 0;

  constructor(limits: ClusterKeyLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What a key was used for, as of `time`: the stamp of a message, or of now; milliseconds since 1970. */
  find(hash: string, time: number): KeyEntry | undefined {
    const entry = this.#entries.get(hash);
    return entry && entry.time >= time - this.#limits.windowMs ? entry : undefined;
  }

  /** Whether an earlier message of the stream has the same key: no daemon delivers this one. */
  isRepeat({ storedKey, offset, time }: Publication, epoch: string): boolean {
    const earlier = storedKey && this.find(storedKey.hash, time);
    return earlier !== undefined && (earlier.epoch !== epoch || earlier.offset < offset);
  }

  /** In the order of the stream. `time`: the stamp of its message. */
  add({ hash, fingerprint, count }: StoredKey, epoch: string, offset: number, time: number): void {
    const entry = { hash, fingerprint, epoch, offset, count, time };
    this.#entries.set(hash, entry);
    this.#order.push(entry);
    this.#trim(time);
  }

  #trim(time: number): void {
    const { maxKeys, windowMs, onEvicted } = this.#limits;
    let evicted = 0;
    for (; this.#removedCount < this.#order.length; this.#removedCount++) {
      const oldest = this.#order[this.#removedCount] as TimedEntry;
      const isExpired = oldest.time < time - windowMs;
      if (!isExpired && this.#entries.size <= maxKeys) break;
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
