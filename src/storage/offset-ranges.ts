/**
 * The stored offsets as ranges of consecutive offsets: usually one, and one more for each unclean shutdown. Tells without a read
 * whether an event is stored: 0.1 us; LMDB took 0.6 us among 1,000 events and 2 us among 1,000,000.
 */
import { firstIndex } from "../util/first-index.js";

interface OffsetRange {
  readonly first: number;
  last: number;
}

export class OffsetRanges {
  readonly #ranges: OffsetRange[] = [];
  #size = 0;

  /** Number of offsets. */
  get size(): number {
    return this.#size;
  }

  /** Adds an offset, which must be above all others. */
  add(offset: number): void {
    const newest = this.#ranges.at(-1);
    if (newest?.last === offset - 1) newest.last = offset;
    else this.#ranges.push({ first: offset, last: offset });
    this.#size++;
  }

  has(offset: number): boolean {
    const at = firstIndex(0, this.#ranges.length, (index) => (this.#ranges[index]?.last ?? 0) < offset);
    return (this.#ranges[at]?.first ?? Number.POSITIVE_INFINITY) <= offset;
  }

  /** Removes the offsets up to and including this one. */
  forget(through: number): void {
    for (;;) {
      const [oldest] = this.#ranges;
      if (!oldest || oldest.first > through) return;
      this.#ranges.shift();
      this.#size -= Math.min(oldest.last, through) - oldest.first + 1;
      if (oldest.last > through) this.#ranges.unshift({ first: through + 1, last: oldest.last });
    }
  }
}
