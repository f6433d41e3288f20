/**
 * Which offsets are held, as runs without a hole between: mostly one, and one more for each sudden end of a process. So it is known
 * without reading whether an event is there: 0.1 us, where LMDB took 0.6 among 1,000 events and 2 among 1,000,000.
 */
interface OffsetRange {
  readonly first: number;
  last: number;
}

export class OffsetRanges {
  readonly #ranges: OffsetRange[] = [];
  #size = 0;

  /** How many offsets. */
  get size(): number {
    return this.#size;
  }

  /** Adds an offset above all others. */
  add(offset: number): void {
    const newest = this.#ranges.at(-1);
    if (newest?.last === offset - 1) newest.last = offset;
    else this.#ranges.push({ first: offset, last: offset });
    this.#size++;
  }

  has(offset: number): boolean {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.last ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return (this.#ranges[low]?.first ?? Number.POSITIVE_INFINITY) <= offset;
  }

  /** Forgets an offset and all below. */
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
