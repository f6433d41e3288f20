/**
 * Counts by connection id, in a hash table of fixed size. Unlike a Map with changing entries it allocates nothing (with many connects a Map
 * cost 2 us of garbage collection for each). Linear probing; a removal moves displaced entries up.
 */

/** Factor of Knuth's multiplicative hash: sequential ids without a hash would make one long cluster. */
const HASH_MULTIPLIER_CODE = 0x9e3779b1;
const MAX_COUNT = 65_535;

export class IdCounts {
  /** Ids are above 0; 0 = free. */
  readonly #ids: Int32Array;
  readonly #counts: Uint16Array;
  readonly #mask: number;
  readonly #shift: number;
  readonly #maxIds: number;
  #size = 0;

  constructor(maxIds: number) {
    // At least half of the table stays free, so that every search ends soon.
    const bits = Math.ceil(Math.log2(maxIds)) + 1;
    this.#ids = new Int32Array(2 ** bits);
    this.#counts = new Uint16Array(2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
    this.#maxIds = maxIds;
  }

  get size(): number {
    return this.#size;
  }

  /** 0 = the id is not in the table. */
  get(id: number): number {
    return this.#counts[this.#slotOf(id)] ?? 0;
  }

  /** Returns false if the table is full: the id is not counted. */
  increment(id: number): boolean {
    if (id <= 0) return false;
    const slot = this.#slotOf(id);
    const count = this.#counts[slot] ?? 0;
    if (count === 0) {
      if (this.#size >= this.#maxIds) return false;
      this.#ids[slot] = id;
      this.#size++;
    }
    this.#counts[slot] = Math.min(count + 1, MAX_COUNT);
    return true;
  }

  /** Removes the id when its count reaches 0. */
  decrement(id: number): void {
    const slot = this.#slotOf(id);
    const count = this.#counts[slot] ?? 0;
    if (count > 1) this.#counts[slot] = count - 1;
    else this.delete(id);
  }

  /** Returns whether the id was in the table. */
  delete(id: number): boolean {
    const slot = this.#slotOf(id);
    if (this.#counts[slot] === 0) return false;
    this.#size--;
    this.#free(slot);
    return true;
  }

  clear(): void {
    this.#ids.fill(0);
    this.#counts.fill(0);
    this.#size = 0;
  }

  *entries(): Generator<readonly [id: number, count: number]> {
    if (this.#size === 0) return;
    for (let slot = 0; slot <= this.#mask; slot++) {
      const count = this.#counts[slot] ?? 0;
      if (count > 0) yield [this.#ids[slot] ?? 0, count];
    }
  }

  #homeOf(id: number): number {
    return Math.imul(id, HASH_MULTIPLIER_CODE) >>> this.#shift;
  }

  /** Slot of the id, or the free slot for it. */
  #slotOf(id: number): number {
    let slot = this.#homeOf(id);
    while (this.#counts[slot] !== 0 && this.#ids[slot] !== id) slot = (slot + 1) & this.#mask;
    return slot;
  }

  #free(slot: number): void {
    const mask = this.#mask;
    let free = slot;
    for (let next = (free + 1) & mask; this.#counts[next] !== 0; next = (next + 1) & mask) {
      const home = this.#homeOf(this.#ids[next] ?? 0);
      // An entry moves up unless its home lies between the free slot and its own.
      if (((next - home) & mask) < ((next - free) & mask)) continue;
      this.#ids[free] = this.#ids[next] ?? 0;
      this.#counts[free] = this.#counts[next] ?? 0;
      free = next;
    }
    this.#ids[free] = 0;
    this.#counts[free] = 0;
  }
}
