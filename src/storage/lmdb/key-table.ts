/**
 * Idempotency keys in the LMDB file of the history, numbers little-endian:
 *
 *   keys        hash (16 bytes) -> fingerprint (16) | sequence u48 | offset of the first event u48 | events u32 | epoch
 *   key_order   sequence -> time f64 | hash (16)
 *
 * Sequences are consecutive, so that the number of keys needs no count, and their ages are known from 256 samples. A key that is used
 * again after its window gets a new sequence; its earlier one stays in key_order until it is the oldest.
 */

import { DEFAULT_KEY_LIMITS, type KeyLimits } from "../../delivery/recent-keys.js";
import type { KeyEntry, StoredKey } from "../../protocol/stored-key.js";
import type { Clock } from "../../util/clock.js";
import { AgeIndex } from "./age-index.js";

const HASH_BYTES = 16;
const OFFSET_BYTES = 6;
const SEQUENCE_OFFSET = HASH_BYTES;
const FIRST_OFFSET = SEQUENCE_OFFSET + OFFSET_BYTES;
const COUNT_OFFSET = FIRST_OFFSET + OFFSET_BYTES;
const EPOCH_OFFSET = COUNT_OFFSET + 4;
const TIME_BYTES = 8;
/** Samples of the ages of stored keys: as many as AgeIndex keeps. */
const AGE_SAMPLES = 256;

/** A key, and where its first event is. */
export interface PositionedKey {
  readonly key: StoredKey;
  readonly offset: number;
  /** When it was used, milliseconds since 1970. */
  readonly time: number;
}

/** A database of LMDB. */
interface Table<K> {
  get(key: K): Buffer | undefined;
  putSync(key: K, value: Buffer): unknown;
  removeSync(key: K): unknown;
}

export interface KeyTables {
  readonly keys: Table<Buffer>;
  readonly order: Table<number> & {
    getKeys(range: { readonly limit: number; readonly reverse?: boolean }): Iterable<number>;
  };
}

export class KeyTable {
  readonly #tables: KeyTables;
  readonly #limits: KeyLimits;
  readonly #clock: Clock;
  readonly #ages: AgeIndex;
  /** The lowest and the highest sequence; first = last + 1 when there is none. */
  #first: number;
  #last: number;
  /** What they are when the transaction is committed. */
  #written = { first: 1, last: 0, evicted: 0 };

  constructor(tables: KeyTables, limits: KeyLimits = DEFAULT_KEY_LIMITS, clock: Clock) {
    this.#tables = tables;
    this.#limits = limits;
    this.#clock = clock;
    this.#ages = new AgeIndex(limits.windowMs, clock.monotonic());
    const [last = 0] = tables.order.getKeys({ limit: 1, reverse: true });
    const [first = last + 1] = tables.order.getKeys({ limit: 1 });
    this.#first = first;
    this.#last = last;
    this.#sampleAges();
  }

  get count(): number {
    return this.#last + 1 - this.#first;
  }

  find(hash: string): KeyEntry | undefined {
    const value = this.#tables.keys.get(Buffer.from(hash, "base64url"));
    if (!value || value.length < EPOCH_OFFSET || sequenceOf(value) <= this.#expired()) return undefined;
    return {
      fingerprint: value.toString("base64url", 0, HASH_BYTES),
      offset: value.readUIntLE(FIRST_OFFSET, OFFSET_BYTES),
      count: value.readUInt32LE(COUNT_OFFSET),
      epoch: value.toString("utf8", EPOCH_OFFSET),
    };
  }

  /** Keys that write() or trim() with this argument removes, at most. */
  removable(most: number): number {
    return Math.min(most, this.#due());
  }

  /**
   * Part of a transaction: adds keys, and removes as many as `removed` of the oldest that are due. committed() follows when the
   * transaction is committed; without it, nothing has happened.
   */
  write(added: readonly PositionedKey[], epoch: string, removed: number): void {
    const { keys, order } = this.#tables;
    const expired = this.#expired();
    let { first, last, evicted } = { first: this.#first, last: this.#last, evicted: 0 };
    for (const { key, offset, time } of added) {
      const hash = Buffer.from(key.hash, "base64url");
      keys.putSync(hash, encodeKey(key, ++last, offset, epoch));
      order.putSync(last, encodeOrder(time, hash));
    }
    for (const end = first + removed; first < end; first++) {
      const entry = order.get(first);
      const hash = entry && Buffer.from(entry.subarray(TIME_BYTES));
      const value = hash && keys.get(hash);
      if (hash && value && sequenceOf(value) === first) {
        keys.removeSync(hash);
        if (first > expired) evicted++;
      }
      order.removeSync(first);
    }
    this.#written = { first, last, evicted };
  }

  committed(): void {
    const { first, last, evicted } = this.#written;
    this.#first = first;
    this.#last = last;
    this.#ages.sample(last, this.#clock.monotonic());
    if (evicted > 0) this.#limits.onEvicted?.(evicted);
  }

  /** The oldest keys that are too old or too many. */
  #due(): number {
    return Math.max(0, this.#expired() + 1 - this.#first, this.count - this.#limits.maxKeys);
  }

  #expired(): number {
    return this.#ages.expiredOffset(this.#clock.monotonic(), this.#clock.now());
  }

  #sampleAges(): void {
    const step = Math.max(1, Math.floor(this.count / AGE_SAMPLES));
    for (let sequence = this.#first; sequence <= this.#last; sequence += step) this.#sampleAge(sequence);
    if (this.count > 0) this.#sampleAge(this.#last);
  }

  #sampleAge(sequence: number): void {
    const entry = this.#tables.order.get(sequence);
    if (entry) this.#ages.addStored(sequence, entry.readDoubleLE(0));
  }
}

const sequenceOf = (value: Buffer): number => value.readUIntLE(SEQUENCE_OFFSET, OFFSET_BYTES);

function encodeKey({ fingerprint, count }: StoredKey, sequence: number, offset: number, epoch: string): Buffer {
  const value = Buffer.alloc(EPOCH_OFFSET + Buffer.byteLength(epoch));
  value.write(fingerprint, 0, HASH_BYTES, "base64url");
  value.writeUIntLE(sequence, SEQUENCE_OFFSET, OFFSET_BYTES);
  value.writeUIntLE(offset, FIRST_OFFSET, OFFSET_BYTES);
  value.writeUInt32LE(count, COUNT_OFFSET);
  value.write(epoch, EPOCH_OFFSET);
  return value;
}

function encodeOrder(time: number, hash: Buffer): Buffer {
  const value = Buffer.alloc(TIME_BYTES + HASH_BYTES);
  value.writeDoubleLE(time);
  hash.copy(value, TIME_BYTES);
  return value;
}
